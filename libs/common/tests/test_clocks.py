"""The bus's time stamps in the time of this process: clocks that differ, drift and step."""

import pytest
from fairlead_common.bus.clocks import ServerClock
from hypothesis import given
from hypothesis import strategies as st

SERVER = 1_700_000_000.0
"""The server's clock when our monotonic one shows nought."""
DELAYS = st.lists(st.floats(0.0, 2.0), min_size=1, max_size=50)


def test_a_stamp_is_taken_as_it_is_while_nothing_was_learnt() -> None:
    assert ServerClock().here(SERVER, SERVER + 5, 7.0) == SERVER


@given(DELAYS, st.floats(-1e6, 1e6), st.floats(0.0, 100.0))
def test_the_end_is_known_but_for_the_shortest_journey_whatever_our_clock_shows(
    delays: list[float], ahead_s: float, age_s: float
) -> None:
    clock = ServerClock()
    for place, delay_s in enumerate(delays):
        clock.learn(SERVER + place * 0.1, place * 0.1 + delay_s)
    elapsed_s = len(delays) * 0.1 + age_s
    now = SERVER + elapsed_s + ahead_s
    stored_at = SERVER + elapsed_s - age_s
    found = clock.here(stored_at, now, elapsed_s)
    assert found <= now
    assert now - age_s - 1e-3 <= found <= now - age_s + min(delays) + 1e-3


def test_a_step_of_our_clock_does_not_matter() -> None:
    clock = ServerClock()
    clock.learn(SERVER, 0.0)
    for now in (SERVER - 3600.0, SERVER + 3600.0):
        assert clock.here(SERVER + 7.0, now, 10.0) == now - 3.0


def test_a_step_of_the_servers_clock_is_followed_at_once_or_within_the_window() -> None:
    clock, now = ServerClock(60.0), 5.0
    clock.learn(SERVER, 0.0)
    clock.learn(SERVER + 11.0, 1.0)
    assert clock.here(SERVER + 12.0, now, 2.0) == now, "forward"
    for second in range(2, 33):
        clock.learn(SERVER + second, float(second))
    assert clock.here(SERVER + 32.0, now, 32.0) == now - 10.0, "back: it may have been a long journey"
    for second in range(33, 70):
        clock.learn(SERVER + second, float(second))
    assert clock.here(SERVER + 69.0, now, 69.0) == now


def test_what_was_learnt_stays_while_it_is_quiet() -> None:
    clock = ServerClock(60.0)
    clock.learn(SERVER, 0.0)
    clock.learn(SERVER + 3600.0, 3602.0)  # held up together with us
    assert clock.here(SERVER + 3600.0, 1000.0, 3602.0) == pytest.approx(998.0)
