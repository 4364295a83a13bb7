"""The state of a provider as a state machine: tables, brown-outs, flaps, and properties that hold for every history."""

from dataclasses import replace
from itertools import pairwise

import pytest
from fairlead_common.events.health import Status
from fairlead_health.domain.alerts import QUIET, AlertRecord
from fairlead_health.domain.status import (
    KEPT_S,
    PAGE_VALID_S,
    CallSeen,
    MaintenanceSet,
    Observation,
    PageRead,
    Record,
    StatusSettings,
    Tick,
    Unwatched,
    counted,
    flapping,
    judged,
    observe,
    window,
)
from fairlead_health.domain.status_page import Page
from fairlead_health.domain.watch import Watch, is_calm
from hypothesis import given
from hypothesis import strategies as st

RULES = StatusSettings()
START = 1_000_000.0
NEW = Record("openai", since=START - 100)
HEALTHY = replace(NEW, status=Status.HEALTHY, sequence=1)
DOWN = replace(NEW, status=Status.DOWN, sequence=2, last_failure=START - 5)


def seen(outcome: str) -> CallSeen:
    """``.`` = success, ``x`` = failure, ``l`` = a rate limit."""
    return CallSeen({".": True, "x": False, "l": None}[outcome], "passive", "test", 100.0)


def after(outcomes: str, record: Record = HEALTHY, every_s: float = 1.0) -> tuple[Record, list[Status]]:
    """The record after one outcome every ``every_s`` seconds (a space = nothing but time), and its states in turn."""
    states = [record.status]
    for i, outcome in enumerate(outcomes):
        now = START + i * every_s
        record = observe(record, Tick() if outcome == " " else seen(outcome), now, RULES)
        if record.status is not states[-1]:
            states.append(record.status)
    return record, states


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("", []),
        ("xx", []),
        ("xxx", ["down"]),
        (".xx.xx.xx", []),
        ("xxx.", ["down"]),
        ("xxx..", ["down", "healthy"]),
        ("xxx.x.x.", ["down"]),
        ("lllllllll", []),
        ("xxlxx", ["down"]),
        ("xxx.l.", ["down", "healthy"]),
        ("." * 20 + "x" + "." * 5, []),
        (".........x" * 3, ["degraded"]),
        (".........x" * 3 + "." * 40, ["degraded", "healthy"]),
        (".x" * 8, ["down"]),
    ],
)
def test_a_healthy_provider_and_what_is_seen_of_it(outcomes: str, expected: list[str]) -> None:
    assert after(outcomes)[1][1:] == expected


@pytest.mark.parametrize(
    ("outcomes", "expected"), [("", []), (".", ["healthy"]), ("xx", []), ("xxx", ["down"]), ("lll", [])]
)
def test_an_unknown_provider_is_what_it_shows_first(outcomes: str, expected: list[str]) -> None:
    assert after(outcomes, NEW)[1][1:] == expected


def test_three_failures_within_milliseconds_wait_for_a_moment_without_any_success() -> None:
    record, states = after("....xxxxx", every_s=0.01)
    assert states == [Status.HEALTHY]
    record = observe(record, Tick(), START + 0.3, RULES)
    assert record.status is Status.HEALTHY
    record = observe(record, Tick(), START + 0.55, RULES)
    assert record.status is Status.DOWN
    assert record.reason == "5 failures in a row (passive: test)"


def test_a_brown_out_under_traffic_degrades_and_does_not_flap() -> None:
    """50 calls a second, three of ten fail, runs of three among them: one change, and one back when it is over."""
    record, states = after("xx..x....." * 10 * 5 + "xxx......." * 5 * 30, every_s=0.02)
    assert states == [Status.HEALTHY, Status.DEGRADED]
    for i in range(60 * 50):
        record = observe(record, seen("."), START + 40 + i * 0.02, RULES)
    assert record.status is Status.HEALTHY
    assert record.sequence == 3


def test_when_most_calls_fail_under_traffic_it_is_down_until_none_do() -> None:
    record, states = after(".x.xx" * 10 * 30, every_s=0.02)
    assert states[-1] is Status.DOWN
    assert record.sequence <= 3
    quiet = record.since + 100
    record = observe(record, seen("."), quiet, RULES)
    record = observe(record, seen("."), quiet + 0.02, RULES)
    assert record.status is Status.HEALTHY


def test_what_failed_before_a_recovery_does_not_make_it_degraded_after_it() -> None:
    record, states = after("x" * 25 + " " * 2 + "." * 60)
    assert states == [Status.HEALTHY, Status.DOWN, Status.HEALTHY]
    assert window(record, START + 87, KEPT_S)[:2] == (85, 25)


def test_a_degraded_provider_without_traffic_is_proven_well_by_probes() -> None:
    record, _ = after(".........x" * 3)
    record = observe(record, seen("."), START + 100, RULES)
    assert record.status is Status.DEGRADED
    record = observe(record, seen("."), START + 102, RULES)
    assert record.status is Status.HEALTHY


def test_from_the_fourth_change_on_each_makes_good_news_last_twice_as_long() -> None:
    record, now, wanted = HEALTHY, START, []
    for _ in range(6):
        for _ in range(3):
            now += 1
            record = observe(record, seen("x"), now, RULES)
        now, count = now + 1, 0
        while record.status is not Status.HEALTHY:
            now, count = now + 1, count + 1
            record = observe(record, seen("."), now, RULES)
        wanted.append(count)
    assert wanted == [2, 2, 8, 32, 64, 64]
    assert flapping(record, now, RULES)
    assert not flapping(record, now + RULES.flap_window_s, RULES)


def test_maintenance_judges_nothing_and_ends_in_unknown() -> None:
    record = observe(DOWN, MaintenanceSet(True, "planned"), START, RULES)
    assert (record.status, record.reason) == (Status.MAINTENANCE, "planned")
    for i in range(9):
        record = observe(record, seen("x"), START + 1 + i, RULES)
    assert record.status is Status.MAINTENANCE
    record = observe(record, MaintenanceSet(True, "planned"), START + 10, RULES)
    assert record.sequence == 3
    record = observe(record, MaintenanceSet(False, "over"), START + 11, RULES)
    assert record.status is Status.UNKNOWN
    assert observe(record, seen("."), START + 12, RULES).status is Status.HEALTHY


def test_a_time_that_nobody_watched_is_unknown_from_its_beginning() -> None:
    record = observe(replace(HEALTHY, failures_in_row=2), Unwatched(START - 50), START, RULES)
    assert (record.status, record.since, record.sequence) == (Status.UNKNOWN, START - 50, 2)
    assert record.failures_in_row == 0
    assert observe(record, Unwatched(START), START + 9, RULES) == record


def test_old_news_changes_nothing_and_late_news_only_the_windows() -> None:
    old = replace(seen("x"), ended_at=START - RULES.window_s - 1)
    assert counted(HEALTHY, old, START, RULES) == HEALTHY
    changed = replace(HEALTHY, since=START - 5)
    late = counted(changed, replace(seen("x"), ended_at=START - 6), START, RULES)
    assert (late.failures_in_row, window(late, START, 30)[1]) == (0, 1)


def test_a_clock_that_runs_ahead_cannot_move_news_into_the_future() -> None:
    record = counted(HEALTHY, replace(seen("."), ended_at=START + 3600), START, RULES)
    assert (record.last_check, record.last_success) == (START, START)
    assert window(record, START, 30)[0] == 1


def test_a_limit_is_a_look_but_no_call() -> None:
    record = observe(HEALTHY, seen("l"), START, RULES)
    assert (record.last_check, window(record, START, 30)[0]) == (START, 0)


def test_counting_on_stand_by_and_judging_later_comes_to_the_same() -> None:
    record = HEALTHY
    for i in range(5):
        record = counted(record, seen("x"), START + i, RULES)
    assert record.status is Status.HEALTHY
    assert judged(record, START + 5, RULES).status is Status.DOWN


def test_the_window_counts_calls_failures_and_the_latency_of_successes() -> None:
    record = HEALTHY
    for i, (ok, ms) in enumerate([(True, 100.0), (False, 9000.0), (True, 300.0)]):
        record = counted(record, CallSeen(ok, "active", "", ms), START + i * 10, RULES)
    assert window(record, START + 20, 300) == (3, 1, 200.0)
    assert window(record, START + 20, 15) == (2, 1, 300.0)
    assert window(record, START + 400, 300) == (0, 0, None)


def page(indicator: str, at: float) -> PageRead:
    return PageRead(Page(indicator, "API errors", at))


@pytest.mark.parametrize(
    ("indicator", "expected"),
    [
        ("none", Status.HEALTHY),
        ("minor", Status.HEALTHY),
        ("maintenance", Status.HEALTHY),
        ("major", Status.DEGRADED),
        ("critical", Status.DEGRADED),
    ],
)
def test_a_status_page_alone_degrades_and_never_more(indicator: str, expected: Status) -> None:
    record = observe(HEALTHY, page(indicator, START), START, RULES)
    states = after("." * 30, record)[1]
    assert states == [expected]


def test_the_end_of_what_a_page_says_is_the_end_of_its_effect() -> None:
    record = observe(HEALTHY, page("major", START), START, RULES)
    assert record.reason == "its status page says: API errors"
    assert after("." * 30, record)[0].status is Status.DEGRADED
    better = observe(record, page("none", START + 60), START + 60, RULES)
    assert after("....", better)[0].status is Status.HEALTHY
    forgotten = replace(record, since=START - 2 * PAGE_VALID_S, page=Page("major", "", START - PAGE_VALID_S))
    assert after("....", forgotten)[0].status is Status.HEALTHY


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.DOWN])
def test_what_a_page_says_does_not_outweigh_what_was_seen(status: Status) -> None:
    record = observe(replace(DOWN, status=status), page("major", START), START, RULES)
    assert record.status is status
    assert observe(record, page("none", START), START, RULES).status is status


OUTCOMES = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(".xl").map(seen),
            st.just(Tick()),
            st.booleans().map(lambda on: MaintenanceSet(on, "by hand")),
            st.sampled_from(["none", "major"]).map(lambda indicator: page(indicator, START)),
        ),
        st.floats(0.001, 40),
    ),
    max_size=80,
)


@given(OUTCOMES)
def test_for_every_history(history: list[tuple[Observation, float]]) -> None:
    """The sequence grows by one with each change and only then; memory is bounded; time stamps never run back."""
    record, now = NEW, START
    for observation, wait_s in history:
        now += wait_s
        before, record = record, observe(record, observation, now, RULES)
        assert record.sequence - before.sequence == (record.status is not before.status)
        assert record.since >= before.since
        assert (record.status is Status.MAINTENANCE) == record.maintenance
        assert len(record.seconds) <= KEPT_S * 1.1 + 1
        assert all(one.at < other.at for one, other in pairwise(record.seconds))


@given(OUTCOMES)
def test_a_provider_that_only_answers_is_soon_healthy_whatever_was(
    history: list[tuple[Observation, float]],
) -> None:
    record, now = NEW, START
    for observation, wait_s in history:
        now += wait_s
        record = observe(record, observation, now, RULES)
    record = observe(record, MaintenanceSet(False, "over"), now, RULES)
    record = observe(record, page("none", now), now, RULES)
    for _ in range(70):
        now += 1
        record = observe(record, seen("."), now, RULES)
    assert record.status is Status.HEALTHY


@given(OUTCOMES)
def test_a_provider_that_only_fails_is_soon_down_whatever_was(
    history: list[tuple[Observation, float]],
) -> None:
    record, now = NEW, START
    for observation, wait_s in history:
        now += wait_s
        record = observe(record, observation, now, RULES)
    record = observe(record, MaintenanceSet(False, "over"), now, RULES)
    for _ in range(RULES.failures_to_down):
        now += RULES.failing_s
        record = observe(record, seen("x"), now, RULES)
    assert record.status is Status.DOWN


@given(st.lists(st.sampled_from(".l"), max_size=200), st.floats(0.001, 5))
def test_without_a_failure_nothing_ever_gets_worse(outcomes: list[str], every_s: float) -> None:
    assert after("".join(outcomes), every_s=every_s)[1] == [Status.HEALTHY]


@pytest.mark.parametrize(
    ("record", "alert", "expected"),
    [
        (HEALTHY, QUIET, True),
        (replace(HEALTHY, status=Status.MAINTENANCE), QUIET, True),
        (DOWN, QUIET, False),
        (NEW, QUIET, False),
        (replace(HEALTHY, status=Status.DEGRADED), QUIET, False),
        (replace(HEALTHY, failures_in_row=1), QUIET, False),
        (HEALTHY, replace(QUIET, alert_id="a"), False),
        (HEALTHY, replace(QUIET, breached_since=START), False),
    ],
)
def test_when_time_alone_changes_little(record: Record, alert: AlertRecord, expected: bool) -> None:
    assert is_calm(Watch(record, alerts={"fingerprint": alert})) == expected
