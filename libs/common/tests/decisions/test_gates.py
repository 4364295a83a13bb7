"""The fleet's gate as a state machine: tables, and properties that hold for every history."""

from dataclasses import replace
from itertools import pairwise

import pytest
from fairlead_common.decisions.gate_records import (
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
from fairlead_common.decisions.gates import absorbed, advance, switch_of
from fairlead_common.decisions.plan import GateState
from fairlead_common.outcomes import ErrorClass
from hypothesis import given
from hypothesis import strategies as st

RULES = GateSettings()
START = 1_000_000.0
CLOSED = GateRecord("openai", status="healthy", checked_at=START)
BACK = Released("by hand")
LIMITED = CallSeen(False, limit=ErrorClass.RATE_LIMITED)
SIGNS: dict[str, Observation] = {
    ".": CallSeen(True),
    "x": CallSeen(False),
    "l": LIMITED,
    "D": StatusSeen("down"),
    "H": StatusSeen("healthy"),
    "G": StatusSeen("degraded"),
    "U": StatusSeen("unknown"),
    "M": StatusSeen("maintenance"),
    "F": ModelsFailing(("openai/a", "openai/b")),
    "b": BACK,
    " ": Tick(),
}


def held(kind: HoldKind, now: float, for_s: float) -> Held:
    return Held(Hold(kind, now + for_s), "by hand")


def life(
    signs: str, record: GateRecord = CLOSED, every_s: float = 1.0, start: float = START
) -> tuple[GateRecord, list[str]]:
    """The record after one observation every ``every_s`` seconds, and what changed: state@share.

    ``o``, ``d`` and ``p`` = out, drained and pinned for ten turns.
    """
    changes = []
    kinds = {"o": HoldKind.OUT, "d": HoldKind.DRAIN, "p": HoldKind.PIN}
    for i, sign in enumerate(signs):
        before, now = record, start + i * every_s
        observation = held(kinds[sign], now, 10 * every_s) if sign in kinds else SIGNS[sign]
        if isinstance(observation, StatusSeen):
            observation = replace(observation, checked_at=now)
        record = advance(record, observation, now, RULES)
        if record.sequence != before.sequence:
            changes.append(f"{record.state}@{record.share:g}")
    return record, changes


STEPS = ["recovering@0.01", "recovering@0.1", "recovering@0.5", "closed@1"]
QUIET = " " * 9
"""As long as three steps take in which nobody calls."""


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ("HHH", []),
        ("D", ["open@0"]),
        ("DDDDD", ["open@0"]),
        ("D   H " + QUIET, ["open@0", *STEPS]),
        ("D   G " + QUIET, ["open@0", *STEPS]),
        ("D   H . . . ", ["open@0", *STEPS]),
        ("D   U    ", ["open@0"]),
        ("DH  D", ["open@0", *STEPS[:1], "open@0"]),
        ("DH M     H ", ["open@0", *STEPS[:2]]),
        ("M          ", []),
        ("x" * 4, []),
        ("x" * 5, ["open@0"]),
        ("." * 11 + ".xx." * 1, []),
        ("x" * 5 + "     ", ["open@0", "half_open@0"]),
        ("x" * 5 + "  . ." + QUIET, ["open@0", "half_open@0", *STEPS]),
        ("x" * 5 + "  x    .", ["open@0", "half_open@0", "open@0", "half_open@0", *STEPS[:1]]),
        ("xxxxxD     H  " + QUIET, ["open@0", *STEPS]),
        ("F  ", ["open@0", "half_open@0"]),
        ("DF ", ["open@0"]),
        ("o    HHH   ", ["open@0", *STEPS[:1]]),
        ("o    b. . . ", ["open@0", *STEPS]),
        ("d    b. . . ", ["open@0", *STEPS]),
        ("Do   H  b. . . ", ["open@0", "open@0", *STEPS]),
        ("o D        ", ["open@0", "open@0"]),
        ("p xxxxxxx D ", ["closed@1", "open@0"]),
        ("p xxxxxxx  ", ["closed@1", "closed@1"]),
        ("Dp", ["open@0", "closed@1"]),
        ("b    ", []),
        ("ll.ll.", []),
        ("lll", ["open@0"]),
        ("lll     " + QUIET, ["open@0", *STEPS]),
    ],
)
def test_a_gate_and_what_it_sees(signs: str, expected: list[str]) -> None:
    assert life(signs)[1] == expected


def test_a_poor_share_opens_without_a_run() -> None:
    assert life(".....x", every_s=0.1)[1] == []
    record, changes = life(".x.x.x", every_s=0.1)
    assert changes == ["open@0"]
    assert record.cause is Cause.ERROR_RATE
    assert record.failing_since == pytest.approx(START + 0.5)


def test_a_run_of_failures_says_since_when() -> None:
    record, _ = life("." * 40 + "xxxxx")
    assert (record.cause, record.failing_since) == (Cause.CONSECUTIVE_FAILURES, START + 40)


def test_failed_trials_double_the_wait_up_to_a_maximum_with_jitter() -> None:
    record, now, waits = life("xxxxx")[0], START + 4, []
    for _ in range(12):
        assert record.retry_at is not None
        waits.append(record.retry_at - now)
        now = record.retry_at
        record = advance(advance(record, Tick(), now, RULES), CallSeen(False), now, RULES)
    for wait, nominal in zip(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300], strict=True):
        assert nominal * 0.8 <= wait <= nominal * 1.2
    assert len({round(wait / 300, 6) for wait in waits[-4:]}) == 4
    assert record.opened_at == START + 4


def test_failures_while_recovering_go_one_step_back_and_the_steps_get_longer() -> None:
    record, changes = life("DH . . xxx")
    assert changes == ["open@0", *STEPS[:3], "recovering@0.1"]
    since = record.since
    record = advance(record, CallSeen(True), since + 0.1, RULES)
    assert advance(record, Tick(), since + 1.9, RULES).share == 0.1
    assert advance(record, Tick(), since + 2.0, RULES).share == 0.5
    assert life("xxx", record, start=since + 0.2)[1] == ["recovering@0.01"]
    assert life("xxxxxx", record, start=since + 0.2)[1] == ["recovering@0.01", "open@0"]


def test_a_few_failures_among_many_successes_do_not_stop_a_recovery() -> None:
    record, changes = life("D" + "H" + (".........x " * 100), every_s=0.01)
    assert changes == ["open@0", *STEPS]
    assert record.state is GateState.CLOSED


def test_a_gate_that_was_closed_for_long_has_no_history() -> None:
    record = replace(CLOSED, relapses=7, since=START - 61)
    assert life("x" * 5, record, 0.1)[0].relapses == 1
    assert life("x" * 5, replace(record, since=START - 10), 0.1)[0].relapses == 8


def test_a_provider_that_still_is_down_can_be_brought_back_by_hand_and_is_given_a_trickle() -> None:
    record, changes = life("D  b" + "D" * 60)
    assert changes == ["open@0", "recovering@0.01"]
    assert life("H. . . ", record, start=START + 90)[1] == STEPS[1:]
    assert life("xxx", record, start=START + 90)[1] == ["open@0"]


def test_a_provider_that_nobody_looks_after_is_probed_and_else_gets_a_trickle() -> None:
    """Its probes are off: no traffic would mean no news for ever."""
    record, _ = life("D")
    blind_from = START + RULES.blind_s
    assert advance(record, Tick(), blind_from - 0.1, RULES) == record
    trying = advance(record, Tick(), blind_from, RULES)
    assert trying.state is GateState.HALF_OPEN
    assert advance(trying, CallSeen(True), blind_from + 1, RULES).state is GateState.RECOVERING
    nobody_can = advance(trying, Tick(), blind_from + RULES.probe_s, RULES)
    assert (nobody_can.state, nobody_can.share) == (GateState.RECOVERING, 0.01)
    assert advance(nobody_can, Tick(), blind_from + 1000, RULES) == nobody_can
    looked_at = replace(record, checked_at=blind_from - 1)
    assert advance(looked_at, Tick(), blind_from, RULES) == looked_at


@pytest.mark.parametrize(
    ("limit", "retry_after_s", "rest_s", "cause"),
    [
        (ErrorClass.RATE_LIMITED, 20.0, 20.0, Cause.RATE_LIMITED),
        (ErrorClass.RATE_LIMITED, 1e9, 3600.0, Cause.RATE_LIMITED),
        (ErrorClass.QUOTA_EXHAUSTED, None, 300.0, Cause.QUOTA_EXHAUSTED),
        (ErrorClass.QUOTA_EXHAUSTED, 60.0, 60.0, Cause.QUOTA_EXHAUSTED),
    ],
)
def test_a_limit_lasts_as_long_as_the_provider_says(
    limit: ErrorClass, retry_after_s: float | None, rest_s: float, cause: Cause
) -> None:
    seen = CallSeen(False, START - 1, limit, retry_after_s)
    record = advance(CLOSED, seen, START, RULES)
    assert (record.state, record.cause, record.retry_at) == (GateState.OPEN, cause, START - 1 + rest_s)
    assert advance(record, Tick(), START - 1.1 + rest_s, RULES) == record
    assert advance(record, Tick(), START - 1 + rest_s, RULES).state is GateState.RECOVERING
    assert record.breaker.bad == 0
    over = CallSeen(False, START - 10, ErrorClass.RATE_LIMITED, 5.0)
    assert advance(CLOSED, over, START, RULES).state is GateState.CLOSED


def test_a_hold_ends_at_its_time_without_anybody_and_a_later_one_replaces_it() -> None:
    out = advance(CLOSED, held(HoldKind.OUT, START, 60), START, RULES)
    assert (out.state, out.cause, out.retry_at) == (GateState.OPEN, Cause.OPERATOR, START + 60)
    assert advance(out, Tick(), START + 59.9, RULES) == out
    assert advance(out, Tick(), START + 60, RULES).state is GateState.RECOVERING
    pinned = advance(out, held(HoldKind.PIN, START + 1, 60), START + 1, RULES)
    assert (pinned.state, pinned.share, pinned.hold) == (
        GateState.CLOSED,
        1.0,
        Hold(HoldKind.PIN, START + 61),
    )
    assert advance(pinned, Tick(), START + 61, RULES).hold is None


@pytest.mark.parametrize("kind", HoldKind)
def test_a_hold_that_is_sent_again_changes_nothing(kind: HoldKind) -> None:
    hold = held(kind, START, 60)
    record = advance(CLOSED, hold, START, RULES)
    assert advance(record, hold, START + 5, RULES) == record
    other = replace(hold, reason="for maintenance")
    assert advance(record, other, START + 5, RULES).reason == "for maintenance"


def test_what_ended_before_the_gate_moved_or_long_ago_decides_nothing() -> None:
    moved = replace(CLOSED, since=START)
    assert advance(moved, CallSeen(False, START - 0.1), START + 1, RULES) == moved
    assert advance(CLOSED, CallSeen(False, START - 31), START, RULES) == CLOSED
    assert advance(CLOSED, CallSeen(False, START - 6), START, RULES).breaker.failures_in_row == 0
    assert advance(CLOSED, CallSeen(False, START - 4), START, RULES).breaker.failures_in_row == 1


def test_a_limit_that_is_heard_of_late_still_lasts_as_long_as_the_provider_asked_for() -> None:
    limit = CallSeen(False, START - 20, ErrorClass.RATE_LIMITED, retry_after_s=60)
    found = advance(CLOSED, limit, START, RULES)
    assert (found.state, found.retry_at) == (GateState.OPEN, START + 40)


def test_only_the_run_of_failures_that_opened_a_gate_says_when_the_outage_began() -> None:
    """Detection is reckoned from it: a lone failure of hours ago must not count, nor one before an operator's hand."""
    failed = advance(CLOSED, CallSeen(False, START), START, RULES)
    assert failed.failing_since == START
    later = START + 3 * 3600.0
    assert advance(failed, held(HoldKind.DRAIN, later, 60), later, RULES).failing_since is None
    limit = CallSeen(False, later, ErrorClass.RATE_LIMITED, retry_after_s=60)
    assert advance(failed, limit, later, RULES).failing_since is None
    assert advance(failed, StatusSeen("down", "probes fail"), later, RULES).failing_since is None
    assert absorbed(failed, later).failing_since is None
    record = failed
    for i in range(4):
        record = advance(record, CallSeen(False, later + i), later + i, RULES)
    assert (record.state, record.failing_since) == (GateState.OPEN, later)


def test_without_trials_the_wait_alone_decides_whatever_the_cause() -> None:
    rules = replace(RULES, trials=False, breaker=replace(RULES.breaker, backoff_s=5.0, jitter_share=0.0))
    for cause in (Cause.STATUS_DOWN, Cause.STATUS_DEGRADED, Cause.LATENCY):
        away = advance(CLOSED, Triggered(cause, "a test"), START, rules)
        assert advance(away, Tick(), START + 4.9, rules) == away
        assert advance(away, Tick(), START + 5.0, rules).state is GateState.RECOVERING


def test_a_gate_that_a_clock_ahead_of_ours_has_moved_hears_calls_all_the_same() -> None:
    """Of another replica, or of this one before its clock was set back."""
    ahead = START + 3600.0
    closed_then = replace(CLOSED, since=ahead)
    record = closed_then
    for i in range(5):
        record = advance(record, CallSeen(False, START + i), START + i, RULES)
    assert (record.state, record.since, record.failing_since) == (GateState.OPEN, START + 4, START)
    tried = replace(record, state=GateState.HALF_OPEN, retry_at=None, since=ahead, opened_at=ahead)
    tried = advance(tried, Tick(), START, RULES)
    well = advance(tried, CallSeen(True, START + 1), START + 1, RULES)
    assert (well.state, well.opened_at) == (GateState.RECOVERING, START)
    for _ in range(3):
        since = well.since
        well = advance(well, Tick(), since + RULES.step_s * RULES.quiet_steps, RULES)
        assert well.since > since


def test_a_wait_that_a_clock_ahead_of_ours_began_is_as_long_as_it_was_meant_to_be_but_for_a_hold() -> None:
    ahead = START + 3600.0
    opened = life("xxxxx", replace(CLOSED, since=ahead), every_s=0.0, start=ahead)[0]
    assert opened.retry_at is not None
    found = advance(opened, Tick(), START, RULES)
    assert found.retry_at == pytest.approx(START + opened.retry_at - ahead)
    assert found.sequence == opened.sequence
    held_then = advance(CLOSED, held(HoldKind.OUT, ahead, 60), ahead, RULES)
    assert advance(held_then, Tick(), START, RULES).retry_at == ahead + 60


def test_a_switch_is_one_outage_however_often_it_relapses() -> None:
    record, switches = CLOSED, []
    for i, sign in enumerate("DH xxx" + " " * 10 + "H. . . . "):
        after = advance(record, SIGNS[sign], START + i, RULES)
        if (found := switch_of(record, after)) is not None:
            switches.append(found)
        record = after
    assert switches == [
        Switch("switched", "openai", "status_down", START, START),
        Switch("recovered", "openai", "recovered", switches[-1].at, START),
    ]


def test_a_models_gate_that_its_provider_takes_over_is_closed_unless_it_is_held() -> None:
    opened, _ = life("xxxxx")
    taken = absorbed(opened, START + 9)
    assert (taken.state, taken.opened_at, taken.sequence) == (GateState.CLOSED, None, 2)
    out = advance(CLOSED, held(HoldKind.OUT, START, 60), START, RULES)
    assert absorbed(out, START + 9) == out


OBSERVATIONS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from(["healthy", "degraded", "down", "unknown", "maintenance"]).map(StatusSeen),
            st.booleans().map(CallSeen),
            st.builds(
                CallSeen,
                st.just(False),
                limit=st.sampled_from([ErrorClass.RATE_LIMITED, ErrorClass.QUOTA_EXHAUSTED]),
                retry_after_s=st.none() | st.floats(0.1, 100),
            ),
            st.sampled_from([BACK, ModelsFailing(("openai/a", "openai/b"))]),
            st.tuples(st.sampled_from(HoldKind), st.floats(0.1, 100)),
            st.just(Tick()),
        ),
        st.floats(0.001, 50),
    ),
    max_size=100,
)


def follow(
    history: list[tuple[Observation | tuple[HoldKind, float], float]],
) -> tuple[list[GateRecord], float]:
    """Every record in turn, and the time at the end."""
    records, now = [CLOSED], START
    for drawn, wait_s in history:
        now += wait_s
        observation = held(drawn[0], now, drawn[1]) if isinstance(drawn, tuple) else drawn
        records.append(advance(records[-1], observation, now, RULES))
    return records, now


@given(OBSERVATIONS)
def test_for_every_history(history: list[tuple[Observation | tuple[HoldKind, float], float]]) -> None:
    """One state at a time and what belongs to it; sequences count changes; shares climb one step at a time."""
    for before, after in pairwise(follow(history)[0]):
        assert after.sequence - before.sequence in (0, 1)
        changed = (after.state, after.share, after.since) != (before.state, before.share, before.since)
        assert changed <= (after.sequence > before.sequence)
        assert (after.opened_at is None) == (after.state is GateState.CLOSED)
        assert (after.cause is None) == (after.state is GateState.CLOSED)
        pinned = after.hold is not None and after.hold.kind is HoldKind.PIN
        match after.state:
            case GateState.CLOSED:
                assert after.share == 1.0
                assert pinned or before.share in (1.0, RULES.steps[-1])
            case GateState.OPEN:
                assert after.share == 0.0
            case GateState.HALF_OPEN:
                assert after.share == 0.0
                assert before.state in (GateState.OPEN, GateState.HALF_OPEN)
                assert after.hold is None
            case GateState.RECOVERING:
                position = RULES.steps.index(after.share)
                assert before.share in (0.0, *RULES.steps[max(0, position - 1) : position + 2])
                assert before.state is not GateState.CLOSED


@given(OBSERVATIONS)
def test_the_same_history_again_gives_the_same_records(
    history: list[tuple[Observation | tuple[HoldKind, float], float]],
) -> None:
    records, _ = follow(history)
    assert follow(history)[0] == records
    assert [each.sequence for each in records] == sorted(each.sequence for each in records)


@given(OBSERVATIONS)
def test_replaying_a_status_changes_nothing_more(
    history: list[tuple[Observation | tuple[HoldKind, float], float]],
) -> None:
    records, now = follow(history)
    for status in ("healthy", "down", "unknown"):
        record = advance(records[-1], StatusSeen(status), now, RULES)
        assert advance(record, StatusSeen(status), now, RULES) == record


@given(OBSERVATIONS)
def test_it_never_stays_open_once_it_is_well(
    history: list[tuple[Observation | tuple[HoldKind, float], float]],
) -> None:
    records, now = follow(history)
    record = records[-1]
    for _ in range(600):
        now += 1
        for observation in (StatusSeen("healthy", checked_at=now), CallSeen(True), Tick()):
            record = advance(record, observation, now, RULES)
        if record.state is GateState.CLOSED and record.hold is None:
            return
    raise AssertionError(f"still {record}")


@given(OBSERVATIONS, st.floats(0.001, 500))
def test_a_clock_that_is_set_back_keeps_nothing_open_nor_deaf(
    history: list[tuple[Observation | tuple[HoldKind, float], float]], back_s: float
) -> None:
    records, now = follow(history)
    record, now = records[-1], now - back_s
    for _ in range(1200):
        now += 1
        for observation in (StatusSeen("healthy", checked_at=now), CallSeen(True, now), Tick()):
            record = advance(record, observation, now, RULES)
            assert record.since <= now
            assert (record.opened_at or now) <= now
        if record.state is GateState.CLOSED and record.hold is None:
            break
    assert record.state is GateState.CLOSED
    for second in range(1, 11):
        record = advance(record, CallSeen(False, now + second), now + second, RULES)
    assert record.state is GateState.OPEN


@given(OBSERVATIONS, st.floats(1, 1000))
def test_an_operators_hold_ends_by_hand_or_at_its_time_alone(
    history: list[tuple[Observation | tuple[HoldKind, float], float]], for_s: float
) -> None:
    record, now = advance(CLOSED, held(HoldKind.OUT, START, for_s), START, RULES), START
    for observation, wait_s in history:
        now += wait_s
        if not isinstance(observation, (tuple, Released)) and now < START + for_s:
            record = advance(record, observation, now, RULES)
            assert record.state is GateState.OPEN
    assert advance(record, Tick(), START + for_s, RULES).hold is None


@given(st.lists(st.floats(0.001, 10), max_size=100))
def test_successes_and_time_alone_never_open(waits: list[float]) -> None:
    record, now = CLOSED, START
    for wait_s in waits:
        now += wait_s
        record = advance(advance(record, CallSeen(True), now, RULES), Tick(), now, RULES)
        assert record.state is GateState.CLOSED
