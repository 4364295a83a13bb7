"""Whether a workspace's triggers make its requests leave a target: rates, latencies, runs, limits and states."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from fairlead_common.decisions.gate_records import Cause
from fairlead_common.outcomes import Bucket, ErrorClass
from fairlead_common.snapshots.failover import Triggers


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call to a target ended, at ``at`` (Unix seconds). Callers' own errors are left out before."""

    at: float
    error: ErrorClass | None
    latency_ms: float
    ttft_ms: float | None = None

    @property
    def failed(self) -> bool:
        """Through the provider's fault; a limit is none."""
        return self.error is not None and self.error.counts_against_provider


@dataclass(frozen=True, slots=True)
class Tripped:
    """A trigger that holds, and the figures behind it."""

    cause: Cause
    evidence: str
    samples: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the calls to one target since some time show. Limits are not judged, neither as success nor as failure."""

    seen: int
    quota_exhausted: bool
    rate_limited: bool
    judged: int
    run: int
    """Failures in a row, up to the last call."""
    failed: int
    truncated: int
    latency_ms: Sequence[float]
    """Of the good ones, ascending."""
    ttft_ms: Sequence[float]
    """The same, of the streams among them."""
    cut: bool = False
    """There were more calls than are remembered: these are the last ones."""


def facts(outcomes: Iterable[Outcome], *, cut: bool = False) -> Facts:
    """Of the outcomes of one target, oldest first."""
    seen = list(outcomes)
    errors = Counter(each.error for each in seen)
    judged = [each for each in seen if each.error is None or each.error.bucket is not Bucket.LIMIT]
    good = [each for each in judged if each.error is None]
    return Facts(
        len(seen),
        errors[ErrorClass.QUOTA_EXHAUSTED] > 0,
        errors[ErrorClass.RATE_LIMITED] > 0,
        len(judged),
        sum(1 for _ in takewhile(lambda each: each.failed, reversed(judged))),
        sum(each.failed for each in judged),
        errors[ErrorClass.TRUNCATED],
        sorted(each.latency_ms for each in good),
        sorted(each.ttft_ms for each in good if each.ttft_ms is not None),
        cut,
    )


def tripped(triggers: Triggers, found: Facts, status: str) -> Tripped | None:
    """The first trigger that holds.

    Args:
        found: of one target, within the triggers' window.
        status: what health says of its provider.
    """
    if status in triggers.status:
        cause = Cause.STATUS_DOWN if status == "down" else Cause.STATUS_DEGRADED
        return Tripped(cause, f"health says {status}", 0)
    return next(_holding(triggers, found), None)


def acceptable(triggers: Triggers, outcome: Outcome) -> bool:
    """Whether a call during recovery speaks for the target."""
    slow = triggers.latency_p95_ms is not None and outcome.latency_ms > triggers.latency_p95_ms
    late = (
        triggers.ttft_p95_ms is not None
        and outcome.ttft_ms is not None
        and outcome.ttft_ms > triggers.ttft_p95_ms
    )
    return outcome.error is None and not slow and not late


def _holding(triggers: Triggers, found: Facts) -> Iterator[Tripped]:
    if triggers.quota_exhausted and found.quota_exhausted:
        yield Tripped(Cause.QUOTA_EXHAUSTED, "the quota is exhausted", found.seen)
    if triggers.rate_limited and found.rate_limited:
        yield Tripped(Cause.RATE_LIMITED, "the rate is limited", found.seen)
    if triggers.consecutive_failures is not None and found.run >= triggers.consecutive_failures:
        yield Tripped(Cause.CONSECUTIVE_FAILURES, f"{found.run} calls in a row failed", found.run)
    if found.judged < triggers.min_calls:
        return
    yield from _rate(found, found.failed, triggers.error_rate, Cause.ERROR_RATE)
    yield from _rate(found, found.truncated, triggers.truncation_rate, Cause.TRUNCATION_RATE)
    yield from _late(found, found.latency_ms, triggers.latency_p95_ms, Cause.LATENCY, triggers.min_calls)
    yield from _late(found, found.ttft_ms, triggers.ttft_p95_ms, Cause.TTFT, triggers.min_calls)


def _rate(found: Facts, count: int, limit: float | None, cause: Cause) -> Iterator[Tripped]:
    share = count / found.judged
    if limit is not None and share > limit:
        text = f"{share:.1%} of {_calls(found, found.judged)}, more than {limit:.1%}"
        yield Tripped(cause, text, found.judged)


def _late(
    found: Facts, values: Sequence[float], limit: float | None, cause: Cause, least: int
) -> Iterator[Tripped]:
    """The 95th percentile by the nearest rank."""
    if limit is None or len(values) < least:
        return
    p95 = values[-(-95 * len(values) // 100) - 1]
    if p95 > limit:
        text = f"the 95th percentile of {_calls(found, len(values))} is {p95:.0f} ms, more than {limit:g}"
        yield Tripped(cause, text, len(values))


def _calls(found: Facts, count: int) -> str:
    return f"{'the last ' if found.cut else ''}{count} calls"
