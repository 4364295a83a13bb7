"""Differences: against other people's numbers, as properties, and by simulation of what must not be found."""

import json
import math
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fairlead_common import sketch
from fairlead_comparison.domain.differences import (
    Difference,
    difference,
    holm,
    of_means,
    of_proportions,
    of_quantiles,
    of_scores,
    pooled_z_p,
    relative,
)
from fairlead_comparison.domain.metrics import cost, error_rate, latency
from fairlead_comparison.domain.samples import Mean, Proportion, Quantile, Scores
from fairlead_comparison.domain.sums import Sums, total
from hypothesis import given, settings
from hypothesis import strategies as st

KNOWN = Path(__file__).parents[4] / ".." / "shared" / "data" / "known_answers.json"


def known(identity: str) -> dict[str, Any]:
    if not KNOWN.exists():
        pytest.skip(f"{KNOWN} is absent: the known answers are kept beside the repository, in shared/data")
    found: dict[str, Any] = next(each for each in json.loads(KNOWN.read_text()) if each["id"] == identity)
    return found


def of_values(values: list[float]) -> Mean:
    return Mean.of_sums(sum(values), sum(each * each for each in values), len(values))


def of_sums(sums: dict[str, float]) -> Mean:
    return Mean.of_sums(sums["sum"], sums["sum_sq"], int(sums["n"]))


def test_welch_agrees_with_r() -> None:
    case = known("W1")
    found = of_means(of_values(case["inputs"]["a"]), of_values(case["inputs"]["b"]), 0.05)
    assert found.p_value == pytest.approx(case["expected"]["p"], abs=case["tol"])


def test_welch_from_sums_agrees_with_growthbook() -> None:
    case = known("W3")
    found = of_means(of_sums(case["inputs"]["b"]), of_sums(case["inputs"]["a"]), case["inputs"]["alpha"])
    expected = case["expected"]
    assert found.value == pytest.approx(expected["diff"], abs=case["tol"])
    assert (found.low, found.high) == pytest.approx(expected["ci"], abs=case["tol"])
    assert found.p_value == pytest.approx(expected["p"], abs=case["tol"])


def test_relative_difference_agrees_with_growthbook() -> None:
    case = known("W4")
    found = relative(of_sums(case["inputs"]["b"]), of_sums(case["inputs"]["a"]), case["inputs"]["alpha"])
    assert found is not None
    assert found.value == pytest.approx(case["expected"]["lift"], abs=case["tol"])
    assert (found.low, found.high) == pytest.approx(case["expected"]["ci"], abs=case["tol"])


def test_pooled_z_agrees_with_r() -> None:
    case = known("P2")
    first, second = (
        Proportion(x, n) for x, n in zip(case["inputs"]["success"], case["inputs"]["n"], strict=True)
    )
    assert pooled_z_p(first, second) == pytest.approx(case["expected"]["p"], abs=case["tol"])


def test_holm_agrees_with_growthbook() -> None:
    case = known("H1")
    assert holm(case["inputs"]["p"]) == pytest.approx(case["expected"]["adj"], abs=case["tol"])


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # Newcombe 1998b, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe(first: tuple[int, int], second: tuple[int, int], low: float, high: float) -> None:
    found = of_proportions(Proportion(*first), Proportion(*second), 0.05)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_paired_scores_find_what_unpaired_ones_do_not() -> None:
    draw = random.Random(5)
    hard = {(1, i): draw.uniform(0.2, 0.8) for i in range(40)}
    first, second = Scores({k: v + 0.03 + draw.gauss(0, 0.01) for k, v in hard.items()}), Scores(hard)
    paired = of_scores(first, second, 0.05)
    assert paired.method == "paired t over 40 common prompts"
    assert paired.low > 0
    unpaired = of_means(first.mean, second.mean, 0.05)
    assert unpaired.low < 0 < unpaired.high
    few = Scores({(2, i): value for i, value in enumerate(hard.values())})
    assert of_scores(first, few, 0.05).method == "Welch t interval and test"


def test_certain_differences_and_none_at_all() -> None:
    cheap, dear = Mean(0.001, 0.0, 50), Mean(0.002, 0.0, 50)
    assert of_means(dear, cheap, 0.05).excludes_zero
    same = of_means(cheap, Mean(0.001 * (1 + 1e-12), 0.0, 50), 0.05)
    assert (same.value, same.p_value, same.excludes_zero) == (0.0, 1.0, False)
    assert relative(cheap, Mean(0.0, 0.0, 50), 0.05) is None


def test_samples_of_different_kinds_are_not_compared() -> None:
    with pytest.raises(TypeError, match="Mean with Proportion"):
        difference(Mean(1.0, 1.0, 5), Proportion(1, 5), 0.05)


def test_neighbouring_buckets_of_the_sketch_are_no_difference() -> None:
    """A million equal latencies on each side, a hair apart but on two sides of a bucket's edge."""
    edge = sketch.GAMMA**300
    below, above = {sketch.bucket_of(edge * 0.9999): 1_000_000}, {sketch.bucket_of(edge * 1.0001): 1_000_000}
    found = of_quantiles(Quantile.of_sketch(above, 0.5), Quantile.of_sketch(below, 0.5), 0.05)
    assert found.value > 0
    assert not found.excludes_zero
    assert found.p_value == 1.0


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(deadline=None)
@given(P_VALUES)
def test_holm_is_between_raw_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for raw, after in zip(p_values, adjusted, strict=True):
        assert raw <= after <= min(1.0, raw * len(p_values)) or after == pytest.approx(raw)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(one[1] <= other[1] for one, other in pairwise(pairs))


PROPORTIONS = st.integers(1, 300).flatmap(lambda n: st.integers(0, n).map(lambda x: Proportion(x, n)))
MEANS = st.tuples(st.floats(0, 1000), st.floats(0, 1000), st.integers(2, 500)).map(lambda t: Mean(*t))
QUANTILES = st.lists(st.floats(1, 10_000), min_size=1, max_size=80).map(
    lambda values: Quantile.of_sketch(sketch.sketch_of(values), 0.5)
)


@settings(deadline=None)
@given(
    st.one_of(st.tuples(PROPORTIONS, PROPORTIONS), st.tuples(MEANS, MEANS), st.tuples(QUANTILES, QUANTILES))
)
def test_swapping_the_two_turns_the_difference_around(pair: tuple[Any, Any]) -> None:
    there, back = difference(*pair, 0.05), difference(*pair[::-1], 0.05)
    assert there.value == pytest.approx(-back.value, abs=1e-9)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-6)
    assert there.p_value == pytest.approx(back.p_value, abs=1e-9)
    assert there.low <= there.value <= there.high
    assert 0 <= there.p_value <= 1


@settings(deadline=None)
@given(QUANTILES, QUANTILES, st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_the_p_value_of_quantiles_belongs_to_their_interval(
    one: Quantile, other: Quantile, alpha: float
) -> None:
    found = of_quantiles(one, other, alpha)
    if abs(math.log(found.p_value / alpha)) > 1e-6:
        assert found.excludes_zero == (found.p_value < alpha)


# what must not be found: two providers that are the same


def blocks(
    draw: random.Random, calls: int, share: Callable[[], float], pace: Callable[[], float]
) -> list[Sums]:
    """Twenty blocks of time, each with its own failure rate and pace."""
    found = []
    for _ in range(20):
        sums, p, scale = Sums(), share(), pace()
        for _ in range(calls):
            failed = draw.random() < p
            sums.attempts += 1
            sums.failures += failed
            if not failed:
                ms = scale * draw.lognormvariate(6, 0.5)
                sums.latency[sketch.bucket_of(ms)] += 1
                sums.priced += 1
                sums.cost_usd += ms
                sums.cost_usd_sq += ms * ms
        found.append(sums)
    return found


def false_alarms(
    make: Callable[[random.Random], list[Sums]], metric: Any, runs: int, *, naive: bool
) -> float:
    """Share of comparisons of equals whose interval leaves zero out."""
    alarms = 0
    for run in range(runs):
        pair = []
        for side in (1, 2):
            parts = make(random.Random(1000 * side + run))
            sample = metric([total(parts)] if naive else parts)
            assert sample is not None
            pair.append(sample)
        found: Difference = difference(pair[0], pair[1], 0.05)
        alarms += found.excludes_zero
    return alarms / runs


METRICS = [error_rate, latency(0.5), latency(0.95), cost]


@pytest.mark.parametrize("metric", METRICS, ids=["error_rate", "p50", "p95", "cost"])
def test_equal_providers_are_seldom_told_apart(metric: Any) -> None:
    def calm(draw: random.Random) -> list[Sums]:
        return blocks(draw, 20, lambda: 0.05, lambda: 1.0)

    assert false_alarms(calm, metric, 300, naive=False) <= 0.07


@pytest.mark.parametrize("metric", METRICS, ids=["error_rate", "p50", "p95", "cost"])
def test_bursts_and_drift_do_not_tell_equal_providers_apart(metric: Any) -> None:
    """The same harness must show what goes wrong without the design effect, or it proves nothing."""

    def stormy(draw: random.Random) -> list[Sums]:
        return blocks(
            draw,
            40,
            lambda: 0.5 if draw.random() < 0.15 else 0.01,
            lambda: draw.lognormvariate(0, 0.3),
        )

    assert false_alarms(stormy, metric, 150, naive=True) > 0.2
    assert false_alarms(stormy, metric, 150, naive=False) <= 0.11
