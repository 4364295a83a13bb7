"""When a provider is probed: how often on schedule, and when at once. Traffic that proves it well makes a probe needless."""

from dataclasses import dataclass

from fairlead_common.events.health import Status

from fairlead_health.domain.status import Record, StatusSettings, holds

UNWELL = frozenset((Status.DOWN, Status.DEGRADED, Status.UNKNOWN))
FRESH_S = 10.0
"""A provider that live traffic has proven well this recently needs no probe."""
IDLE_S = 2.0
"""Without any success for this long, a provider has too little traffic to wait for the next call."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds; an interval shorter than the usual one wins while its cause lasts."""

    unwell_s: int = 2
    """While the provider is down, degraded or unknown."""
    changed_s: int = 15
    """Right after a change of its state."""
    changed_for_s: float = 120.0
    """How long that is."""
    unrouted_s: int = 600
    """Where no live traffic went for ``unrouted_after_s``, and nobody names it; a longer usual interval stays."""
    unrouted_after_s: float = 86_400.0


def interval_s(
    record: Record, usual_s: int, routed_at: float, now: float, pace: Pace, *, named: bool = False
) -> int:
    """How often to probe now.

    Args:
        usual_s: as people have set it.
        routed_at: Unix time of the last live call to the provider; of the start of hearing when there was none since.
        named: a rule or a failover policy counts on the provider: who stands in must be known to be well beforehand.
    """
    if record.status is Status.DEGRADED and holds(record, now):
        return min(usual_s, pace.changed_s)  # the vendor works at it, and says so for hours
    if record.status in UNWELL:
        return min(usual_s, pace.unwell_s)
    if record.sequence > 1 and now - record.since < pace.changed_for_s:
        return min(usual_s, pace.changed_s)
    if not named and now - routed_at >= pace.unrouted_after_s:
        return max(usual_s, pace.unrouted_s)
    return usual_s


def doubtful(record: Record, now: float, settings: StatusSettings) -> bool:
    """Whether to probe at once: a live call to a provider held to be well failed, and too few others come to judge by."""
    idle = record.last_success is None or now - record.last_success >= IDLE_S
    return (
        idle
        and record.status is Status.HEALTHY
        and record.last_source == "passive"
        and 0 < record.failures_in_row < settings.failures_to_down
    )


def needed(status: Status, proven_age_s: float, usual_s: int) -> bool:
    """Whether a probe would tell anything new.

    Args:
        proven_age_s: how long ago live traffic was answered; infinite when it never was.
        usual_s: the interval of the provider's probes.
    """
    if status is Status.MAINTENANCE:
        return False
    return status is not Status.HEALTHY or proven_age_s >= min(FRESH_S, usual_s)
