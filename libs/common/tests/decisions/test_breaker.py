"""The breaker as a state machine: tables, and properties that hold for every history."""

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, BreakerState, admitted, gate, observed
from fairlead_common.decisions.plan import GateState
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = BreakerSettings(jitter_share=0.0)


def after(outcomes: str, state: BreakerState = FRESH, step_s: float = 1.0) -> tuple[BreakerState, float]:
    """The state after a history like ``...xx`` (. = success, x = failure), one a second, and the time then."""
    now = 1000.0
    for outcome in outcomes:
        now += step_s
        state = observed(state, SETTINGS, outcome == ".", now, 0.5)
    return state, now


def test_a_run_of_failures_opens() -> None:
    assert after("." * 40 + "xxxx")[0].state is GateState.CLOSED
    assert after("." * 40 + "xxxxx")[0].state is GateState.OPEN


def test_a_low_share_of_successes_opens_without_a_run() -> None:
    assert after(".x.x.x")[0].state is GateState.OPEN
    assert after(".........x" * 3)[0].state is GateState.CLOSED


def test_few_calls_do_not_open() -> None:
    assert after(".x.x")[0].state is GateState.CLOSED


def test_old_failures_are_forgotten() -> None:
    state, now = after("..xx")
    for i in range(5):
        state = observed(state, SETTINGS, i > 0, now + 300 + i, 0.5)
    assert state.state is GateState.CLOSED


def test_open_lets_one_trial_through_after_the_wait() -> None:
    state, now = after("xxxxx")
    assert gate(state, now + 0.9, SETTINGS).state is GateState.OPEN
    assert gate(state, now + 1.0, SETTINGS).state is GateState.HALF_OPEN
    trying = admitted(state, now + 1.0, SETTINGS)
    assert gate(trying, now + 1.1, SETTINGS).state is GateState.OPEN
    assert gate(trying, now + 32, SETTINGS).state is GateState.HALF_OPEN
    assert observed(trying, SETTINGS, True, now + 1.2, 0.5) == FRESH


def test_each_failed_trial_doubles_the_wait_up_to_a_maximum() -> None:
    state, now = after("xxxxx")
    waits = []
    for _ in range(12):
        waits.append(state.retry_at - now)
        now = state.retry_at
        state = observed(admitted(state, now, SETTINGS), SETTINGS, False, now, 0.5)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == 300.0


def test_a_rate_limit_opens_for_as_long_as_asked_and_counts_no_failure() -> None:
    state = observed(FRESH, SETTINGS, False, 1000.0, 0.5, retry_after_s=20)
    assert gate(state, 1019.9, SETTINGS).state is GateState.OPEN
    assert gate(state, 1020.0, SETTINGS).state is GateState.HALF_OPEN
    assert (state.opened, state.bad) == (0, 0.0)


def test_an_answer_from_before_the_opening_decides_nothing() -> None:
    state, now = after("xxxxx")
    assert observed(state, SETTINGS, True, now + 0.1, 0.5) == state


@given(st.text(alphabet=".x", max_size=60), st.floats(0.01, 100), st.floats(0, 0.999))
def test_it_always_recovers_once_the_provider_does(history: str, step_s: float, draw: float) -> None:
    settings, now, state = BreakerSettings(), 1000.0, FRESH
    for outcome in history:
        now += step_s
        if gate(state, now, settings).state is not GateState.OPEN:
            state = observed(admitted(state, now, settings), settings, outcome == ".", now, draw)
    now = max(now, state.retry_at)
    assert gate(state, now, settings).state in (GateState.CLOSED, GateState.HALF_OPEN)
    state = observed(admitted(state, now, settings), settings, True, now, draw)
    assert gate(state, now, settings).state is GateState.CLOSED


@given(st.integers(0, 1000))
def test_successes_alone_never_open(count: int) -> None:
    assert after("." * count)[0].state is GateState.CLOSED
