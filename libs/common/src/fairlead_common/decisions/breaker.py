"""A circuit breaker for calls that are rare and slow: trips on a run of failures, or on a low share of successes.

The hybrid follows Finagle's failure accrual: ``consecutive`` failures in a row, or a success share below a threshold
over a sliding window with a minimum of calls. Model traffic seldom has the hundred calls that count-based breakers
want. Counts decay exponentially with the window as time constant. Waiting times double, with jitter, up to a maximum;
then one trial at a time is let through. A rate limit opens the breaker for the time the provider asked for and says
nothing about its health.
"""

import math
from dataclasses import dataclass, replace

from fairlead_common.decisions.plan import Gate, GateState


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open, and for how long. Times in seconds, shares from 0 to 1."""

    consecutive: int = 5
    window_s: float = 30.0
    min_calls: float = 5.0
    success_share: float = 0.8
    backoff_s: float = 1.0
    backoff_max_s: float = 300.0
    jitter_share: float = 0.2
    trial_timeout_s: float = 30.0
    """A trial whose outcome never came frees its place after this."""


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Everything a breaker knows; a fresh one is closed."""

    state: GateState = GateState.CLOSED
    failures_in_row: int = 0
    good: float = 0.0
    """Decayed count of successes."""
    bad: float = 0.0
    """Decayed count of failures."""
    updated_at: float = 0.0
    opened: int = 0
    """Openings since the last recovery; the exponent of the waiting time."""
    retry_at: float = 0.0
    trial_at: float | None = None


FRESH = BreakerState()


def gate(state: BreakerState, now: float, settings: BreakerSettings) -> Gate:
    """What the breaker allows at ``now``: everything, nothing until ``retry_at``, or one trial."""
    if state.state is GateState.CLOSED:
        return Gate()
    busy = state.trial_at is not None and now - state.trial_at < settings.trial_timeout_s
    if now >= state.retry_at and not busy:
        return Gate(GateState.HALF_OPEN, 0.0, state.retry_at)
    return Gate(GateState.OPEN, 0.0, state.retry_at)


def admitted(state: BreakerState, now: float, settings: BreakerSettings) -> BreakerState:
    """The state after a call was sent: remembers that the trial is out."""
    if gate(state, now, settings).state is not GateState.HALF_OPEN:
        return state
    return replace(state, state=GateState.HALF_OPEN, trial_at=now)


def observed(
    state: BreakerState,
    settings: BreakerSettings,
    ok: bool,
    now: float,
    draw: float,
    retry_after_s: float | None = None,
) -> BreakerState:
    """The state after an outcome.

    Args:
        ok: the provider did its part. Callers leave out outcomes that say nothing about it.
        draw: uniform in [0, 1), for the jitter.
        retry_after_s: the provider limits our rate: open for this long, without counting a failure.
    """
    if retry_after_s is not None:
        return replace(
            state, state=GateState.OPEN, retry_at=max(state.retry_at, now + retry_after_s), trial_at=None
        )
    if state.state is GateState.HALF_OPEN:
        return FRESH if ok else _open(state, settings, now, draw)
    if state.state is GateState.OPEN:
        return state  # an answer to a call from before the opening decides nothing
    decay = math.exp(-max(0.0, now - state.updated_at) / settings.window_s) if state.updated_at else 0.0
    after = BreakerState(  # once per call: half the time of dataclasses.replace
        GateState.CLOSED,
        0 if ok else state.failures_in_row + 1,
        state.good * decay + ok,
        state.bad * decay + (not ok),
        now,
        state.opened,
        state.retry_at,
        state.trial_at,
    )
    if ok:
        return after
    total = after.good + after.bad
    poor = total >= settings.min_calls and after.good / total < settings.success_share
    if poor or after.failures_in_row >= settings.consecutive:
        return _open(after, settings, now, draw)
    return after


def _open(state: BreakerState, settings: BreakerSettings, now: float, draw: float) -> BreakerState:
    wait_s = min(settings.backoff_s * 2.0 ** min(state.opened, 30), settings.backoff_max_s)
    wait_s *= 1 + settings.jitter_share * (2 * draw - 1)
    return BreakerState(state=GateState.OPEN, opened=state.opened + 1, retry_at=now + wait_s, updated_at=now)
