"""Strategies: what is chosen, and the properties that hold for every choice."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from fairlead_common.decisions.conditions import compile_conditions
from fairlead_common.decisions.plan import Choice, FleetView, Plan, RouteRequest
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.scores import COST_BOUNDS_USD, LATENCY_BOUNDS_MS, on_scale
from fairlead_common.decisions.strategies import SCORES
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from hypothesis import given, settings
from hypothesis import strategies as st

REQUEST = RouteRequest("any", input_tokens=500)
DRAWS = [i / 1000 for i in range(1000)]


def candidate(name: str, **facts: Any) -> Candidate:
    return Candidate(Target(name, "m"), True, **facts)


def table(strategy: str, **conditions: Any) -> CompiledTable:
    rule = RuleSnapshot(rule_id=1, name="r", strategy=strategy, priority=1, conditions=conditions)
    return compile_table(RoutesSnapshot(workspace_id=1, version=1, rules=(rule,)))


def plan(
    rules: CompiledTable,
    candidates: tuple[Candidate, ...],
    view: FleetView = FleetView(),  # noqa: B008 - frozen
    draw: float = 0.5,
    request: RouteRequest = REQUEST,
) -> Plan:
    found = make_plan(rules, None, request, lambda name: candidates, view, 1000.0, draw)
    assert isinstance(found, Plan)
    return found


def scored(choice: Choice) -> dict[Target, float]:
    pairs = zip(choice.entrants, choice.scores, strict=True)
    return {entrant.target: score for entrant, score in pairs}


def winner(*arguments: Any, **more: Any) -> str:
    return plan(*arguments, **more).steps[0].target.provider


prices = st.one_of(st.none(), st.floats(0, 1e-3))
shares = st.one_of(st.none(), st.floats(0, 1))
times = st.one_of(st.none(), st.floats(0, 1e6))
measured = st.builds(
    Measured,
    calls=st.integers(0, 10_000),
    error_rate=shares,
    latency_p50_ms=times,
    latency_p95_ms=times,
    ttft_p50_ms=times,
    quality=shares,
)


@st.composite
def fields(draw: st.DrawFn) -> tuple[tuple[Candidate, ...], FleetView]:
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True))
    candidates = tuple(
        candidate(name, input_price=draw(prices), output_price=draw(prices), quality=draw(shares))
        for name in names
    )
    seen = {each.target: draw(measured) for each in candidates if draw(st.booleans())}
    return candidates, FleetView(measured=seen, in_flight={name: draw(st.integers(0, 50)) for name in names})


@given(fields(), st.sampled_from(sorted(SCORES)), st.floats(0, 1, exclude_max=True), st.booleans())
@settings(deadline=None)
def test_every_strategy_is_total_and_bounded(
    given_: tuple[tuple[Candidate, ...], FleetView], strategy: str, draw: float, stream: bool
) -> None:
    candidates, view = given_
    found = plan(table(strategy), candidates, view, draw, replace(REQUEST, stream=stream))
    assert found.choice is not None
    scores = found.choice.scores
    assert all(0 <= score <= 1 for score in scores)
    assert len(scores) == len(candidates)
    assert found.choice.probability is None or 0 < found.choice.probability <= 1


@given(fields(), st.sampled_from(sorted(SCORES)), st.booleans(), st.integers(0, 10**6))
@settings(deadline=None)
def test_what_is_known_beforehand_and_the_cost_make_the_score(
    given_: tuple[tuple[Candidate, ...], FleetView], strategy: str, stream: bool, tokens: int
) -> None:
    candidates, view = given_
    request = replace(REQUEST, stream=stream, input_tokens=tokens)
    rules = table(strategy, weights={"latency": 0.5, "cost": 0.2, "quality": 0.3})
    lineup = rules.lineup(0, rules.rules[0], request, lambda name: candidates, view)
    conditions = rules.rules[0].conditions
    wanted = {each.target: SCORES[strategy](each, request, conditions) for each in lineup.entrants}
    found = plan(rules, candidates, view, request=request).choice
    assert found is not None
    assert scored(found) == pytest.approx(wanted)


@given(fields(), st.sampled_from(sorted(SCORES)), st.floats(0, 1, exclude_max=True), st.randoms())
@settings(deadline=None)
def test_scores_do_not_depend_on_the_order_of_candidates(
    given_: tuple[tuple[Candidate, ...], FleetView], strategy: str, draw: float, shuffler: Any
) -> None:
    candidates, view = given_
    mixed = list(candidates)
    shuffler.shuffle(mixed)
    one, other = (
        plan(table(strategy), candidates, view, draw),
        plan(table(strategy), tuple(mixed), view, draw),
    )
    assert one.choice is not None
    assert other.choice is not None
    assert scored(one.choice) == scored(other.choice)


@given(
    fields(),
    st.sampled_from(["latency", "cost", "quality", "reliability", "balanced", "cheapest"]),
    st.data(),
)
@settings(deadline=None)
def test_a_dominated_candidate_changes_no_choice(
    given_: tuple[tuple[Candidate, ...], FleetView], strategy: str, data: st.DataObject
) -> None:
    candidates, view = given_
    draw = data.draw(st.floats(0, 1, exclude_max=True))
    price = st.floats(
        0, 1e-4
    )  # far from where every cost scores alike: the other one must be worse in something
    position = data.draw(st.integers(0, len(candidates) - 1))
    better = replace(candidates[position], input_price=data.draw(price), output_price=data.draw(price))
    candidates = (*candidates[:position], better, *candidates[position + 1 :])
    known = view.measured.get(better.target, Measured())
    worse = candidate(
        "zz",
        input_price=1.5 * (better.input_price or 0.0) + 1e-6,
        output_price=1.5 * (better.output_price or 0.0) + 1e-6,
        quality=better.quality,
    )
    seen = {**view.measured, worse.target: known}
    before = winner(table(strategy), candidates, view, draw)
    assert winner(table(strategy), (*candidates, worse), replace(view, measured=seen), draw) == before


@pytest.mark.parametrize(
    ("strategy", "view", "expected"),
    [
        ("latency", {"a": Measured(50, 0.0, 900), "b": Measured(50, 0.0, 300)}, "b"),
        ("latency", {"a": Measured(50, 0.0, 900), "b": Measured(50, 0.9, 200)}, "a"),
        ("reliability", {"a": Measured(50, 0.2, 100), "b": Measured(50, 0.0, 900)}, "b"),
        ("quality", {"a": Measured(50, quality=0.2), "b": Measured(50, quality=0.9)}, "b"),
        ("cost", {}, "a"),
        ("cheapest", {}, "a"),
    ],
)
def test_each_criterion_finds_its_best(strategy: str, view: dict[str, Measured], expected: str) -> None:
    candidates = (
        candidate("a", input_price=1e-7, output_price=4e-7, quality=0.5),
        candidate("b", input_price=1e-6, output_price=4e-6, quality=0.6),
    )
    seen = {Target(name, "m"): found for name, found in view.items()}
    assert winner(table(strategy), candidates, FleetView(measured=seen)) == expected


def test_an_unknown_price_is_never_the_cheap_one() -> None:
    unknown, dear = candidate("a"), candidate("b", input_price=1e-4, output_price=1e-4)
    assert winner(table("cost"), (unknown, dear)) == "b"


def test_a_prompt_cache_makes_its_target_cheaper() -> None:
    warm = candidate("a", input_price=1.1e-6, output_price=4e-6, cached_input_price=1e-7)
    cold = candidate("b", input_price=1e-6, output_price=4e-6, cached_input_price=1e-7)
    request = replace(REQUEST, input_tokens=20_000)
    assert winner(table("cost"), (warm, cold), request=request) == "b"
    assert winner(table("cost"), (warm, cold), request=replace(request, cached={warm.target: 0.9})) == "a"


def test_near_equals_share_the_traffic_and_a_slower_one_gets_none() -> None:
    candidates = tuple(candidate(name) for name in "abc")
    view = FleetView(
        measured={
            Target(name, "m"): Measured(100, 0.0, ms)
            for name, ms in (("a", 400.0), ("b", 405.0), ("c", 4000.0))
        }
    )
    picks = Counter(winner(table("latency"), candidates, view, draw) for draw in DRAWS)
    assert set(picks) == {"a", "b"}
    assert 400 < picks["a"] < 600
    assert plan(table("latency"), candidates, view).choice.probability == 0.5  # type: ignore[union-attr]


def test_weights_split_the_traffic() -> None:
    split = table("weighted", targets=[{"target": "a", "weight": 3}, {"target": "b", "weight": 1}])

    def resolve(name: str) -> tuple[Candidate, ...]:
        return (candidate(name),)

    picks: Counter[str] = Counter()
    for draw in DRAWS:
        found = make_plan(split, None, REQUEST, resolve, FleetView(), 1000.0, draw)
        assert isinstance(found, Plan)
        picks[found.steps[0].target.provider] += 1
    assert 700 < picks["a"] < 800


def test_round_robin_takes_turns() -> None:
    candidates = tuple(candidate(name) for name in "abc")
    turns = [
        winner(table("round_robin"), candidates, request=replace(REQUEST, turn=turn)) for turn in range(6)
    ]
    assert turns == ["a", "b", "c", "a", "b", "c"]


def test_of_two_the_less_loaded_is_taken() -> None:
    candidates = tuple(candidate(name) for name in "abc")
    view = FleetView(in_flight={"a": 90, "b": 10, "c": 11})
    picks = Counter(winner(table("least_load"), candidates, view, draw) for draw in DRAWS)
    assert picks["a"] == 0
    assert picks["b"] > picks["c"] > 0


def test_the_same_key_keeps_its_target_when_another_leaves() -> None:
    candidates = tuple(candidate(name) for name in "abcd")
    rules = table("weighted", sticky="user")
    users = [replace(REQUEST, user=f"user-{i}") for i in range(200)]
    before = {each.user: winner(rules, candidates, request=each, draw=0.1) for each in users}
    assert before == {each.user: winner(rules, candidates, request=each, draw=0.9) for each in users}
    after = {each.user: winner(rules, candidates[:3], request=each) for each in users}
    assert all(after[user] == name for user, name in before.items() if name != "d")
    assert set(before.values()) == set("abcd")


@given(st.data(), fields(), st.text(min_size=1), st.floats(0, 1, exclude_max=True))
def test_every_edge_picks_the_same_for_a_conversation(
    data: st.DataObject, field: tuple[tuple[Candidate, ...], FleetView], talk: str, draw: float
) -> None:
    candidates, view = field
    request = replace(REQUEST, conversation=talk)
    rules = table("quality", sticky="prompt_cache", spread=0.2)
    elsewhere = tuple(data.draw(st.permutations(candidates)))
    assert winner(rules, candidates, view, request=request) == winner(
        rules, elsewhere, view, draw, request=request
    )


@given(st.data(), st.lists(st.sampled_from("abcdefgh"), min_size=2, unique=True), st.text(min_size=1))
def test_only_conversations_of_the_equal_that_leaves_move(
    data: st.DataObject, names: list[str], talk: str
) -> None:
    request, rules = (
        replace(REQUEST, conversation=talk),
        table("quality", sticky="prompt_cache", spread=0.05),
    )
    equals = tuple(candidate(name, quality=0.5) for name in names)
    before, leaver = winner(rules, equals, request=request), data.draw(st.sampled_from(names))
    left = tuple(each for each in equals if each.target.provider != leaver)
    after = winner(rules, left, request=request)
    assert (after == before) is (leaver != before)


def test_edges_that_know_nothing_of_each_other_keep_a_conversation_where_its_cache_is() -> None:
    near = (
        candidate("a", quality=0.80),
        candidate("b", quality=0.80),
        candidate("c", quality=0.80),
        candidate("d", quality=0.2),
    )
    rules = table("quality", sticky="prompt_cache", spread=0.05)
    talks = [replace(REQUEST, conversation=f"talk-{i}") for i in range(200)]
    first = {each.conversation: winner(rules, near, request=each, draw=0.1) for each in talks}
    assert set(first.values()) == set("abc")
    for draw, order in ((0.9, near), (0.5, near[::-1])):
        assert {each.conversation: winner(rules, order, request=each, draw=draw) for each in talks} == first
    left = {each.conversation: winner(rules, (near[0], *near[2:]), request=each) for each in talks}
    assert all(left[talk] == name for talk, name in first.items() if name != "b")
    price = {"input_price": 1e-6, "output_price": 1e-6, "cached_input_price": 1e-7}
    warm = (candidate("a", **price), candidate("b", **price))
    by_cost = table("cost", sticky="prompt_cache")
    for name in "ab":
        request = replace(REQUEST, input_tokens=5000, conversation="talk", cached={Target(name, "m"): 0.9})
        assert winner(by_cost, warm, request=request) == name, "what is known to be cached here wins"


def test_exploration_is_bounded_and_its_probability_true() -> None:
    candidates = (candidate("a", quality=0.8), candidate("b", quality=0.79))
    view = FleetView(measured={Target("a", "m"): Measured(1000, 0.0), Target("b", "m"): Measured(3, 0.0)})
    rules = table("quality", explore=0.05)
    plans = [plan(rules, candidates, view, draw) for draw in DRAWS]
    explored = [found for found in plans if found.choice is not None and found.choice.explored]
    assert 0 < len(explored) <= 0.07 * len(plans)
    picks = Counter(found.steps[0].target.provider for found in plans)
    said = {found.steps[0].target.provider: found.choice.probability for found in plans if found.choice}
    assert sum(said[name] or 0.0 for name in picks) == pytest.approx(1.0)
    assert picks["b"] / len(plans) == pytest.approx(said["b"] or 0.0, abs=0.02)


@pytest.mark.parametrize(
    ("value", "score"), [(None, 0.5), (0.0, 1.0), (50.0, 1.0), (60_000.0, 0.0), (1e9, 0.0), (1732.05, 0.5)]
)
def test_the_scale_of_latency(value: float | None, score: float) -> None:
    assert on_scale(value, LATENCY_BOUNDS_MS) == pytest.approx(score, abs=1e-4)


def test_an_unknown_cost_can_be_made_the_worst() -> None:
    assert on_scale(None, COST_BOUNDS_USD, unknown=0.0) == 0.0


def test_simple_conditions_become_one_expression() -> None:
    found = compile_conditions({"models": ["gpt-*", "o3"], "stream": True, "needs": ["tools"]})
    assert found.applies is not None
    assert found.parts.keys() == {"models", "stream", "needs"}
    assert found.applies.facts == {"request.model", "request.stream", "request.needs"}
