"""What is kept of a decision: readable as the event's model, and bounded whatever callers and operators write."""

import json
from dataclasses import replace

from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.plan import FleetView, Gate, GateState, NoCapacity, RouteRequest
from fairlead_common.decisions.record import record_of, request_of
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.events.calls import Considered, Decision
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot

A = Candidate(Target("openai", "a"), True, None, None, None, 2e-6, 8e-6, 0.7)
B = Candidate(Target("google", "b"), True, None, None, None, None, None, None)
RULE = RuleSnapshot(rule_id=1, name="r", strategy="latency", priority=1, conditions={}, version=4)
TABLE = compile_table(RoutesSnapshot(workspace_id=1, version=7, rules=(RULE,)))


def decision(
    request: RouteRequest,
    candidates: tuple[Candidate, ...],
    view: FleetView = FleetView(),  # noqa: B008 - frozen
) -> Decision:
    found = make_plan(TABLE, None, request, lambda name: candidates, view, 1000.0, 0.25)
    return Decision.model_validate(record_of(found, request))


def test_it_holds_the_rule_the_chance_and_what_the_candidates_were_judged_by() -> None:
    view = FleetView(
        status={"google": "maintenance"},
        measured={A.target: Measured(calls=20, error_rate=0.0, latency_p50_ms=400.0, ttft_p50_ms=80.0)},
    )
    request = RouteRequest("a", input_tokens=1000, max_output_tokens=100, metadata={"team": "search"})
    found = decision(request, (A, B), view)
    assert (found.strategy, found.rule_version, found.draw, found.probability) == ("latency", 4, 0.25, 1.0)
    assert (found.tokens, found.max_tokens, found.metadata) == (1000, 100, {"team": "search"})
    assert found.candidates == (
        Considered(
            target="openai/a",
            score=found.candidates[0].score,
            latency_ms=400.0,
            cost_usd=0.0028,
            quality=0.7,
            reliability=1.0,
        ),
    )
    assert [(each.target, each.reason) for each in found.excluded] == [("google/b", "in maintenance")]
    streamed = decision(RouteRequest("a", stream=True), (A, B), view)
    assert streamed.candidates[0].latency_ms == 80.0


def test_it_says_who_was_meant_when_another_goes_first() -> None:
    stand_in = replace(B, named=False)
    down = FleetView(status={"openai": "down"})
    assert decision(RouteRequest("a"), (A, stand_in), down).instead_of == "openai/a"
    assert decision(RouteRequest("a"), (A, stand_in)).instead_of is None
    returning = FleetView(fleet_gates={"openai": Gate(GateState.RECOVERING, share=0.01)})
    assert decision(RouteRequest("a"), (A, stand_in), returning).instead_of == "openai/a"
    assert decision(RouteRequest("a"), (A, replace(B, named=True)), down).instead_of == "openai/a"
    nobody_else = decision(RouteRequest("a", failover=False), (A, stand_in), down)
    assert nobody_else.instead_of is None, "he is tried all the same"


def test_a_request_that_nothing_can_serve_keeps_the_reasons() -> None:
    found = make_plan(
        TABLE,
        None,
        RouteRequest("a"),
        lambda name: (A,),
        FleetView(status={"openai": "maintenance"}),
        1.0,
        0.5,
    )
    assert isinstance(found, NoCapacity)
    kept = Decision.model_validate(record_of(found, RouteRequest("a")))
    assert kept.strategy is None
    assert (kept.left_out, kept.excluded[0].reason) == (1, "in maintenance")


def test_it_is_bounded() -> None:
    long = "m" * 5000
    candidates = tuple(Candidate(Target(f"p{i}", long), True) for i in range(200))
    view = FleetView(status={f"p{i}": "maintenance" for i in range(100)})
    request = RouteRequest("a", metadata={f"key {i}": long for i in range(16)})
    found = decision(request, candidates, view)
    assert (found.considered, len(found.candidates)) == (100, 10)
    assert (found.left_out, len(found.excluded)) == (100, 10)
    assert found.metadata is None
    assert len(json.dumps(found.model_dump(mode="json"))) < 8000


def test_the_callers_limit_and_wish_for_one_target_are_kept_and_decide_again() -> None:
    limited = RouteRequest("a", input_tokens=1000, cost_limit=CostLimit(0.004, 1000, 100), failover=False)
    found = decision(limited, (A, B))
    assert (found.max_cost_usd, found.limit_output_tokens, found.failover) == (0.004, 100, False)
    assert [each.target for each in found.excluded] == ["google/b"]
    again = request_of(found, "a", 1, stream=False)
    assert (again.cost_limit, again.failover) == (limited.cost_limit, False)
    assert decision(again, (A, B)).excluded == found.excluded


def test_records_of_before_there_was_such_a_field_have_no_limit() -> None:
    kept = decision(RouteRequest("a"), (A,)).model_dump(exclude={"max_cost_usd", "limit_output_tokens"})
    again = request_of(Decision.model_validate(kept), "a", 1, stream=False)
    assert (again.cost_limit, again.failover) == (None, True)
