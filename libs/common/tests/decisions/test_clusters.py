"""Learned qualities: which cluster a prompt belongs to, how its qualities count, and that only some decisions ask."""

from dataclasses import replace

import pytest
from fairlead_common.decisions.clusters import ClusterTable, Prediction, features
from fairlead_common.decisions.explain import explain
from fairlead_common.decisions.plan import FleetView, Plan, RouteRequest
from fairlead_common.decisions.quality import QualityTable, Scores
from fairlead_common.decisions.record import record_of
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.events.calls import Decision
from fairlead_common.snapshots.predictor import Cluster, LearnedTable
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

A, B = Target("x", "a"), Target("y", "b")
CANDIDATES = (Candidate(A, True, quality=0.6), Candidate(B, True, quality=0.5))
EVALUATION = {"source": "s", "prompts": 9, "seed": 0, "gain": 0.1, "low": 0.05, "high": 0.2}
SHARE = st.floats(0, 1)


def learned(*clusters: tuple[str, dict[str, float], int], version: int = 3) -> ClusterTable:
    """A table of clusters: the word that tells, qualities, prompts."""
    found = tuple(
        Cluster(prompts=prompts, quality=quality, words=tuple((bucket, 1.0) for bucket in features(word)))
        for word, quality, prompts in clusters
    )
    return LearnedTable.model_validate({"evaluation": EVALUATION, "clusters": found}).compiled(version)


TABLE = learned(("sums", {"x/a": 0.1, "y/b": 0.9}, 100), ("poems", {"x/a": 0.9, "y/b": 0.1}, 100))


def asking(prompt: str, table: ClusterTable = TABLE) -> RouteRequest:
    return RouteRequest("auto", input_tokens=10, prediction=Prediction(table, lambda: prompt))


def rules(strategy: str, **conditions: object) -> CompiledTable:
    rule = RuleSnapshot(rule_id=1, name="r", strategy=strategy, priority=1, conditions=conditions)
    return compile_table(RoutesSnapshot(workspace_id=1, version=1, rules=(rule,)))


def plan(table: CompiledTable, request: RouteRequest, candidates: tuple[Candidate, ...] = CANDIDATES) -> Plan:
    found = make_plan(table, None, request, lambda name: candidates, FleetView(), 0.0, 0.5)
    assert isinstance(found, Plan)
    return found


def test_the_cluster_whose_words_pull_most_is_the_prompts() -> None:
    assert [TABLE.cluster_of(each) for each in ("Sums!", "of poems, poems and sums", "else", "")] == [
        0,
        1,
        None,
        None,
    ]


@given(SHARE, SHARE, st.integers(0, 10**6))
def test_a_learned_quality_is_drawn_towards_the_one_without_it(
    quality: float, otherwise: float, prompts: int
) -> None:
    table = learned(("sums", {"x/a": quality}, prompts))
    found = table.expected(0, "x/a", otherwise)
    assert found is not None
    assert min(quality, otherwise) - 1e-9 <= found <= max(quality, otherwise) + 1e-9
    assert table.expected(0, "x/a", None) == quality
    assert table.expected(0, "y/b", otherwise) == otherwise
    assert table.expected(0, "y/b", None) is None


def test_the_same_rules_pick_by_the_kind_of_prompt() -> None:
    for table in (rules("quality"), rules("balanced", weights={"quality": 1}), CompiledTable()):
        first = [plan(table, asking(prompt)).steps[0].target for prompt in ("sums", "poems", "else", "sums")]
        assert first == [B, A, A, B]
    swapped = learned(("poems", {"x/a": 0.9, "y/b": 0.1}, 100), ("sums", {"x/a": 0.1, "y/b": 0.9}, 100))
    table = rules("quality")
    assert plan(table, asking("sums")).steps[0].target == B
    assert plan(table, asking("sums", swapped)).steps[0].target == B
    limited = plan(rules("cost", min_quality=0.7), asking("sums"))
    assert [step.target for step in limited.steps if step.target == B] == [B]
    assert limited.steps[0].target == B


def test_prompts_are_looked_at_only_where_the_quality_of_several_counts() -> None:
    alone = CANDIDATES[:1]
    for table, candidates, asked in (
        (rules("quality"), CANDIDATES, True),
        (rules("quality"), alone, False),
        (rules("cost", min_quality=0.1), alone, True),
        (rules("cost"), CANDIDATES, False),
        (rules("latency"), CANDIDATES, False),
        (rules("balanced", weights={"cost": 1}), CANDIDATES, False),
        (CompiledTable(), CANDIDATES, True),
    ):
        request = asking("sums")
        plan(table, request, candidates)
        assert request.prediction is not None
        assert request.prediction.asked is asked
        record = Decision.model_validate(record_of(plan(table, request, candidates), request))
        assert (record.predictor, record.cluster) == ((3, 0) if asked else (None, None))


def test_a_prompt_is_looked_at_once_and_unknown_words_are_told() -> None:
    looked: list[str] = []

    def prompt() -> str:
        looked.append("again")
        return "else"

    request = RouteRequest("auto", prediction=Prediction(TABLE, prompt))
    for _ in range(3):
        found = plan(rules("quality"), request)
    assert looked == ["again"]
    record = Decision.model_validate(record_of(found, request))
    assert (record.predictor, record.cluster) == (3, None)


def test_explain_tells_the_cluster_and_what_each_quality_rests_on() -> None:
    view = FleetView(
        quality=QualityTable({A: {"code": Scores(50, 0.7)}}), measured={B: Measured(quality=0.4)}
    )

    def sources(request: RouteRequest) -> tuple[int | None, int | None, dict[str, str | None]]:
        found = explain(rules("quality"), None, request, lambda name: CANDIDATES, view, 0.0, 0.5)
        by_target = {str(each.target): each.quality_source for each in found.candidates}
        return found.predictor, found.cluster, by_target

    assert sources(asking("sums")) == (3, 0, {"y/b": "predictor", "x/a": "predictor"})
    assert sources(asking("else")) == (3, None, {"x/a": "scores", "y/b": "measured"})
    assert sources(replace(asking("sums"), prediction=None)) == (
        None,
        None,
        {"x/a": "scores", "y/b": "measured"},
    )


@pytest.mark.parametrize(
    "cluster",
    [
        {"prompts": 1, "quality": {"x/a": 1.1}, "words": []},
        {"prompts": 1, "quality": {}, "words": []},
        {"prompts": 1, "quality": {"x/a": 1}, "words": [[2**15, 1.0]]},
        {"prompts": 1, "quality": {"x/a": 1}, "words": [[1, float("nan")]]},
        {"prompts": -1, "quality": {"x/a": 1}, "words": []},
    ],
)
def test_a_table_of_a_wrong_shape_is_none(cluster: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LearnedTable.model_validate({"evaluation": EVALUATION, "clusters": [cluster]})
