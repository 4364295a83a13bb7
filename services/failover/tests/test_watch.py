"""The policies' own gates on a virtual clock."""

from dataclasses import replace
from typing import Any

from fairlead_common.decisions.gate_records import Cause, GateRecord
from fairlead_common.decisions.plan import GateState
from fairlead_common.decisions.targets import Target
from fairlead_common.decisions.triggers import Outcome
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot, Recovery, Triggers
from fairlead_failover.watch import KEPT, MAX_TARGETS, Guarded, PolicyWatch

NOW = 1_000_000.0
TARGET = Target("openai", "m")
GUARDED = Guarded(1, "r", TARGET)
RECOVERY = Recovery(hold_s=5, max_hold_s=60, steps=(0.5,), step_s=1)
HEALTHY, DOWN = {"openai": "healthy"}, {"openai": "down"}


def watching(**triggers: Any) -> PolicyWatch:
    rule = PolicyRule(name="r", triggers=Triggers.model_validate(triggers), recovery=RECOVERY)
    return PolicyWatch({1: PolicySnapshot(workspace_id=1, version=1, rules=(rule,))})


def failed(at: float) -> Outcome:
    return Outcome(at, ErrorClass.SERVER_ERROR, 50.0)


def live(watch: PolicyWatch, begin: float, seconds: int, status: dict[str, str] = HEALTHY) -> list[str]:
    """What moves in these seconds, with nobody calling."""
    moved = []
    for second in range(1, seconds + 1):
        moved += [each.record.state.value for each in watch.judge(status, begin + second)]
    return moved


def test_a_gate_of_another_controller_ends_though_nobody_calls_its_target() -> None:
    first = watching(consecutive_failures=2)
    for i in range(2):
        first.hear(TARGET, failed(NOW + i), NOW + i)
    first.judge(HEALTHY, NOW + 1)
    assert first.records[GUARDED].state is GateState.OPEN
    second = watching(consecutive_failures=2)
    second.records = dict(first.records)
    assert live(second, NOW + 1, 20) == ["recovering", "closed"]


def test_a_gate_whose_target_is_no_longer_remembered_ends() -> None:
    watch = watching(consecutive_failures=1)
    watch.hear(TARGET, failed(NOW), NOW)
    watch.judge(HEALTHY, NOW)
    for i in range(MAX_TARGETS):
        watch.remember(Target("openai", f"other-{i}"), Outcome(NOW + 1, None, 50.0))
    assert live(watch, NOW, 20) == ["recovering", "closed"]


def test_what_was_heard_while_another_decided_counts_once_it_is_our_turn() -> None:
    watch = watching(error_rate=0.5, min_calls=4, window_s=60)
    for i in range(4):
        watch.remember(TARGET, failed(NOW + i))
    assert not watch.records, "nothing moves on stand-by"
    (moved,) = watch.judge(HEALTHY, NOW + 10)
    assert (moved.record.cause, moved.samples) == (Cause.ERROR_RATE, 4)


def test_a_state_that_moved_traffic_keeps_it_away_while_it_lasts_and_for_the_hold() -> None:
    watch = watching(status=["down", "degraded"])
    watch.remember(TARGET, Outcome(NOW, None, 50.0))
    assert live(watch, NOW, 30, DOWN) == ["open"], "once, and it stays"
    assert live(watch, NOW + 30, 5, HEALTHY) == ["recovering", "closed"]


def test_the_hold_of_a_state_that_was_over_at_once_is_kept() -> None:
    watch = watching(status=["down"])
    watch.remember(TARGET, Outcome(NOW, None, 50.0))
    assert live(watch, NOW, 1, DOWN) == ["open"]
    assert live(watch, NOW + 1, 4, HEALTHY) == []
    assert live(watch, NOW + 5, 10, HEALTHY) == ["recovering", "closed"]


def test_a_busy_target_is_judged_by_its_last_calls_and_the_evidence_says_so() -> None:
    watch = watching(error_rate=0.5, window_s=600)
    for i in range(KEPT):
        watch.remember(TARGET, Outcome(NOW + i / 1000, None, 50.0))
    for i in range(KEPT):
        watch.remember(TARGET, failed(NOW + 1 + i / 1000))
    (moved,) = watch.judge(HEALTHY, NOW + 2)
    assert moved.evidence == "100.0% of the last 1000 calls, more than 50.0%"


def test_a_gate_that_a_clock_ahead_of_ours_has_closed_hears_calls_all_the_same() -> None:
    watch = watching(consecutive_failures=2)
    watch.records = {GUARDED: GateRecord(GUARDED.key, since=NOW + 3600)}
    moved = []
    for i in range(2):
        watch.hear(TARGET, failed(NOW + i), NOW + i)
        moved += watch.judge(HEALTHY, NOW + i, (TARGET,))
    assert [each.record.state for each in moved] == [GateState.OPEN]


def test_a_wait_that_a_clock_ahead_of_ours_began_is_as_long_as_it_was_meant_to_be() -> None:
    watch = watching(consecutive_failures=2)
    ahead = GateRecord(
        GUARDED.key, state=GateState.OPEN, since=NOW + 3600, opened_at=NOW + 3600, retry_at=NOW + 3605
    )
    watch.records = {GUARDED: ahead}
    assert live(watch, NOW, 20) == ["recovering", "closed"]


def test_gates_of_rules_that_are_gone_close() -> None:
    watch = watching(consecutive_failures=1)
    record = replace(GateRecord("x"), state=GateState.OPEN, opened_at=NOW)
    watch.records = {Guarded(1, "gone", TARGET): record}
    (moved,) = watch.judge(HEALTHY, NOW)
    assert (moved.record.state, moved.record.reason) == (GateState.CLOSED, "its rule is gone")
