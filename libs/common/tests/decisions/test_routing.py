"""Routing decisions: tables of what must come first, who is out and why, and properties that always hold."""

from dataclasses import replace
from typing import Any

import pytest
from fairlead_common.decisions.conditions import ConditionError, compile_conditions
from fairlead_common.decisions.plan import FleetView, Gate, GateState, NoCapacity, Plan, Reason, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy, compile_policy
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot, Strategy
from hypothesis import given
from hypothesis import strategies as st

ALL = frozenset({"tools", "vision", "structured_output"})
A = Candidate(Target("openai", "a"), True, ALL, 1000, 100, 2e-6, 8e-6, 0.7)
B = Candidate(Target("anthropic", "b"), False, ALL, 1000, 100, 1e-6, 4e-6, 0.9)
C = Candidate(Target("google", "c"), False, frozenset(), 500, 100, None, None, None)
CANDIDATES = (A, B, C)
REQUEST = RouteRequest("openai/a", input_tokens=100)
EMPTY = CompiledTable()


def plan(
    view: FleetView = FleetView(),  # noqa: B008 - frozen
    *,
    request: RouteRequest = REQUEST,
    candidates: tuple[Candidate, ...] = CANDIDATES,
    policy: CompiledPolicy | None = None,
    table: CompiledTable = EMPTY,
    draw: float = 0.5,
) -> Plan:
    found = make_plan(table, policy, request, lambda name: candidates, view, 1000.0, draw)
    assert isinstance(found, Plan)
    return found


def order(found: Plan) -> list[str]:
    return [step.target.provider for step in found.steps]


def table(strategy: Strategy, **conditions: Any) -> CompiledTable:
    rule = RuleSnapshot(rule_id=1, name="r", strategy=strategy, priority=1, conditions=conditions)
    return compile_table(RoutesSnapshot(workspace_id=1, version=7, rules=(rule,)))


def policy(**fields: Any) -> CompiledPolicy:
    return compile_policy(PolicySnapshot(workspace_id=1, version=1, **fields))


def test_what_was_named_comes_first() -> None:
    found = plan()
    assert order(found)[0] == "openai"
    assert [step.reason for step in found.steps] == [Reason.PRIMARY, Reason.FAILOVER, Reason.FAILOVER]
    assert found.rule is None


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (FleetView(status={"openai": "down"}), "the provider is down"),
        (FleetView(status={"openai": "maintenance"}), "in maintenance"),
        (FleetView(fleet_gates={"openai": Gate(GateState.OPEN, 0.0)}), "the fleet's breaker is open"),
        (FleetView(local_gates={A.target: Gate(GateState.OPEN, 0.0)}), "this process's breaker is open"),
    ],
)
def test_who_is_unwell_is_passed_over_and_named(view: FleetView, reason: str) -> None:
    found = plan(view)
    assert order(found) == ["anthropic", "google"]
    assert [(each.target, each.reason) for each in found.excluded] == [(A.target, reason)]


def test_degraded_and_unknown_are_used() -> None:
    assert order(plan(FleetView(status={"openai": "degraded", "google": "unknown"})))[0] == "openai"


def test_a_half_open_breaker_gets_its_trial_at_its_place() -> None:
    found = plan(FleetView(local_gates={A.target: Gate(GateState.HALF_OPEN, 0.0)}, status={"openai": "down"}))
    assert found.steps[0].target == A.target
    assert found.steps[0].reason is Reason.HALF_OPEN


def test_a_recovering_provider_gets_its_share_and_is_the_last_resort_of_the_others() -> None:
    view = FleetView(fleet_gates={"openai": Gate(GateState.RECOVERING, 0.25)}, status={"openai": "down"})
    assert order(plan(view, draw=0.2))[0] == "openai"
    assert order(plan(view, draw=0.3)) == ["anthropic", "google", "openai"]


def test_a_models_gate_is_its_own_and_the_tighter_of_two_gates_counts() -> None:
    second = replace(A, target=Target("openai", "a2"))
    both, out = (A, second, B), Gate(GateState.OPEN, 0.0)
    view = FleetView(target_gates={A.target: out})
    assert plan(view, candidates=both).steps[0].target == second.target
    view = FleetView(
        fleet_gates={"openai": Gate(GateState.RECOVERING, 0.5)},
        target_gates={A.target: Gate(GateState.RECOVERING, 0.01)},
    )
    assert order(plan(view, draw=0.2)) == ["anthropic", "google", "openai"]
    assert order(plan(view, draw=0.005))[0] == "openai"


@pytest.mark.parametrize(
    "view",
    [
        FleetView(),
        FleetView(local_gates={A.target: Gate(GateState.OPEN, 0.0)}),
        FleetView(target_gates={A.target: Gate(GateState.OPEN, 0.0)}),
        FleetView(headroom={A.target: 0.0}),
    ],
)
def test_the_same_stand_in_answers_whether_a_model_has_just_failed_or_is_known_to_fail(
    view: FleetView,
) -> None:
    sibling = replace(B, target=Target("openai", "better"), quality=1.0)
    steps = [
        each.target for each in plan(view, candidates=(A, sibling, B, C)).steps if each.target != A.target
    ]
    assert [each.provider for each in steps] == ["anthropic", "google", "openai"]


def test_the_fleet_tries_out_who_is_out_and_a_pin_is_stronger_than_health() -> None:
    half_open = {A.target: Gate(GateState.HALF_OPEN, 0.0)}
    tried_out = FleetView(local_gates=half_open, fleet_gates={"openai": Gate(GateState.HALF_OPEN, 0.0)})
    assert order(plan(tried_out)) == ["anthropic", "google"]
    pinned = FleetView(
        status={"openai": "down"}, target_gates={A.target: Gate(GateState.CLOSED, 1.0, None, True)}
    )
    assert order(plan(pinned))[0] == "openai"


@pytest.mark.parametrize(
    ("provider", "model", "first"),
    [
        (Gate(GateState.OPEN, 0.0), Gate(pinned=True), "openai"),
        (Gate(pinned=True), Gate(GateState.OPEN, 0.0), "openai"),
        (Gate(pinned=True), Gate(GateState.RECOVERING, 0.01), "openai"),
        (Gate(GateState.OPEN, 0.0, held=True), Gate(pinned=True), "anthropic"),
        (Gate(pinned=True), Gate(GateState.OPEN, 0.0, held=True), "anthropic"),
    ],
)
def test_a_pin_is_stronger_than_the_other_gate_unless_an_operator_wants_no_traffic_there(
    provider: Gate, model: Gate, first: str
) -> None:
    view = FleetView(
        status={"openai": "down"}, fleet_gates={"openai": provider}, target_gates={A.target: model}
    )
    assert order(plan(view, draw=0.5))[0] == first


def test_who_was_meant_is_the_first_by_strategy_and_primary_if_all_of_the_named_were_well() -> None:
    named = (A, replace(B, named=True, quality=1.0), C)
    best = table(Strategy.QUALITY)
    assert plan(table=best, candidates=named).instead_of is None
    down = plan(FleetView(status={"anthropic": "down"}), table=best, candidates=named)
    assert (down.steps[0].target, down.instead_of, down.stands_in) == (A.target, B.target, False)
    other_down = plan(FleetView(status={"openai": "down"}), table=best, candidates=named)
    assert (other_down.steps[0].target, other_down.instead_of) == (B.target, None)
    primary = plan(
        FleetView(status={"openai": "down"}),
        table=best,
        candidates=named,
        policy=policy(primary_provider="openai"),
    )
    assert (primary.steps[0].target, primary.instead_of) == (B.target, A.target)
    nobody = plan(FleetView(status={"openai": "down"}))
    assert (nobody.steps[0].target, nobody.instead_of, nobody.stands_in) == (B.target, A.target, True)


def test_panic_tries_the_soonest_to_be_retried() -> None:
    gates = {
        A.target: Gate(GateState.OPEN, 0.0, 1030.0),
        B.target: Gate(GateState.OPEN, 0.0, 1010.0),
        C.target: Gate(GateState.OPEN, 0.0, 1020.0),
    }
    found = plan(FleetView(local_gates=gates))
    assert order(found) == ["anthropic", "google", "openai"]
    assert {step.reason for step in found.steps} == {Reason.PANIC}


def test_missing_capabilities_and_small_windows_are_out_and_unknown_ones_are_not() -> None:
    wants_tools = replace(REQUEST, needs=frozenset({"tools"}))
    assert order(plan(request=wants_tools)) == ["openai", "anthropic"]
    assert order(plan(request=replace(REQUEST, input_tokens=600))) == ["openai", "anthropic"]
    unknown = Candidate(Target("x", "new"), True)
    assert order(plan(request=wants_tools, candidates=(unknown,))) == ["x"]


def test_nothing_fits_is_the_callers_problem_and_says_why() -> None:
    found = make_plan(
        EMPTY, None, replace(REQUEST, input_tokens=5000), lambda name: CANDIDATES, FleetView(), 0, 0
    )
    assert isinstance(found, NoCapacity)
    assert found.status == 400
    assert "context window of 1000 tokens" in found.message


def test_everything_in_maintenance_is_ours() -> None:
    view = FleetView(status=dict.fromkeys(("openai", "anthropic", "google"), "maintenance"))
    found = make_plan(EMPTY, None, REQUEST, lambda name: CANDIDATES, view, 0, 0)
    assert isinstance(found, NoCapacity)
    assert (found.status, found.retry_after_s) == (503, 30.0)


def test_policies_bound_and_order_the_stand_ins() -> None:
    assert order(plan(policy=policy(enabled=False))) == ["openai"]
    assert order(plan(policy=policy(fallback_providers=("google",)))) == ["openai", "google"]
    assert order(plan(policy=policy(fallback_providers=("google", "anthropic")))) == [
        "openai",
        "google",
        "anthropic",
    ]


def test_every_provider_is_tried_before_any_is_tried_again() -> None:
    second_a = replace(A, target=Target("openai", "a2"), named=False)
    second_b = replace(B, target=Target("anthropic", "b2"))
    found = plan(candidates=(A, second_a, B, second_b, C))
    assert sorted(order(found)[:3]) == ["anthropic", "google", "openai"]
    both = (A, replace(second_a, named=True, quality=0.1), B)
    assert [str(step.target) for step in plan(candidates=both).steps] == [
        "openai/a",
        "openai/a2",
        "anthropic/b",
    ]


@given(
    st.sets(st.sampled_from(["openai", "anthropic", "google"])),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_leaving_stand_ins_out_gives_the_beginning_of_the_whole_plan(
    down: set[str], share: float, draw: float, both: bool
) -> None:
    view = FleetView(
        status=dict.fromkeys(down, "down"), fleet_gates={"openai": Gate(GateState.RECOVERING, share)}
    )
    candidates = (A, replace(B, named=both), C)

    def decided(*, stand_ins: bool) -> Plan:
        found = make_plan(
            EMPTY, None, REQUEST, lambda name: candidates, view, 1000.0, draw, stand_ins=stand_ins
        )
        assert isinstance(found, Plan)
        return found

    short, whole = decided(stand_ins=False), decided(stand_ins=True)
    assert whole.steps[: len(short.steps)] == short.steps
    assert short.more or len(short.steps) == len(whole.steps)
    assert not whole.more


def test_the_primary_provider_leads_where_the_name_leaves_a_choice() -> None:
    both = (A, replace(B, named=True))
    assert order(plan(candidates=both, policy=policy(primary_provider="anthropic"))) == [
        "anthropic",
        "openai",
    ]
    assert order(plan(policy=policy(primary_provider="anthropic")))[0] == "openai"


FREE = tuple(replace(each, named=True) for each in CANDIDATES)
SLOW = {
    A.target: Measured(100, 0.0, 900.0),
    B.target: Measured(100, 0.0, 200.0),
    C.target: Measured(100, 0.0, 500.0),
}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.COST, ["anthropic", "openai", "google"]),
        (Strategy.QUALITY, ["anthropic", "openai", "google"]),
        (Strategy.LATENCY, ["anthropic", "google", "openai"]),
    ],
)
def test_strategies(strategy: Strategy, expected: list[str]) -> None:
    found = plan(FleetView(measured=SLOW), candidates=FREE, table=table(strategy))
    assert order(found) == expected
    assert (found.rule, found.strategy, found.table_version) == ("r", strategy.value, 7)


def test_a_provider_that_fails_fast_does_not_look_fast() -> None:
    measured = {
        A.target: Measured(100, 0.9, 50.0),
        B.target: Measured(100, 0.0, 200.0),
        C.target: Measured(100, 0.0, 300.0),
    }
    assert (
        order(plan(FleetView(measured=measured), candidates=FREE, table=table(Strategy.LATENCY)))[-1]
        == "openai"
    )


def test_balanced_follows_its_weights() -> None:
    quick = table(Strategy.BALANCED, weights={"latency": 1.0})
    good = table(Strategy.BALANCED, weights={"quality": 1.0})
    measured = {A.target: Measured(100, 0.0, 10.0), B.target: Measured(100, 0.0, 900.0)}
    assert order(plan(FleetView(measured=measured), candidates=FREE[:2], table=quick))[0] == "openai"
    assert order(plan(FleetView(measured=measured), candidates=FREE[:2], table=good))[0] == "anthropic"


@pytest.mark.parametrize(
    ("conditions", "request_", "applies"),
    [
        ({"models": ["openai/*"]}, REQUEST, True),
        ({"models": ["mistral/*"]}, REQUEST, False),
        ({"models": ["*"]}, REQUEST, True),
        ({"models": ["*/a"]}, REQUEST, True),
        ({"models": ["openai*/a"]}, REQUEST, True),
        ({"models": ["openai/a*/a"]}, REQUEST, False),
        ({"models": ["o*n*/[ab]"]}, REQUEST, True),
        ({"models": ["openai/?"]}, REQUEST, True),
        ({"stream": True}, REQUEST, False),
        ({"min_input_tokens": 101}, REQUEST, False),
        ({"max_input_tokens": 100}, REQUEST, True),
        ({"metadata": {"team": "x"}}, replace(REQUEST, metadata={"team": "x"}), True),
        ({"metadata": {"team": "x"}}, REQUEST, False),
        ({"needs": ["vision"]}, replace(REQUEST, needs=frozenset({"vision"})), True),
    ],
)
def test_conditions_decide_whether_a_rule_applies(
    conditions: dict[str, Any], request_: RouteRequest, applies: bool
) -> None:
    assert (plan(request=request_, table=table(Strategy.COST, **conditions)).rule == "r") is applies


def test_constraints_exclude_what_is_known_to_break_them() -> None:
    assert order(plan(table=table(Strategy.COST, providers=["openai", "google"]))) == ["openai", "google"]
    assert order(plan(table=table(Strategy.COST, exclude_providers=["openai"]))) == ["anthropic", "google"]
    assert order(plan(table=table(Strategy.COST, min_quality=0.8))) == ["anthropic", "google"]
    assert order(plan(table=table(Strategy.COST, max_cost_usd=0.002))) == ["anthropic", "google"]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"modles": ["x"]}, "did you mean 'models'"),
        ({"stream": "yes"}, "must be true or false"),
        ({"min_quality": 2}, "from 0 to 1"),
        ({"weights": {"speed": 1}}, "latency, cost, quality, reliability"),
        ({"min_input_tokens": 9, "max_input_tokens": 3}, "could never apply"),
        ({"providers": []}, "at least one"),
    ],
)
def test_wrong_conditions_say_what_to_do(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        compile_conditions(conditions)


gates = st.builds(Gate, st.sampled_from(GateState), st.floats(0, 1), st.none() | st.floats(0, 2000))
views = st.builds(
    FleetView,
    status=st.dictionaries(
        st.sampled_from(["openai", "anthropic", "google"]), st.sampled_from(["healthy", "down", "degraded"])
    ),
    fleet_gates=st.dictionaries(st.sampled_from(["openai", "anthropic", "google"]), gates),
    target_gates=st.dictionaries(st.sampled_from([A.target, B.target, C.target]), gates),
    local_gates=st.dictionaries(st.sampled_from([A.target, B.target, C.target]), gates),
    measured=st.just({}),
)


@given(views, st.floats(0, 0.999))
def test_whatever_is_unwell_there_is_always_someone_to_try_and_nobody_twice(
    view: FleetView, draw: float
) -> None:
    found = plan(view, draw=draw)
    targets = [step.target for step in found.steps]
    assert targets
    assert len(targets) == len(set(targets))
    assert found == plan(view, draw=draw)
