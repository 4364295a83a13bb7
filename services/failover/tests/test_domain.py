"""The gates of the fleet together: who is judged by what, and what the workspaces are told."""

from fairlead_common.decisions.gate_records import (
    CallSeen,
    Cause,
    GateRecord,
    GateSettings,
    Held,
    Hold,
    HoldKind,
    StatusSeen,
    Tick,
)
from fairlead_common.decisions.plan import GateState
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import ErrorClass
from fairlead_failover.domain import Moved, observe, observe_call, without_idle
from hypothesis import given, settings
from hypothesis import strategies as st

RULES = GateSettings()
START = 1_000_000.0
A, B, C = (Target("openai", model) for model in "abc")
FAILED, WELL = CallSeen(False), CallSeen(True)


class Fleet:
    """Gates and what was told of them, one observation a tenth of a second."""

    def __init__(self) -> None:
        self.records: dict[str, GateRecord] = {"openai": GateRecord("openai", status="healthy")}
        self.told: list[str] = []
        self.now = START

    def _take(self, moved: list[Moved]) -> None:
        self.now += 0.1
        for each in moved:
            self.records[each.record.key] = each.record
            if each.switch is not None:
                self.told.append(
                    f"{each.switch.kind} {' '.join((each.switch.key, *each.switch.models))} {each.switch.cause}"
                )

    def calls(self, target: Target, *seen: CallSeen) -> None:
        for each in seen:
            self._take(observe_call(self.records, target, each, self.now, RULES))

    def says(self, status: str) -> None:
        self._take(observe(self.records, "openai", StatusSeen(status, "a test", self.now), self.now, RULES))

    def pass_time(self, for_s: float) -> None:
        until = self.now + for_s
        while self.now < until:
            for key in list(self.records):
                self._take(observe(self.records, key, Tick(), self.now, RULES))

    def states(self) -> dict[str, str]:
        return {key: each.state.value for key, each in self.records.items()}


def test_a_model_that_fails_is_left_alone_and_its_neighbours_are_not() -> None:
    fleet = Fleet()
    fleet.calls(B, WELL, WELL)
    fleet.calls(A, *[FAILED] * 5)
    assert fleet.states() == {"openai": "closed", "openai/b": "closed", "openai/a": "open"}
    assert fleet.told == ["switched openai/a consecutive_failures"]


def test_several_failing_models_are_the_providers_failure_and_told_once_each() -> None:
    fleet = Fleet()
    fleet.calls(A, *[FAILED] * 5)
    fleet.calls(B, *[FAILED] * 5)
    assert fleet.states() == {"openai": "open", "openai/a": "closed", "openai/b": "closed"}
    wide = fleet.records["openai"]
    assert (wide.cause, wide.models, wide.failing_since) == (
        Cause.MODELS_FAILING,
        ("openai/a", "openai/b"),
        START,
    )
    assert fleet.told == [
        "switched openai/a consecutive_failures",
        "switched openai/b consecutive_failures",
    ]
    fleet.pass_time(3)
    assert fleet.states()["openai"] == "half_open"
    fleet.calls(B, WELL)
    fleet.pass_time(10)
    assert fleet.states()["openai"] == "closed"
    assert fleet.told[2:] == ["recovered openai openai/a openai/b recovered"]


def test_two_failing_models_among_many_that_are_well_are_their_own_failure() -> None:
    fleet = Fleet()
    for model in "cdef":
        fleet.calls(Target("openai", model), WELL)
    fleet.calls(A, *[FAILED] * 5)
    fleet.calls(B, *[FAILED] * 5)
    assert fleet.states()["openai"] == "closed"


def test_health_that_confirms_what_calls_have_shown_is_no_second_switch() -> None:
    fleet = Fleet()
    fleet.calls(A, *[FAILED] * 5)
    fleet.says("down")
    assert fleet.states() == {"openai": "open", "openai/a": "closed"}
    fleet.says("healthy")
    fleet.pass_time(10)
    assert fleet.told == [
        "switched openai/a consecutive_failures",
        "recovered openai openai/a recovered",
    ]


def test_a_model_that_failed_long_before_its_provider_is_another_outage() -> None:
    fleet = Fleet()
    fleet.calls(A, *[FAILED] * 5)
    fleet.now += 60
    fleet.says("down")
    assert fleet.told == ["switched openai/a consecutive_failures", "switched openai status_down"]


def test_an_operators_hand_or_healths_word_does_not_begin_with_the_failures_of_a_model() -> None:
    """Detection is reckoned from there."""
    hold = Held(Hold(HoldKind.OUT, START + 3600), "by hand")
    for observation in (hold, StatusSeen("down", "a test")):
        fleet = Fleet()
        fleet.calls(A, *[FAILED] * 5)
        assert fleet.records["openai/a"].failing_since == START
        moved = observe(fleet.records, "openai", observation, START + 600, RULES)
        assert [each.switch.failing_since for each in moved if each.switch is not None] == [None]


def test_while_a_provider_is_out_its_models_are_not_judged_and_limits_say_nothing_of_it() -> None:
    fleet = Fleet()
    fleet.says("down")
    fleet.calls(A, *[FAILED] * 9)
    fleet.calls(A, CallSeen(False, None, ErrorClass.RATE_LIMITED, 10.0))
    assert fleet.states() == {"openai": "open"}


def test_while_a_provider_is_pinned_its_models_are_not_judged() -> None:
    fleet = Fleet()
    hold = Hold(HoldKind.PIN, START + 60)
    fleet._take(observe(fleet.records, "openai", Held(hold, "a false alarm"), fleet.now, RULES))
    fleet.calls(A, *[FAILED] * 20, CallSeen(False, limit=ErrorClass.RATE_LIMITED, retry_after_s=30.0))
    assert fleet.states() == {"openai": "closed"}
    assert fleet.told == []
    fleet.now = START + 61
    fleet.pass_time(1)
    fleet.calls(A, *[FAILED] * 5)
    assert fleet.states()["openai/a"] == "open"


def test_a_limit_is_its_models_own() -> None:
    fleet = Fleet()
    fleet.calls(A, CallSeen(False, None, ErrorClass.RATE_LIMITED, 10.0))
    fleet.calls(B, CallSeen(False, None, ErrorClass.RATE_LIMITED, 10.0))
    assert fleet.states() == {"openai": "closed", "openai/a": "open", "openai/b": "open"}
    assert fleet.told == ["switched openai/a rate_limited", "switched openai/b rate_limited"]


def test_gates_that_never_moved_and_are_idle_are_forgotten() -> None:
    fleet = Fleet()
    fleet.calls(A, *[FAILED] * 5)
    fleet.calls(B, WELL)
    assert set(without_idle(fleet.records, fleet.now, RULES)) == {"openai", "openai/a", "openai/b"}
    assert set(without_idle(fleet.records, fleet.now + 60, RULES)) == {"openai", "openai/a"}


CALLS = st.tuples(
    st.sampled_from([A, B, C]),
    st.one_of(st.booleans().map(CallSeen), st.just(CallSeen(False, None, ErrorClass.RATE_LIMITED, 5.0))),
)
EVENTS = st.lists(
    st.tuples(
        st.one_of(CALLS, st.sampled_from(["healthy", "down", "degraded"]), st.none()), st.floats(0.01, 20)
    ),
    max_size=120,
)


@settings(deadline=None)
@given(EVENTS)
def test_for_every_history_a_provider_that_is_out_speaks_for_its_models(
    history: list[tuple[tuple[Target, CallSeen] | str | None, float]],
) -> None:
    """And what was switched recovers, once everything is well for long enough."""
    fleet = Fleet()
    for event, wait_s in history:
        fleet.now += wait_s
        match event:
            case None:
                fleet.pass_time(0.2)
            case str():
                fleet.says(event)
            case (target, seen):
                fleet.calls(target, seen)
        if fleet.records["openai"].state in (GateState.OPEN, GateState.HALF_OPEN):
            own = [each for key, each in fleet.records.items() if "/" in key]
            assert all(each.state is GateState.CLOSED for each in own)
    fleet.says("healthy")
    for _ in range(400):
        fleet.now += 1
        fleet.calls(A, WELL)
        fleet.calls(B, WELL)
        fleet.calls(C, WELL)
        fleet.pass_time(0.1)
    assert set(fleet.states().values()) == {"closed"}
