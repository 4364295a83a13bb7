"""Error rates by simulation: what the analysis promises, and the naive test that breaks the promise in the same harness.

Seeds are fixed, so these are exact; the tolerances say how far the true rate may be from the promised one: 4.5 standard
deviations of a binomial share, which a correct method would miss once in 150,000 seeds.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fairlead_abtest.domain.effects import Effect, paired, paired_shares, tuned_rho, welch
from fairlead_abtest.domain.pairs import MIN_UNITS
from numpy.typing import NDArray

RUNS = 2000
ALPHA = 0.05
TOLERANCE = 4.5 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
Generator = np.random.Generator
Draw = Callable[[Generator, int], NDArray[np.float64]]


def normal(generator: Generator, n: int) -> NDArray[np.float64]:
    return generator.normal(size=n)


def log_latency_with_timeouts(generator: Generator, n: int) -> NDArray[np.float64]:
    def arm() -> NDArray[np.float64]:
        return generator.normal(0, 0.3, n) + 4.0 * (generator.random(n) < 0.02)

    return arm() - arm()


def skewed_cost(generator: Generator, n: int) -> NDArray[np.float64]:
    return generator.lognormal(0, 0.7, n) - generator.lognormal(0, 0.7, n)


def passes(generator: Generator, n: int) -> NDArray[np.float64]:
    return (generator.random(n) < 0.8).astype(float) - (generator.random(n) < 0.8)


def rejected(found: Effect | None) -> bool:
    return found is not None and found.p_value() < ALPHA


@pytest.mark.parametrize("n", [10, 50, 200])
@pytest.mark.parametrize(("draw", "make"), [(normal, paired), (skewed_cost, paired), (passes, paired_shares)])
def test_equal_arms_differ_significantly_as_often_as_stated(n: int, draw: Draw, make: Any) -> None:
    """Skewed and binary data keep below, never above."""
    generator = np.random.default_rng(n)
    rate = sum(rejected(make(draw(generator, n))) for _ in range(RUNS)) / RUNS
    assert rate <= ALPHA + TOLERANCE
    if draw is normal:
        assert rate >= ALPHA - TOLERANCE


def test_equal_arms_of_a_single_prompt() -> None:
    generator = np.random.default_rng(5)
    rate = sum(rejected(welch(normal(generator, 40), 3 * normal(generator, 40))) for _ in range(RUNS)) / RUNS
    assert abs(rate - ALPHA) <= TOLERANCE


LOOKS = range(MIN_UNITS, 201, 10)


@pytest.mark.parametrize("draw", [normal, log_latency_with_timeouts, skewed_cost])
def test_a_sequence_that_is_watched_all_the_time_errs_no_more_than_stated(draw: Draw) -> None:
    generator, rho = np.random.default_rng(7), tuned_rho(ALPHA, 200)
    wrong = 0
    for _ in range(RUNS):
        data = draw(generator, 200)
        wrong += any(rejected(paired(data[:n], rho)) for n in LOOKS)
    assert wrong / RUNS <= ALPHA


@pytest.mark.parametrize(("looks", "inflated"), [(5, 0.142), (20, 0.248)])
def test_the_naive_test_looked_at_repeatedly_errs_as_much_as_the_tables_say(
    looks: int, inflated: float
) -> None:
    """Armitage, McPherson and Rowe 1969; without this the harness would prove nothing."""
    generator = np.random.default_rng(11)
    size = 40 * looks
    wrong = 0
    for _ in range(RUNS):
        data = normal(generator, size)
        wrong += any(rejected(paired(data[: 40 * (i + 1)])) for i in range(looks))
    assert wrong / RUNS == pytest.approx(inflated, abs=4.5 * math.sqrt(inflated * (1 - inflated) / RUNS))


def test_the_interval_holds_the_truth_as_often_as_stated() -> None:
    generator = np.random.default_rng(13)
    held = 0
    for _ in range(RUNS):
        found = paired(0.3 + normal(generator, 30))
        assert found is not None
        low, high = found.interval(ALPHA)
        held += low <= 0.3 <= high
    assert abs(held / RUNS - (1 - ALPHA)) <= TOLERANCE


@pytest.mark.parametrize("rho", [None, tuned_rho(ALPHA, 500)])
def test_the_units_said_to_be_needed_suffice_four_times_in_five(rho: float | None) -> None:
    """A pilot says how many units separate a difference of 0.3 from 0; that many do so in about 80 % of runs."""
    generator = np.random.default_rng(17)
    pilot = paired(normal(generator, 4000), rho)
    assert pilot is not None
    needed = pilot.units_needed(0.3, ALPHA)
    runs = 500
    found = sum(rejected(paired(0.3 + normal(generator, needed), rho)) for _ in range(runs)) / runs
    assert found == pytest.approx(0.8, abs=4.5 * math.sqrt(0.16 / runs))
