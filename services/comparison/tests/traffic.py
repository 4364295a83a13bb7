"""Calls to test with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted
from fairlead_common.ids import new_id, stamp
from fairlead_common.outcomes import CallState, ErrorClass


def now() -> datetime:
    """The current minute's begin, so that a test's calls share a minute."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def attempt(provider: str = "openai", model: str = "gpt-5.4-mini", **values: Any) -> Attempt:
    """A served attempt that took 400 ms."""
    given: dict[str, Any] = {
        "offset_ms": 1.0,
        "duration_ms": 400.0,
        "status": 200,
        "reason": "primary",
        **values,
    }
    return Attempt(provider=provider, model=model, **given)


def failed(provider: str = "openai", error: ErrorClass = ErrorClass.SERVER_ERROR, **values: Any) -> Attempt:
    """An attempt that ended in an error."""
    return attempt(provider, **{"error_class": error, "status": 500, "duration_ms": 20.0, **values})


def call(*attempts: Attempt, at: datetime | None = None, **values: Any) -> Call:
    """A call made of these attempts (one served attempt when none is given)."""
    tried = attempts or (attempt(),)
    last = tried[-1]
    given: dict[str, Any] = {
        "call_id": new_id(),
        "kind": CallKind.LIVE,
        "requested_model": f"{last.provider}/{last.model}",
        "started_at": at or now(),
        "state": CallState.OK if last.ok else CallState.FAILED,
        "status": 200 if last.ok else 502,
        "provider": last.provider if last.ok else None,
        "model": last.model if last.ok else None,
        "failover": len(tried) > 1,
        "duration_ms": sum(each.duration_ms for each in tried) + 1,
        "attempts": tried,
        **values,
    }
    return Call(**given)


def frame(*calls: Call, source: str = "edge-1") -> CallsCompleted:
    """A frame of calls."""
    return CallsCompleted(**stamp(), source=source, calls=calls)


def days_ago(days: float) -> datetime:
    """A time so many days before now."""
    return now() - timedelta(days=days)
