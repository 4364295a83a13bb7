"""The fleet's gate of a provider, or of one model at a provider: when it opens for everybody, and how traffic comes back.

``advance(record, observation, now, settings) -> record`` is one pure state machine::

    closed --(down | failures | limit | operator)--> open --(wait over)--> half_open
       ^                                              ^  ^-----(it failed)-----' |
       |                                              |                          | (a real completion succeeded)
       |                          (failures at the first step)                   v
       '------------------------(all steps taken)-----'--------------------- recovering <--> (steps)

Calls open the gate of a model as in Finagle's failure accrual: a run of failures, or a low share of successes. The gate
of a provider opens when health says that it is down, or when several of its models fail. Who was opened by calls gets
no traffic until a completion succeeded, which one elected worker asks for; who was down, when health says that it is well
again. A limit lasts as long as the provider asked for. Traffic comes back in steps; failures go one step back, and each
such setback doubles the length of the steps.

An operator's hold is stronger than all of that, and ends at its time by itself. While health says down, a recovery waits
at its first step: a trickle of traffic is how health finds out. Nothing moves in maintenance, but holds still end.
"""

import zlib
from dataclasses import replace
from typing import Final, assert_never

from fairlead_common.decisions.breaker import FRESH, observed
from fairlead_common.decisions.gate_records import (
    FAILURES,
    LIMITS,
    CallSeen,
    Cause,
    GateRecord,
    GateSettings,
    Held,
    Hold,
    HoldKind,
    ModelsFailing,
    Observation,
    Released,
    StatusSeen,
    Switch,
    Tick,
    Triggered,
)
from fairlead_common.decisions.plan import GateState
from fairlead_common.outcomes import ErrorClass

WELL: Final = ("healthy", "degraded")
DOWN: Final = "down"
MAINTENANCE: Final = "maintenance"
MAX_DOUBLINGS: Final = 20
MAX_SETBACKS: Final = 5


def advance(record: GateRecord, observation: Observation, now: float, settings: GateSettings) -> GateRecord:
    """The record after ``observation``; ``sequence`` has grown when the gate changed."""
    record = set_right(record, now)
    match observation:
        case StatusSeen():
            return _status(record, observation, now, settings)
        case CallSeen():
            return _call(record, observation, now, settings)
        case ModelsFailing(models):
            if record.hold is not None or record.state is not GateState.CLOSED:
                return record
            reason = f"several models failed: {', '.join(models)}"
            return _wait(_open(record, Cause.MODELS_FAILING, reason, now), now, settings)
        case Triggered(cause, reason):
            if record.hold is not None or record.state is not GateState.CLOSED:
                return record
            if now - record.since > settings.forget_s:
                record = replace(record, relapses=0)
            return _wait(_open(record, cause, reason, now), now, settings)
        case Held(hold, reason):
            return _hold(record, hold, reason, now)
        case Released(reason):
            return _release(record, reason, now, settings)
        case Tick():
            return _tick(record, now, settings)
        case never:
            assert_never(never)


def switch_of(before: GateRecord, after: GateRecord) -> Switch | None:
    """What the workspaces must be told of a change, if anything."""
    if before.opened_at is None and after.opened_at is not None:
        cause = after.cause or Cause.OPERATOR
        return Switch("switched", after.key, cause, after.since, after.opened_at, after.failing_since)
    if before.opened_at is not None and after.opened_at is None:
        return Switch(
            "recovered", after.key, "recovered", after.since, before.opened_at, models=before.models
        )
    return None


def closed(record: GateRecord, reason: str, now: float) -> GateRecord:
    """The gate of something that is no longer guarded."""
    return _close(record, reason, now)


def absorbed(record: GateRecord, now: float) -> GateRecord:
    """The gate of a model whose provider's gate has opened, which now speaks for it."""
    if record.state is GateState.CLOSED or record.hold is not None:
        return replace(record, failing_since=None, breaker=FRESH, limits=0)
    closed = _changed(record, GateState.CLOSED, 1.0, "its provider's gate has opened", now)
    return replace(
        closed, opened_at=None, cause=None, failing_since=None, breaker=FRESH, limits=0, setbacks=0
    )


def set_right(record: GateRecord, now: float) -> GateRecord:
    """A gate that a clock ahead of this one has moved (another replica's, or this one's before it was set back), as if now.

    Else calls would be taken for older than the move, and waits for longer than they are meant to be, until then.
    """
    if record.since <= now:
        return record
    retry_at = record.retry_at
    if retry_at is not None and record.hold is None:
        retry_at -= record.since - now
    return replace(
        record,
        since=now,
        retry_at=retry_at,
        opened_at=_at_most(record.opened_at, now),
        failing_since=_at_most(record.failing_since, now),
        called_at=min(record.called_at, now),
    )


def _at_most(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)


def _status(record: GateRecord, seen: StatusSeen, now: float, settings: GateSettings) -> GateRecord:
    after = replace(record, status=seen.status, checked_at=seen.checked_at or record.checked_at)
    if record.hold is not None or seen.status == record.status:
        return after
    if record.status == DOWN and _is_well(after) and record.cause not in LIMITS:
        return _recover(after, f"well again: health says {seen.status}", now, settings)
    if seen.status != DOWN or record.state is GateState.OPEN:
        return after
    return _open(after, Cause.STATUS_DOWN, f"health says down: {seen.reason}", now)


def _call(record: GateRecord, seen: CallSeen, now: float, settings: GateSettings) -> GateRecord:
    at = now if seen.ended_at is None else seen.ended_at
    if record.hold is not None or record.state is GateState.OPEN:
        return record
    if at < max(record.since, now - settings.old_s):
        return record  # what ended before the gate moved, or long ago, decides nothing
    record = replace(record, called_at=max(at, record.called_at))
    if seen.limit is not None:
        return _limited(record, seen, at, now, settings)
    if at < now - settings.late_s:
        return record
    match record.state:
        case GateState.CLOSED:
            return _call_when_closed(record, seen.ok, at, now, settings)
        case GateState.HALF_OPEN:
            if seen.ok:
                return _recover(record, "a completion succeeded", now, settings)
            return _wait(_open(record, Cause.RELAPSE, "a completion failed", now), now, settings)
        case _:
            return _call_while_recovering(record, seen.ok, now, settings)


def _call_when_closed(
    record: GateRecord, ok: bool, at: float, now: float, settings: GateSettings
) -> GateRecord:
    run = record.breaker.failures_in_row
    if now - record.breaker.updated_at > settings.breaker.window_s:
        record = replace(record, failing_since=None)  # what failed so long ago is not where this outage began
    breaker = observed(record.breaker, settings.breaker, ok, now, 0.5)
    if breaker.state is GateState.CLOSED:
        begun = None if ok else record.failing_since or at
        return replace(record, breaker=breaker, limits=0, failing_since=begun)
    if now - record.since > settings.forget_s:
        record = replace(record, relapses=0)
    record = replace(record, failing_since=record.failing_since or at)
    if run + 1 >= settings.breaker.consecutive:
        opened = _open(record, Cause.CONSECUTIVE_FAILURES, f"{run + 1} calls in a row failed", now)
    else:
        opened = _open(record, Cause.ERROR_RATE, "too many calls failed across the fleet", now)
    return _wait(opened, now, settings)


def _call_while_recovering(record: GateRecord, ok: bool, now: float, settings: GateSettings) -> GateRecord:
    breaker = observed(record.breaker, settings.relapse, ok, now, 0.5)
    if breaker.state is GateState.CLOSED:
        return replace(record, breaker=breaker, limits=0)
    earlier = [step for step in settings.steps if step < record.share]
    if not earlier:
        return _wait(
            _open(record, Cause.RELAPSE, "too many calls failed while recovering", now), now, settings
        )
    text = f"too many calls failed: one step back, to {earlier[-1]:.0%} of the traffic"
    back = _changed(record, GateState.RECOVERING, earlier[-1], text, now)
    return replace(back, breaker=FRESH, setbacks=record.setbacks + 1)


def _limited(record: GateRecord, seen: CallSeen, at: float, now: float, settings: GateSettings) -> GateRecord:
    """A limit says nothing about the provider's health, but where traffic cannot go for now."""
    record = replace(record, limits=record.limits + 1)
    if seen.limit is ErrorClass.QUOTA_EXHAUSTED:
        cause, rest_s, reason = Cause.QUOTA_EXHAUSTED, settings.quota_s, "the quota is exhausted"
    elif seen.retry_after_s or record.limits >= settings.limits_in_row:
        cause, rest_s, reason = Cause.RATE_LIMITED, settings.rate_limit_s, "the rate is limited"
    else:
        return record
    retry_at = at + min(seen.retry_after_s or rest_s, settings.limit_max_s)
    if retry_at <= now:
        return record
    return replace(_open(record, cause, reason, now), retry_at=retry_at)


def _hold(record: GateRecord, hold: Hold, reason: str, now: float) -> GateRecord:
    if (record.hold, record.reason) == (hold, reason):
        return record  # sent again
    if hold.kind is HoldKind.PIN:
        return replace(_close(record, reason, now), hold=hold)
    cause = Cause.DRAIN if hold.kind is HoldKind.DRAIN else Cause.OPERATOR
    return replace(_open(record, cause, reason, now), hold=hold, retry_at=hold.until)


def _release(record: GateRecord, reason: str, now: float, settings: GateSettings) -> GateRecord:
    """By hand: also who is still down gets a trickle."""
    free = replace(record, hold=None, relapses=0)
    if record.hold is not None and record.hold.kind is HoldKind.PIN:
        return _end_of_pin(free, reason, now)
    return _recover(free, reason, now, settings)


def _end_of_pin(free: GateRecord, reason: str, now: float) -> GateRecord:
    if free.status == DOWN:
        return _open(free, Cause.STATUS_DOWN, "health says down, and the pin has ended", now)
    return _changed(free, GateState.CLOSED, 1.0, reason, now)


def _tick(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    if record.hold is not None:
        return _end_of_hold(record, record.hold, now, settings) if now >= record.hold.until else record
    if record.status == MAINTENANCE:
        return record
    match record.state:
        case GateState.CLOSED:
            return record
        case GateState.OPEN:
            return _after_waiting(record, now, settings)
        case GateState.HALF_OPEN:
            if _is_well(record) and record.cause is Cause.STATUS_DOWN:
                return _recover(record, f"well again: health says {record.status}", now, settings)
            if now - record.since >= settings.probe_s:
                return _recover(record, "nobody can probe it: a trickle of traffic finds out", now, settings)
            return record
        case GateState.RECOVERING:
            return _step(record, now, settings) if record.status != DOWN else record
        case never:
            assert_never(never)


def _end_of_hold(record: GateRecord, hold: Hold, now: float, settings: GateSettings) -> GateRecord:
    free = replace(record, hold=None, relapses=0)
    if hold.kind is HoldKind.PIN:
        return _end_of_pin(free, "the pin has ended", now)
    if record.status == DOWN:
        return _open(free, Cause.STATUS_DOWN, "health says down, and the hold has ended", now)
    return _recover(free, "the hold has ended", now, settings)


def _after_waiting(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    if record.retry_at is not None and now < record.retry_at:
        return record
    if not settings.trials:
        return _recover(record, "the wait is over", now, settings)
    if record.cause is Cause.STATUS_DOWN or record.status == DOWN:
        if _is_well(record):
            return _recover(record, f"well again: health says {record.status}", now, settings)
        blind = now - max(record.since, record.checked_at or 0.0) >= settings.blind_s
        return _changed(record, GateState.HALF_OPEN, 0.0, "nobody looks after it", now) if blind else record
    if record.cause in LIMITS:
        return _recover(record, "the wait is over", now, settings)
    return _changed(record, GateState.HALF_OPEN, 0.0, "a completion shall show whether it is well", now)


def _is_well(record: GateRecord) -> bool:
    return record.status in WELL


def _step(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    step_s = settings.step_s * 2.0 ** min(record.setbacks, MAX_SETBACKS)
    proven = record.breaker.good > 0.0
    if now - record.since < (step_s if proven else step_s * settings.quiet_steps):
        return record
    later = [step for step in settings.steps if step > record.share]
    if not later:
        return _close(record, "recovered", now)
    text = f"{later[0]:.0%} of the traffic is back"
    return replace(_changed(record, GateState.RECOVERING, later[0], text, now), breaker=FRESH)


def _close(record: GateRecord, reason: str, now: float) -> GateRecord:
    closed = _changed(record, GateState.CLOSED, 1.0, reason, now)
    return replace(
        closed, opened_at=None, failing_since=None, breaker=FRESH, cause=None, setbacks=0, limits=0, models=()
    )


def _open(record: GateRecord, cause: Cause, reason: str, now: float) -> GateRecord:
    opened = _changed(record, GateState.OPEN, 0.0, reason, now)
    first = record.opened_at if record.opened_at is not None else now
    since = record.failing_since if cause in FAILURES or cause is Cause.MODELS_FAILING else None
    return replace(
        opened, cause=cause, opened_at=first, failing_since=since, breaker=FRESH, limits=0, setbacks=0
    )


def _wait(record: GateRecord, now: float, settings: GateSettings) -> GateRecord:
    """Calls alone have opened it, so only calls can tell when it is well: wait twice as long each time.

    The jitter is a fixed one of the gate and the turn: gates that open together are not probed together, and a replay
    gives the same times.
    """
    rules = settings.breaker
    wait_s = min(rules.backoff_s * 2.0 ** min(record.relapses, MAX_DOUBLINGS), rules.backoff_max_s)
    draw = zlib.crc32(f"{record.key}:{record.relapses}".encode()) / 2**32
    wait_s *= 1 + rules.jitter_share * (2 * draw - 1)
    return replace(record, retry_at=now + wait_s, relapses=record.relapses + 1)


def _recover(record: GateRecord, reason: str, now: float, settings: GateSettings) -> GateRecord:
    if record.state not in (GateState.OPEN, GateState.HALF_OPEN):
        return record
    recovering = _changed(record, GateState.RECOVERING, settings.steps[0], reason, now)
    return replace(recovering, breaker=FRESH, limits=0)


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
