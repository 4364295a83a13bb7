"""What an attempt in a ``calls.completed`` frame says of its target."""

from fairlead_common.decisions.gate_records import CallSeen
from fairlead_common.decisions.triggers import Outcome
from fairlead_common.events.calls import Attempt
from fairlead_common.outcomes import ErrorClass


def seen_of(attempt: Attempt, ended_at: float) -> CallSeen | None:
    """What an attempt says of its target; None = nothing: the caller's own doing, or a model that does not exist."""
    error = attempt.error_class
    if not attempt.speaks_of_provider or error is ErrorClass.NOT_FOUND:
        return None
    if error in (ErrorClass.RATE_LIMITED, ErrorClass.QUOTA_EXHAUSTED):
        return CallSeen(False, ended_at, error, attempt.retry_after_s)
    return CallSeen(error is None, ended_at)


def outcome_of(attempt: Attempt, seen: CallSeen) -> Outcome:
    """What triggers see of an attempt."""
    return Outcome(seen.ended_at or 0.0, attempt.error_class, attempt.duration_ms, attempt.ttft_ms)
