"""Whether a workspace's triggers make its requests leave a target: rates, latencies, runs, limits and states."""

from collections.abc import Callable, Iterator, Sequence
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


def tripped(triggers: Triggers, outcomes: Sequence[Outcome], status: str, now: float) -> Tripped | None:
    """The first trigger that holds at ``now``.

    Args:
        outcomes: of one target, oldest first; those outside the window are passed over.
        status: what health says of its provider.
    """
    if status in triggers.status:
        cause = Cause.STATUS_DOWN if status == "down" else Cause.STATUS_DEGRADED
        return Tripped(cause, f"health says {status}", 0)
    seen = [each for each in outcomes if each.at > now - triggers.window_s]
    return next(_holding(triggers, seen), None)


def acceptable(triggers: Triggers, outcome: Outcome) -> bool:
    """Whether a call during recovery speaks for the target."""
    slow = triggers.latency_p95_ms is not None and outcome.latency_ms > triggers.latency_p95_ms
    late = (
        triggers.ttft_p95_ms is not None
        and outcome.ttft_ms is not None
        and outcome.ttft_ms > triggers.ttft_p95_ms
    )
    return outcome.error is None and not slow and not late


def _holding(triggers: Triggers, seen: Sequence[Outcome]) -> Iterator[Tripped]:
    count = len(seen)
    if triggers.quota_exhausted and any(each.error is ErrorClass.QUOTA_EXHAUSTED for each in seen):
        yield Tripped(Cause.QUOTA_EXHAUSTED, "the quota is exhausted", count)
    if triggers.rate_limited and any(each.error is ErrorClass.RATE_LIMITED for each in seen):
        yield Tripped(Cause.RATE_LIMITED, "the rate is limited", count)
    judged = [each for each in seen if each.error is None or each.error.bucket is not Bucket.LIMIT]
    run = sum(1 for _ in takewhile(lambda each: each.failed, reversed(judged)))
    if triggers.consecutive_failures is not None and run >= triggers.consecutive_failures:
        yield Tripped(Cause.CONSECUTIVE_FAILURES, f"{run} calls in a row failed", run)
    if len(judged) < triggers.min_calls:
        return
    yield from _rate(judged, triggers.error_rate, Cause.ERROR_RATE, lambda each: each.failed)
    truncated = _rate(
        judged,
        triggers.truncation_rate,
        Cause.TRUNCATION_RATE,
        lambda each: each.error is ErrorClass.TRUNCATED,
    )
    yield from truncated
    good = [each for each in judged if each.error is None]
    yield from _late([each.latency_ms for each in good], triggers.latency_p95_ms, Cause.LATENCY, triggers)
    first = [each.ttft_ms for each in good if each.ttft_ms is not None]
    yield from _late(first, triggers.ttft_p95_ms, Cause.TTFT, triggers)


def _rate(
    judged: Sequence[Outcome], limit: float | None, cause: Cause, counts: Callable[[Outcome], bool]
) -> Iterator[Tripped]:
    share = sum(map(counts, judged)) / len(judged)
    if limit is not None and share > limit:
        yield Tripped(cause, f"{share:.1%} of {len(judged)} calls, more than {limit:.1%}", len(judged))


def _late(
    values: Sequence[float], limit: float | None, cause: Cause, triggers: Triggers
) -> Iterator[Tripped]:
    """The 95th percentile by the nearest rank."""
    if limit is None or len(values) < triggers.min_calls:
        return
    p95 = sorted(values)[-(-95 * len(values) // 100) - 1]
    if p95 > limit:
        text = f"the 95th percentile of {len(values)} calls is {p95:.0f} ms, more than {limit:g}"
        yield Tripped(cause, text, len(values))
