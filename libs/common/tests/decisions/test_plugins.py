"""Strategies of others: what is refused, and that a request survives them."""

import math
import random
from typing import Any

import pytest
from fairlead_common.decisions.plan import FleetView, Plan, RouteRequest
from fairlead_common.decisions.plugins import problem_of, safe
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import compile_table
from fairlead_common.decisions.targets import Candidate, Target
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot


def by_quality(entrant: Any, request: Any, conditions: Any) -> float:
    return float(entrant.quality or 0.0)


@pytest.mark.parametrize(
    ("name", "score", "problem"),
    [
        ("Fast", by_quality, "its name must be"),
        ("latency", by_quality, "there is a built-in strategy"),
        ("mine", 5, "it must be a function"),
        ("mine", lambda entrant: 0.5, "it fails with TypeError"),
        ("mine", lambda entrant, request, conditions: 1 / entrant.latency_ms, "it fails with"),
        ("mine", lambda entrant, request, conditions: entrant.quality, "it gives None, not a number"),
        ("mine", lambda entrant, request, conditions: math.nan, "it gives nan, not a number"),
        ("mine", lambda entrant, request, conditions: entrant.calls, "it gives 1000000, not a number"),
        ("mine", lambda entrant, request, conditions: random.random(), "for the same"),
    ],
)
def test_what_is_not_total_finite_and_steady_is_refused(name: str, score: Any, problem: str) -> None:
    assert problem in (problem_of(name, score) or "")


def test_one_that_is_fit_decides_and_one_that_breaks_later_fails_no_request() -> None:
    assert problem_of("mine", by_quality) is None

    def broken(entrant: Any, request: Any, conditions: Any) -> float:
        raise RuntimeError("later")

    rule = RuleSnapshot(rule_id=1, name="r", strategy="mine", priority=1, conditions={})
    snapshot = RoutesSnapshot(workspace_id=1, version=1, rules=(rule,))
    candidates = tuple(
        Candidate(Target(name, "m"), True, quality=good) for name, good in (("a", 0.2), ("b", 0.9))
    )
    first = []
    for score in (by_quality, broken):
        table = compile_table(snapshot, {"mine": safe(score)})
        plan = make_plan(table, None, RouteRequest("x"), lambda name: candidates, FleetView(), 0.0, 0.5)
        assert isinstance(plan, Plan)
        first.append(plan.steps[0].target.provider)
    assert first == ["b", "a"]
