"""Rankings: total on any input, independent of who else is there, honest about chance."""

from typing import Any

import pytest
from fairlead_common.operations.comparison import Metric
from fairlead_comparison.domain.comparison import Arms
from fairlead_comparison.domain.ranking import PARTS, balanced, by_metric
from fairlead_comparison.domain.samples import Mean, Proportion, Scores
from hypothesis import given, settings
from hypothesis import strategies as st

EQUAL = {"latency": 0.25, "cost": 0.25, "quality": 0.25, "reliability": 0.25}


def arms(**targets: tuple[float, float, float, float]) -> dict[Metric, Arms]:
    """Targets by median latency (ms), cost (USD), quality and error rate."""
    return {
        Metric.LATENCY_P50: {name: Mean(each[0], 0.0, 100) for name, each in targets.items()},
        Metric.COST_PER_CALL: {name: Mean(each[1], 0.0, 100) for name, each in targets.items()},
        Metric.QUALITY: {
            name: Scores({(1, i): each[2] for i in range(20)}) for name, each in targets.items()
        },
        Metric.ERROR_RATE: {name: Proportion(round(each[3] * 1000), 1000) for name, each in targets.items()},
    }


def test_by_one_metric_best_first_and_unknown_last() -> None:
    places = by_metric(
        Metric.ERROR_RATE,
        {
            "b": Proportion(1, 1000),
            "a": Proportion(100, 1000),
            "c": Proportion(2, 1000),
            "few": Proportion(0, 3),
            "none": None,
        },
    )
    assert [(each.target, each.position, each.behind_first) for each in places] == [
        ("b", 1, None),
        ("c", 2, False),
        ("a", 3, True),
        ("few", None, None),
        ("none", None, None),
    ]
    assert places[3].reason == "not enough data: few has 3 of at least 20 attempts"


def test_balanced_scores_on_fixed_bounds() -> None:
    best, worst = balanced(arms(best=(200, 0.00001, 1.0, 0.0), worst=(20_000, 0.1, 0.0, 0.2)), EQUAL)
    assert (best.target, best.position, worst.target, worst.behind_first) == ("best", 1, "worst", True)
    assert best.value == pytest.approx(1.0)
    assert worst.value == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        ({"latency": 1.0}, "fast"),
        ({"cost": 1.0}, "cheap"),
        ({"quality": 1.0}, "good"),
        ({"reliability": 1.0}, "steady"),
        ({"latency": 3.0, "cost": 0.5}, "fast"),
    ],
)
def test_weights_decide(weights: dict[str, float], first: str) -> None:
    found = arms(
        fast=(250, 0.02, 0.6, 0.02),
        cheap=(3000, 0.0001, 0.6, 0.02),
        good=(3000, 0.02, 0.9, 0.02),
        steady=(3000, 0.02, 0.6, 0.0),
    )
    places = balanced(found, weights)
    assert places[0].target == first
    assert sum(part.weight for part in places[0].parts.values()) == pytest.approx(1)


def test_what_is_unknown_widens_the_interval() -> None:
    known = arms(a=(500, 0.001, 0.8, 0.0))
    unknown = {**known, Metric.QUALITY: {"a": None}}
    sure, unsure = balanced(known, EQUAL)[0], balanced(unknown, EQUAL)[0]
    assert sure.limits is not None
    assert unsure.limits is not None
    assert unsure.limits.high - unsure.limits.low > sure.limits.high - sure.limits.low
    assert unsure.reason == "unknown: quality"
    assert unsure.parts["quality"].score == 0.5


def test_a_target_of_which_nothing_is_known_has_no_place() -> None:
    found = {**arms(a=(500, 0.001, 0.8, 0.0))}
    found[Metric.ERROR_RATE] = {**found[Metric.ERROR_RATE], "new": Proportion(0, 2)}
    last = balanced(found, EQUAL)[-1]
    assert (last.target, last.position, last.value) == ("new", None, None)
    assert last.reason == "unknown: latency, cost, quality, reliability"


def test_nobody_to_rank() -> None:
    assert balanced({}, EQUAL) == []
    assert by_metric(Metric.ERROR_RATE, {}) == []


FACTS = st.tuples(
    st.floats(1, 60_000), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000).map(lambda each: each / 1000)
)
WEIGHTS = st.fixed_dictionaries({name: st.floats(0, 10) for name in PARTS}).filter(
    lambda each: sum(each.values()) > 0.01
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), FACTS, min_size=1, max_size=5), FACTS, WEIGHTS)
def test_another_target_changes_nothing_between_the_others(
    facts: dict[str, Any], newcomer: Any, weights: dict[str, float]
) -> None:
    before = balanced(arms(**facts), weights)
    after = [each for each in balanced(arms(**facts, z=newcomer), weights) if each.target != "z"]
    assert [(each.target, each.value, each.limits) for each in before] == [
        (each.target, each.value, each.limits) for each in after
    ]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), FACTS, min_size=1, max_size=5), WEIGHTS)
def test_a_dominated_target_never_wins(facts: dict[str, Any], weights: dict[str, float]) -> None:
    places = balanced(arms(**facts), weights)
    best = facts[places[0].target]
    dominated = (best[0] * 2, best[1] * 2 + 0.001, best[2] / 2, min(1.0, best[3] + 0.1))
    assert balanced(arms(**facts, z=dominated), weights)[0].target == places[0].target


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), FACTS, min_size=1, max_size=5), WEIGHTS)
def test_scores_lie_in_their_intervals(facts: dict[str, Any], weights: dict[str, float]) -> None:
    places = balanced(arms(**facts), weights)
    values = [each.value or 0.0 for each in places]
    assert values == sorted(values, reverse=True)
    for each in places:
        assert each.limits is not None
        assert 0 <= each.limits.low <= (each.value or 0.0) + 1e-12
        assert (each.value or 0.0) - 1e-12 <= each.limits.high <= 1
