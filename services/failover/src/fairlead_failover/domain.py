"""The fleet's gate of one provider: when it opens for everybody, and in which steps traffic comes back.

``advance(record, observation, now, settings) -> record`` is one pure state machine::

    closed --(down | too many failures | operator)--> open --(well again)--> recovering --(steps)--> closed
                                                       ^----(failures)--------'

Well again: health says healthy or degraded after it said down, or, when only calls had opened the gate, the waiting
time is over. An operator's opening ends by his hand alone.
"""

from dataclasses import dataclass, field, replace

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, BreakerState, observed
from fairlead_common.decisions.plan import GateState

WELL = ("healthy", "degraded")


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Steps of recovery and thresholds of the fleet. Times in seconds."""

    steps: tuple[float, ...] = (0.1, 0.25, 0.5)
    step_s: float = 1.0
    """How long each step lasts."""
    relapse_failures: int = 3
    """Failures within a step that close the way back again."""
    breaker: BreakerSettings = field(
        default_factory=lambda: BreakerSettings(
            consecutive=10, min_calls=20.0, success_share=0.5, backoff_s=2.0
        )
    )


@dataclass(frozen=True, slots=True)
class GateRecord:
    """All that is known of one provider's gate. Times are Unix seconds."""

    provider: str
    state: GateState = GateState.CLOSED
    share: float = 1.0
    since: float = 0.0
    retry_at: float | None = None
    reason: str = "never opened"
    cause: str = ""
    sequence: int = 0
    opened_at: float | None = None
    """Beginning of the outage; None = closed."""
    status: str = "unknown"
    by_operator: bool = False
    relapses: int = 0
    step_failures: int = 0
    breaker: BreakerState = FRESH


@dataclass(frozen=True, slots=True)
class StatusSeen:
    """Health's judgement."""

    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallSeen:
    """An attempt at the provider ended, well or through its fault."""

    ok: bool


@dataclass(frozen=True, slots=True)
class OperatorActs:
    """Somebody takes the provider out, or brings it back."""

    take_out: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Observation = StatusSeen | CallSeen | OperatorActs | Tick


def advance(record: GateRecord, observation: Observation, now: float, settings: GateSettings) -> GateRecord:
    """The record after ``observation``; ``sequence`` has grown when the gate changed."""
    match observation:
        case StatusSeen(status, reason):
            return _status(replace(record, status=status), status, reason, now)
        case CallSeen(ok):
            return _call(record, ok, now, settings)
        case OperatorActs(take_out, reason):
            if take_out:
                return _open(replace(record, by_operator=True), "operator", reason, now, None)
            return _recover(replace(record, by_operator=False, relapses=0), reason, now, settings)
        case Tick():
            return _tick(record, now, settings)


def _status(record: GateRecord, status: str, reason: str, now: float) -> GateRecord:
    if status == "down" and record.state is not GateState.OPEN:
        return _open(record, "status_down", f"health says down: {reason}", now, None)
    return record


def _call(record: GateRecord, ok: bool, now: float, settings: GateSettings) -> GateRecord:
    if record.state is GateState.OPEN:
        return record
    if record.state is GateState.RECOVERING:
        failures = record.step_failures + (not ok)
        if failures < settings.relapse_failures:
            return replace(record, step_failures=failures)
        return _open(record, "relapse", f"{failures} failures while recovering", now, settings)
    breaker = observed(record.breaker, settings.breaker, ok, now, 0.5)
    if breaker.state is GateState.CLOSED:
        return replace(record, breaker=breaker)
    return _open(
        replace(record, breaker=FRESH), "error_rate", "too many calls failed across the fleet", now, settings
    )


def _tick(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    if record.state is GateState.OPEN and not record.by_operator:
        waited = record.retry_at is None or now >= record.retry_at
        well = record.status in WELL or (record.cause != "status_down" and record.status != "down")
        if waited and well:
            return _recover(record, f"well again: health says {record.status}", now, settings)
    if record.state is GateState.RECOVERING and now - record.since >= settings.step_s:
        later = [step for step in settings.steps if step > record.share]
        if later:
            return _changed(
                record, GateState.RECOVERING, later[0], f"{later[0]:.0%} of the traffic is back", now
            )
        closed = _changed(record, GateState.CLOSED, 1.0, "recovered", now)
        return replace(closed, opened_at=None, relapses=0, breaker=FRESH, cause="")
    return record


def _open(
    record: GateRecord, cause: str, reason: str, now: float, settings: GateSettings | None
) -> GateRecord:
    wait_s = 0.0
    relapses = record.relapses
    if settings is not None:
        wait_s = min(settings.breaker.backoff_s * 2.0 ** min(relapses, 20), settings.breaker.backoff_max_s)
        relapses += 1
    opened = _changed(record, GateState.OPEN, 0.0, reason, now)
    first = record.opened_at if record.opened_at is not None else now
    return replace(
        opened, cause=cause, opened_at=first, retry_at=now + wait_s if wait_s else None, relapses=relapses
    )


def _recover(record: GateRecord, reason: str, now: float, settings: GateSettings) -> GateRecord:
    if record.state is not GateState.OPEN:
        return record
    return _changed(record, GateState.RECOVERING, settings.steps[0], reason, now)


def _changed(record: GateRecord, state: GateState, share: float, reason: str, now: float) -> GateRecord:
    return replace(
        record,
        state=state,
        share=share,
        since=now,
        reason=reason,
        retry_at=None,
        step_failures=0,
        sequence=record.sequence + 1,
    )
