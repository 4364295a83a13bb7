"""Values and limits of one sample."""

import math
import random
from fractions import Fraction

import pytest
from fairlead_common import sketch
from fairlead_comparison.domain.distributions import binomial_at_most, binomial_quantile
from fairlead_comparison.domain.samples import Mean, Proportion, Quantile, Scores, design_effect
from hypothesis import assume, given, settings
from hypothesis import strategies as st

ALPHAS = st.sampled_from([0.001, 0.01, 0.05, 0.2, 0.5])
VALUES = st.lists(st.floats(0, 100_000), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),  # Newcombe 1998a, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson(events: int, n: int, low: float, high: float) -> None:
    assert Proportion(events, n).limits(0.05) == pytest.approx((low, high), abs=5e-5)


def at_most(k: int, n: int, q: Fraction) -> Fraction:
    return sum((math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k + 1)), Fraction(0))


@pytest.mark.parametrize("n", [5, 19, 71, 72, 100])
@pytest.mark.parametrize("q", [Fraction(1, 2), Fraction(19, 20)])
def test_order_statistics_are_those_of_the_exact_binomial(n: int, q: Fraction) -> None:
    tail = Fraction(1, 40)
    lower = max((rank for rank in range(1, n + 1) if at_most(rank - 1, n, q) <= tail), default=None)
    upper = min((rank for rank in range(1, n + 1) if 1 - at_most(rank - 1, n, q) <= tail), default=None)
    values = [1000 * 1.1**rank for rank in range(1, n + 1)]
    low, high = Quantile.of_sketch(sketch.sketch_of(values), float(q)).limits(0.05)
    expected_low = 0.0 if lower is None else values[lower - 1]
    expected_high = math.inf if upper is None else values[upper - 1]
    assert low <= expected_low <= low * 1.021
    assert high == expected_high or high / 1.021 <= expected_high <= high


@settings(deadline=None)
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.floats(0.0001, 0.9999))
def test_binomial_quantile_is_the_smallest_that_reaches(n: int, q: float, p: float) -> None:
    k = binomial_quantile(p, n, q)
    assert binomial_at_most(k, n, q) >= p
    assert k == 0 or binomial_at_most(k - 1, n, q) < p


@settings(deadline=None)
@given(VALUES, st.sampled_from([0.5, 0.95]), ALPHAS, ALPHAS, st.floats(1, 20))
def test_quantile_limits_hold_the_value_and_shrink(
    values: list[float], q: float, one: float, other: float, effect: float
) -> None:
    found = Quantile.of_sketch(sketch.sketch_of(values), q, effect)
    strict, lax = sorted((one, other))
    (low1, high1), (low2, high2) = found.limits(strict), found.limits(lax)
    assert low1 <= low2 <= high2 <= high1
    assert found.value == sketch.quantile(sketch.sketch_of(values), q)
    assert low2 <= found.value <= high2


@settings(deadline=None)
@given(st.integers(1, 500), st.data(), ALPHAS, st.floats(1, 20))
def test_proportion_limits_hold_the_value(n: int, data: st.DataObject, alpha: float, effect: float) -> None:
    events = data.draw(st.integers(0, n))
    low, high = Proportion(events, n, effect).limits(alpha)
    assert 0 <= low <= events / n <= high <= 1
    wide_low, wide_high = Proportion(events, n, 2 * effect).limits(alpha)
    assert wide_low <= low + 1e-12
    assert wide_high >= high - 1e-12


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1000), min_size=2, max_size=50), st.floats(1, 10))
def test_mean_of_sums(values: list[float], effect: float) -> None:
    found = Mean.of_sums(sum(values), sum(each * each for each in values), len(values))
    mean = sum(values) / len(values)
    assert found.value == pytest.approx(mean)
    exact = sum((each - mean) ** 2 for each in values) / (len(values) - 1)
    assume(exact > 1e-6 * mean * mean)
    assert found.variance == pytest.approx(exact, rel=1e-6)


def test_equal_values_have_no_spread_whatever_the_rounding() -> None:
    found = Mean.of_sums(0.000221 * 1000, sum(0.000221**2 for _ in range(1000)), 1000)
    assert found.variance == 0.0


def test_scores_of_one_prompt_say_nothing_of_others() -> None:
    assert Scores({(1, 0): 0.7}).limits(0.05) == (0.0, 1.0)


def test_the_design_effect_of_independent_calls_is_about_one_and_of_bursts_large() -> None:
    draw = random.Random(7)
    even = [sum(draw.random() < 0.05 for _ in range(500)) for _ in range(24)]
    share = sum(even) / 12_000
    calm = design_effect([each - share * 500 for each in even], 12_000, share * (1 - share))
    assert 1 <= calm < 2
    burst = [0.0] * 23 + [600.0]
    share = 600 / 12_000
    stormy = design_effect([each - share * 500 for each in burst], 12_000, share * (1 - share))
    assert stormy > 300


@pytest.mark.parametrize(
    ("residuals", "n", "variance"), [([], 0, 0.0), ([3.0], 10, 1.0), ([1.0, -1.0], 10, 0.0)]
)
def test_without_blocks_or_spread_the_design_effect_is_one(
    residuals: list[float], n: int, variance: float
) -> None:
    assert design_effect(residuals, n, variance) == 1.0
