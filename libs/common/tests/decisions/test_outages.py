"""Replays of known outages, computed by hand, and what must hold for every schedule."""

import pytest
from fairlead_common.decisions.gate_records import GateSettings
from fairlead_common.decisions.outages import Outcome, ReplaySettings, Span, common, merged, replay, within
from hypothesis import given, settings
from hypothesis import strategies as st

AT_ONCE = ReplaySettings(detection_s=1.0, notice_s=5.0, gates=GateSettings(steps=(0.5,), step_s=4.0))
"""Half of the traffic comes back 5 s after the end of an outage, all of it 4 s later."""


def test_spans_that_overlap_or_touch_are_one() -> None:
    assert merged([(5, 7), (0, 2), (2, 3), (6, 9), (9, 9), (20, 20)]) == [(0, 3), (5, 9)]
    assert within([(0, 5), (8, 12), (20, 30)], (3, 10)) == [(3, 5), (8, 10)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([[(0, 10)], [(5, 15)]], [(5, 10)]),
        ([[(0, 10)], [(10, 15)]], []),
        ([[(0, 10), (20, 30)], [(5, 25)]], [(5, 10), (20, 25)]),
        ([[(0, 10)], [(0, 10)], [(2, 3), (4, 12)]], [(2, 3), (4, 10)]),
        ([[(0, 10)], []], []),
        ([[(1, 2)]], [(1, 2)]),
    ],
)
def test_when_all_are_down(spans: list[list[Span]], expected: list[Span]) -> None:
    assert common(spans) == expected


def test_two_providers_with_overlapping_outages() -> None:
    """a is down from 100 to 200, b from 150 to 300 (told in two overlapping incidents).

    100: requests try a first and are carried on to b, until a is noticed at 101. 150 to 200: nobody. 200: both gates are
    open, so all are tried, a first. From 205 a recovers, b cannot stand in: a carries everything. 305: b is well again.
    """
    found = replay({"a": [(100, 200)], "b": [(150, 220), (210, 300)]}, (0, 1000), AT_ONCE)
    assert found.down_s == {"a": 100, "b": 150}
    assert (found.alone("a"), found.alone("b")) == (0.9, 0.85)
    assert found.all_down == [(150, 200)]
    assert found.ceiling == pytest.approx(0.95)
    assert found.availability == pytest.approx(0.95)
    assert found.without_retries == pytest.approx(0.949)
    assert (found.wrong_s, found.rescued_s, found.away_s) == pytest.approx((1, 1, 0))
    assert found.switches == 2


def test_the_way_back_is_time_away_from_a_better_one() -> None:
    """a is down from 100 to 200: b serves until 205, and half of the requests until 209."""
    found = replay({"a": [(100, 200)], "b": []}, (0, 1000), AT_ONCE)
    assert (found.availability, found.ceiling) == (1.0, 1.0)
    assert found.alone("a") == 0.9
    assert found.wrong_s == pytest.approx(1)
    assert found.away_s == pytest.approx(5 + 4 / 2)
    assert found.switches == 2


def test_an_outage_that_is_over_before_it_is_noticed_moves_nothing_and_requests_are_rescued() -> None:
    found = replay({"a": [(100, 100.5)], "b": []}, (0, 1000), AT_ONCE)
    assert (found.switches, found.availability) == (0, 1.0)
    assert (found.wrong_s, found.rescued_s) == pytest.approx((0.5, 0.5))


def test_a_stand_in_that_fails_while_nobody_knows_that_the_first_is_back_is_found_by_panic() -> None:
    """b fails at 201, a is back since 200 but not yet noticed (205): b is tried until 202, then all, a first."""
    found = replay({"a": [(100, 200)], "b": [(201, 300)]}, (0, 1000), AT_ONCE)
    assert found.all_down == []
    assert found.availability == pytest.approx(1 - 1 / 1000)
    assert found.wrong_s == pytest.approx(1 + 1)


def test_a_relapse_while_recovering_is_stepped_back_from_and_not_a_second_outage_for_callers() -> None:
    found = replay({"a": [(100, 200), (206, 260)], "b": []}, (0, 1000), AT_ONCE)
    assert found.availability == 1.0
    assert found.switches == 2


def test_three_in_order_of_preference_and_one_without_outages() -> None:
    found = replay({"a": [(0, 50)], "b": [(0, 50)], "c": []}, (0, 100), AT_ONCE)
    assert found.availability == 1.0
    assert found.wrong_s == pytest.approx(1)
    assert (found.alone("a"), found.alone("b"), found.alone("c")) == (0.5, 0.5, 1.0)


def test_one_provider_alone_gains_nothing() -> None:
    found = replay({"a": [(10, 20)]}, (0, 100), AT_ONCE)
    assert found.availability == pytest.approx(found.alone("a")) == pytest.approx(found.ceiling) == 0.9
    assert (found.wrong_s, found.switches) == (0, 0)


SPANS = st.lists(
    st.tuples(st.integers(0, 900), st.integers(0, 200)).map(lambda at: (float(at[0]), float(at[0] + at[1]))),
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from("abcde"), SPANS, min_size=1), st.sampled_from([0.0, 0.5, 10.0]))
def test_for_every_schedule(incidents: dict[str, list[Span]], detection_s: float) -> None:
    rules = ReplaySettings(detection_s=detection_s)
    found: Outcome = replay(incidents, (0, 1000), rules)
    assert found.availability <= found.ceiling + 1e-9
    assert found.without_retries <= found.availability
    assert max(found.alone(name) for name in incidents) <= found.ceiling + 1e-9
    assert found.served_s + found.wrong_s - found.rescued_s <= found.period_s * found.ceiling + 1e-6
    assert replay(incidents, (0, 1000), rules) == found
