"""Quality by model and task: how scores are drawn towards what was known, and that decisions go by it."""

from dataclasses import replace

import pytest
from fairlead_common.decisions.clusters import ClusterTable, Prediction, features
from fairlead_common.decisions.facts import facts_of
from fairlead_common.decisions.plan import FleetView, Plan, RouteRequest
from fairlead_common.decisions.quality import (
    NO_SCORES,
    PRIOR_SCORES,
    TASK_PRIOR_SCORES,
    QualityTable,
    Scores,
)
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from hypothesis import given
from hypothesis import strategies as st

A, B = Target("x", "a"), Target("y", "b")
SHARE = st.floats(0, 1)
SCORES = st.dictionaries(
    st.sampled_from(("code", "math", "chat")), st.builds(Scores, st.integers(1, 10**6), SHARE), min_size=1
)


def test_without_scores_the_prior_is_all_there_is() -> None:
    assert NO_SCORES.of(A, "code", 0.7) == 0.7
    assert NO_SCORES.of(A, "code", None) is None


def test_scores_are_drawn_towards_what_was_known() -> None:
    table = QualityTable({A: {"code": Scores(10, 1.0)}})
    assert PRIOR_SCORES == 10
    assert table.of(A, "math", 0.5) == pytest.approx(0.75)
    assert TASK_PRIOR_SCORES == 20
    assert table.of(A, "code", 0.5) == pytest.approx((10 * 1.0 + 20 * 0.75) / 30)


def test_a_few_scores_of_an_unknown_model_say_nothing() -> None:
    assert QualityTable({A: {"code": Scores(9, 1.0)}}).of(A, "code", None) is None
    assert QualityTable({A: {"code": Scores(10, 1.0)}}).of(A, "code", None) == 1.0


@given(SCORES, SHARE, st.sampled_from(("code", "math", "chat", "other")))
def test_an_estimate_lies_among_what_it_is_made_of(
    by_task: dict[str, Scores], prior: float, task: str
) -> None:
    found = QualityTable({A: by_task}).of(A, task, prior)
    parts = [prior, *(each.mean for each in by_task.values())]
    assert found is not None
    assert min(parts) - 1e-9 <= found <= max(parts) + 1e-9


@given(SHARE, SHARE, st.integers(1, 10**6))
def test_more_scores_bring_it_nearer_to_their_mean(prior: float, mean: float, count: int) -> None:
    fewer = QualityTable({A: {"code": Scores(count, mean)}}).of(A, "code", prior)
    more = QualityTable({A: {"code": Scores(2 * count, mean)}}).of(A, "code", prior)
    assert fewer is not None
    assert more is not None
    assert abs(more - mean) <= abs(fewer - mean) + 1e-9


REQUEST = RouteRequest("auto", input_tokens=100)
SCORED = QualityTable(
    {
        A: {"code": Scores(100, 0.9), "math": Scores(100, 0.2)},
        B: {"code": Scores(100, 0.5), "math": Scores(100, 0.6)},
    }
)
VIEW = FleetView(quality=SCORED)


def table_of(strategy: str, **conditions: object) -> CompiledTable:
    rule = RuleSnapshot(rule_id=1, name="r", strategy=strategy, priority=1, conditions=conditions)
    return compile_table(RoutesSnapshot(workspace_id=1, version=1, rules=(rule,)))


def first(table: CompiledTable, task: str, view: FleetView = VIEW) -> Target:
    candidates = (Candidate(A, True, quality=0.5), Candidate(B, True, quality=0.5))
    found = make_plan(table, None, replace(REQUEST, task=task), lambda name: candidates, view, 0.0, 0.5)
    assert isinstance(found, Plan)
    return found.steps[0].target


def test_the_same_table_ranks_by_the_task_of_each_request() -> None:
    table = table_of("quality")
    assert [first(table, task) for task in ("code", "math", "code")] == [A, B, A]
    assert first(CompiledTable(), "math") == B
    assert first(table, "math", FleetView(quality=QualityTable({B: {"math": Scores(50, 0.1)}}))) == A


def test_conditions_see_what_ranking_expects() -> None:
    learned = ClusterTable(
        pull={bucket: ((0, weight),) for bucket, weight in features("poem").items()},
        qualities=({str(A): 0.95},),
        prompts=(980,),
        version=1,
    )
    catalog = FleetView(qualities={A: 0.5, B: 0.4})
    rules = table_of("cost", when="quality['x/a'] > 0.9", providers=["y"])

    def decided(view: FleetView, prompt: str | None) -> str | None:
        request = replace(REQUEST, prediction=None if prompt is None else prediction_of(prompt))
        return rules.rule_for(request, view, 0.0)[1].name

    def prediction_of(prompt: str) -> Prediction:
        return Prediction(learned, lambda: prompt)

    assert decided(catalog, None) == decided(catalog, "sum") != "r"
    assert decided(catalog, "poem") == "r"
    assert decided(catalog, "sum") != "r", "what is remembered is of the cluster"
    low = FleetView(qualities={A: 0.5}, quality=QualityTable({A: {"code": Scores(100_000, 0.1)}}))
    assert decided(low, "poem") == "r", "980 prompts against a prior that counts as 20"
    facts = facts_of(["quality"], replace(REQUEST, prediction=prediction_of("poem")), catalog, 0.0)["quality"]
    ranked = make_plan(
        table_of("quality"),
        None,
        replace(REQUEST, prediction=prediction_of("poem")),
        lambda name: (Candidate(A, True, quality=0.5), Candidate(B, True, quality=0.4)),
        catalog,
        0.0,
        0.5,
    )
    assert isinstance(ranked, Plan)
    assert ranked.choice is not None
    assert {str(each.target): each.quality for each in ranked.choice.entrants} == facts


def test_conditions_and_limits_see_the_quality_of_the_task() -> None:
    by_condition = table_of("cost", when="quality['x/a'] > 0.7", providers=["x"])
    assert first(by_condition, "code") == A
    by_limit = table_of("cost", min_quality=0.55)
    assert first(by_limit, "math") == B
    measured = FleetView(measured={B: Measured(quality=0.9)})
    assert first(table_of("cost", when="quality['y/b'] == 0.9", providers=["y"]), "math", measured) == B
