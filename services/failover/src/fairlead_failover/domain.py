"""The fleet's gate of one provider: when it opens for everybody, and in which steps traffic comes back.

``advance(record, observation, now, settings) -> record`` is one pure state machine::

    closed --(down | too many failures | operator)--> open --(well again)--> recovering --(steps)--> closed
                                                       ^----(failures)--------'

Well again: health says healthy or degraded after it said down, or, when only calls had opened the gate, the waiting time
is over. An operator's opening ends by his hand alone; so does his bringing back: a gate opens for a provider that *gets*
down, not for one that still is. While health says down, a recovery waits at its first step: a trickle of traffic is how
health finds out. The same trickle is sent when nobody looks after a provider that is down any more (its probes are
off), since it could never be found well otherwise. Nothing moves in maintenance.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, BreakerState, observed
from fairlead_common.decisions.plan import GateState

WELL = ("healthy", "degraded")
DOWN = "down"
MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Steps of recovery and thresholds of the fleet. Times in seconds."""

    steps: tuple[float, ...] = (0.1, 0.25, 0.5)
    step_s: float = 1.0
    """How long each step lasts."""
    blind_s: float = 30.0
    """Health has not looked at a provider for this long: a trickle of traffic must find out."""
    forget_s: float = 60.0
    """A gate that was closed for this long has no history of relapses."""
    old_s: float = 30.0
    """Outcomes of calls that ended longer ago than this are old news."""
    breaker: BreakerSettings = field(
        default_factory=lambda: BreakerSettings(
            consecutive=10, min_calls=20.0, success_share=0.5, backoff_s=2.0
        )
    )
    relapse: BreakerSettings = field(
        default_factory=lambda: BreakerSettings(consecutive=3, min_calls=6.0, success_share=0.5)
    )
    """What closes the way back again while recovering."""


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
    """What health said last."""
    checked_at: float | None = None
    """When health has last seen a call or probe of it."""
    by_operator: bool = False
    relapses: int = 0
    breaker: BreakerState = FRESH


@dataclass(frozen=True, slots=True)
class StatusSeen:
    """Health's judgement."""

    status: str
    reason: str = ""
    checked_at: float | None = None


@dataclass(frozen=True, slots=True)
class CallSeen:
    """An attempt at the provider ended, well or through its fault. ``ended_at`` None = now."""

    ok: bool
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class OperatorActs:
    """Somebody takes the provider out, or brings it back."""

    take_out: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Observation = StatusSeen | CallSeen | OperatorActs | Tick


@dataclass(frozen=True, slots=True)
class Switch:
    """Traffic of a provider was moved away, or is all back."""

    kind: Literal["switched", "recovered"]
    provider: str
    cause: str
    at: float
    """Unix seconds."""
    opened_at: float
    """Beginning of the outage."""


def advance(record: GateRecord, observation: Observation, now: float, settings: GateSettings) -> GateRecord:
    """The record after ``observation``; ``sequence`` has grown when the gate changed."""
    match observation:
        case StatusSeen(status, reason, checked_at):
            seen = replace(record, status=status, checked_at=checked_at or record.checked_at)
            if status != DOWN or record.status == DOWN or record.state is GateState.OPEN:
                return seen
            return _open(seen, "status_down", f"health says down: {reason}", now)
        case CallSeen(ok, ended_at):
            at = now if ended_at is None else ended_at
            if record.state is GateState.OPEN or at < max(record.since, now - settings.old_s):
                return record  # what ended before the gate moved, or long ago, decides nothing
            return _call(record, ok, now, settings)
        case OperatorActs(take_out, reason):
            if take_out:
                return _open(replace(record, by_operator=True), "operator", reason, now)
            return _recover(replace(record, by_operator=False, relapses=0), reason, now, settings)
        case Tick():
            return _tick(record, now, settings)


def switch_of(before: GateRecord, after: GateRecord) -> Switch | None:
    """What the workspaces must be told of a change, if anything."""
    if before.opened_at is None and after.opened_at is not None:
        return Switch("switched", after.provider, after.cause, after.since, after.opened_at)
    if before.opened_at is not None and after.opened_at is None:
        return Switch("recovered", after.provider, "recovered", after.since, before.opened_at)
    return None


def _call(record: GateRecord, ok: bool, now: float, settings: GateSettings) -> GateRecord:
    recovering = record.state is GateState.RECOVERING
    rules = settings.relapse if recovering else settings.breaker
    breaker = observed(record.breaker, rules, ok, now, 0.5)
    if breaker.state is GateState.CLOSED:
        return replace(record, breaker=breaker)
    if recovering:
        return _wait(_open(record, "relapse", "too many calls failed while recovering", now), now, settings)
    if now - record.since > settings.forget_s:
        record = replace(record, relapses=0)
    return _wait(_open(record, "error_rate", "too many calls failed across the fleet", now), now, settings)


def _tick(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    if record.status == MAINTENANCE:
        return record
    if record.state is GateState.OPEN and not record.by_operator:
        waited = record.retry_at is None or now >= record.retry_at
        if waited and _is_well(record):
            return _recover(record, f"well again: health says {record.status}", now, settings)
        if waited and now - max(record.since, record.checked_at or 0.0) >= settings.blind_s:
            return _recover(record, "nobody looks after it: a trickle of traffic finds out", now, settings)
    stepping = record.state is GateState.RECOVERING and record.status != DOWN
    return _step(record, now, settings) if stepping and now - record.since >= settings.step_s else record


def _is_well(record: GateRecord) -> bool:
    return record.status in WELL or (record.cause != "status_down" and record.status != DOWN)


def _step(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    later = [step for step in settings.steps if step > record.share]
    if later:
        text = f"{later[0]:.0%} of the traffic is back"
        return _changed(record, GateState.RECOVERING, later[0], text, now)
    closed = _changed(record, GateState.CLOSED, 1.0, "recovered", now)
    return replace(closed, opened_at=None, breaker=FRESH, cause="")


def _open(record: GateRecord, cause: str, reason: str, now: float) -> GateRecord:
    opened = _changed(record, GateState.OPEN, 0.0, reason, now)
    first = record.opened_at if record.opened_at is not None else now
    return replace(opened, cause=cause, opened_at=first, breaker=FRESH)


def _wait(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    """Calls alone have opened it, so only calls can tell when it is well: wait twice as long each time."""
    wait_s = min(settings.breaker.backoff_s * 2.0 ** min(record.relapses, 20), settings.breaker.backoff_max_s)
    return replace(record, retry_at=now + wait_s, relapses=record.relapses + 1)


def _recover(record: GateRecord, reason: str, now: float, settings: GateSettings) -> GateRecord:
    if record.state is not GateState.OPEN:
        return record
    recovering = _changed(record, GateState.RECOVERING, settings.steps[0], reason, now)
    return replace(recovering, breaker=FRESH)


def _changed(record: GateRecord, state: GateState, share: float, reason: str, now: float) -> GateRecord:
    return replace(
        record,
        state=state,
        share=share,
        since=now,
        reason=reason,
        retry_at=None,
        sequence=record.sequence + 1,
    )
