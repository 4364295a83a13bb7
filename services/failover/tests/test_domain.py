"""The fleet's gate as a state machine: tables, and properties that hold for every history."""

from dataclasses import replace
from itertools import pairwise

import pytest
from fairlead_common.decisions.plan import GateState
from fairlead_failover.domain import (
    CallSeen,
    GateRecord,
    GateSettings,
    Observation,
    OperatorActs,
    StatusSeen,
    Switch,
    Tick,
    advance,
    switch_of,
)
from hypothesis import given
from hypothesis import strategies as st

RULES = GateSettings()
START = 1_000_000.0
CLOSED = GateRecord("openai", status="healthy", checked_at=START)
OUT, BACK = OperatorActs(True, "by hand"), OperatorActs(False, "by hand")
SIGNS: dict[str, Observation] = {
    ".": CallSeen(True),
    "x": CallSeen(False),
    "D": StatusSeen("down"),
    "H": StatusSeen("healthy"),
    "G": StatusSeen("degraded"),
    "U": StatusSeen("unknown"),
    "M": StatusSeen("maintenance"),
    "o": OUT,
    "b": BACK,
    "t": Tick(),
    " ": Tick(),
}


def life(
    signs: str, record: GateRecord = CLOSED, every_s: float = 1.0, start: float = START
) -> tuple[GateRecord, list[str]]:
    """The record after one observation every ``every_s`` seconds, and what changed: state@share."""
    changes = []
    for i, sign in enumerate(signs):
        before, now = record, start + i * every_s
        observation = SIGNS[sign]
        if isinstance(observation, StatusSeen):
            observation = replace(observation, checked_at=now)
        record = advance(record, observation, now, RULES)
        if record.sequence != before.sequence:
            changes.append(f"{record.state}@{record.share:g}")
    return record, changes


STEPS = ["recovering@0.1", "recovering@0.25", "recovering@0.5", "closed@1"]


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ("HHH", []),
        ("D", ["open@0"]),
        ("DDDDD", ["open@0"]),
        ("D   H    ", ["open@0", *STEPS]),
        ("D   G    ", ["open@0", *STEPS]),
        ("D   U    ", ["open@0"]),
        ("DH  D", ["open@0", *STEPS[:2], "open@0"]),
        ("DH M     H ", ["open@0", *STEPS[:2]]),
        ("M          ", []),
        ("x" * 9, []),
        ("x" * 10, ["open@0"]),
        ("." * 11 + ".xx." * 3, []),
        ("x" * 10 + "     ", ["open@0", *STEPS]),
        ("xxxxxxxxxxD     H    ", ["open@0", *STEPS]),
        ("DH xx.xx.    ", ["open@0", *STEPS[:1], *STEPS[1:]]),
        ("o    HHH   ", ["open@0"]),
        ("o    b    ", ["open@0", *STEPS]),
        ("Do   H  b    ", ["open@0", "open@0", *STEPS]),
        ("b    ", []),
    ],
)
def test_a_gate_and_what_it_sees(signs: str, expected: list[str]) -> None:
    assert life(signs)[1] == expected


def test_a_poor_share_opens_without_a_run() -> None:
    assert life(".x" * 9, every_s=0.1)[1] == []
    assert life(".x" * 12, every_s=0.1)[1] == ["open@0"]


def test_failures_while_recovering_close_the_way_back_and_the_wait_doubles() -> None:
    record, waits = CLOSED, []
    now = START
    for _ in range(5):
        while record.state is not GateState.OPEN:
            now += 0.1
            record = advance(record, CallSeen(False), now, RULES)
        assert record.retry_at is not None
        waits.append(record.retry_at - now)
        while record.state is GateState.OPEN:
            now += 0.1
            record = advance(record, Tick(), now, RULES)
        assert (record.state, record.share) == (GateState.RECOVERING, 0.1)
    assert waits == pytest.approx([2, 4, 8, 16, 32])
    assert record.opened_at == pytest.approx(START + 1.0)


def test_a_few_failures_among_many_successes_do_not_stop_a_recovery() -> None:
    record, changes = life("D" + "H" + (".........x " * 100), every_s=0.01)
    assert changes == ["open@0", *STEPS]
    assert record.state is GateState.CLOSED


def test_a_gate_that_was_closed_for_long_has_no_history() -> None:
    record = replace(CLOSED, relapses=7, since=START - 61)
    assert life("x" * 10, record, 0.1)[0].relapses == 1
    assert life("x" * 10, replace(record, since=START - 10), 0.1)[0].relapses == 8


def test_a_provider_that_still_is_down_can_be_brought_back_by_hand_and_is_given_a_trickle() -> None:
    record, changes = life("D  b" + "D" * 60)
    assert changes == ["open@0", "recovering@0.1"]
    assert life("H    ", record, start=START + 90)[1] == STEPS[1:]
    assert life("xxx", record, start=START + 90)[1] == ["open@0"]


def test_a_provider_that_nobody_looks_after_gets_a_trickle() -> None:
    """Its probes are off: no traffic would mean no news for ever."""
    record, _ = life("D")
    blind_from = START + RULES.blind_s
    assert advance(record, Tick(), blind_from - 0.1, RULES) == record
    trying = advance(record, Tick(), blind_from, RULES)
    assert (trying.state, trying.share) == (GateState.RECOVERING, 0.1)
    assert advance(trying, Tick(), blind_from + 1000, RULES) == trying
    looked_at = replace(record, checked_at=blind_from - 1)
    assert advance(looked_at, Tick(), blind_from, RULES) == looked_at


def test_what_ended_before_the_gate_moved_or_long_ago_decides_nothing() -> None:
    moved = replace(CLOSED, since=START)
    assert advance(moved, CallSeen(False, START - 0.1), START + 1, RULES) == moved
    assert advance(CLOSED, CallSeen(False, START - 31), START, RULES) == CLOSED
    assert advance(CLOSED, CallSeen(False, START - 29), START, RULES).breaker.failures_in_row == 1


def test_a_switch_is_one_outage_however_often_it_relapses() -> None:
    record, switches = CLOSED, []
    for i, sign in enumerate("DH xxx" + " " * 10 + "H    "):
        after = advance(record, SIGNS[sign], START + i, RULES)
        if (found := switch_of(record, after)) is not None:
            switches.append(found)
        record = after
    assert switches == [
        Switch("switched", "openai", "status_down", START, START),
        Switch("recovered", "openai", "recovered", switches[-1].at, START),
    ]


OBSERVATIONS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(["healthy", "degraded", "down", "unknown", "maintenance"]).map(StatusSeen),
            st.booleans().map(CallSeen),
            st.sampled_from([OUT, BACK]),
            st.just(Tick()),
        ),
        st.floats(0.001, 50),
    ),
    max_size=100,
)


def follow(history: list[tuple[Observation, float]]) -> tuple[list[GateRecord], float]:
    """Every record in turn, and the time at the end."""
    records, now = [CLOSED], START
    for observation, wait_s in history:
        now += wait_s
        records.append(advance(records[-1], observation, now, RULES))
    return records, now


@given(OBSERVATIONS)
def test_for_every_history(history: list[tuple[Observation, float]]) -> None:
    """One state at a time and what belongs to it; sequences count changes; shares climb one step at a time."""
    for before, after in pairwise(follow(history)[0]):
        assert after.sequence - before.sequence in (0, 1)
        changed = (after.state, after.share, after.since) != (before.state, before.share, before.since)
        assert changed <= (after.sequence > before.sequence)
        assert (after.opened_at is None) == (after.state is GateState.CLOSED)
        match after.state:
            case GateState.CLOSED:
                assert after.share == 1.0
                assert before.share in (1.0, RULES.steps[-1])
            case GateState.OPEN:
                assert after.share == 0.0
            case GateState.RECOVERING:
                position = RULES.steps.index(after.share)
                assert before.share in (0.0, *RULES.steps[max(0, position - 1) : position + 1])
                assert before.state is not GateState.CLOSED
            case state:
                raise AssertionError(f"a fleet's gate is never {state}")


@given(OBSERVATIONS)
def test_replaying_a_status_changes_nothing_more(history: list[tuple[Observation, float]]) -> None:
    record, now = CLOSED, START
    for observation, wait_s in history:
        now += wait_s
        record = advance(record, observation, now, RULES)
        if isinstance(observation, StatusSeen):
            assert advance(record, observation, now, RULES) == record


@given(OBSERVATIONS)
def test_it_never_stays_open_once_health_says_healthy(history: list[tuple[Observation, float]]) -> None:
    records, now = follow([*history, (BACK, 0.1)])
    record = records[-1]
    for _ in range(400):
        now += 1
        for observation in (StatusSeen("healthy", checked_at=now), CallSeen(True), Tick()):
            record = advance(record, observation, now, RULES)
    assert record.state is GateState.CLOSED


@given(OBSERVATIONS)
def test_an_operators_opening_ends_by_hand_alone(history: list[tuple[Observation, float]]) -> None:
    record, now = advance(CLOSED, OUT, START, RULES), START
    for observation, wait_s in history:
        now += wait_s
        if not isinstance(observation, OperatorActs):
            record = advance(record, observation, now, RULES)
            assert record.state is GateState.OPEN


@given(st.lists(st.floats(0.001, 10), max_size=100))
def test_successes_and_time_alone_never_open(waits: list[float]) -> None:
    record, now = CLOSED, START
    for wait_s in waits:
        now += wait_s
        record = advance(advance(record, CallSeen(True), now, RULES), Tick(), now, RULES)
        assert record.state is GateState.CLOSED
