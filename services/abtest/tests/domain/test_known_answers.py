"""The statistics against numbers that other people's software computed (shared/data/known_answers.json)."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead_abtest.domain.distributions import chi_square_p
from fairlead_abtest.domain.effects import (
    sequence_half_width,
    sequence_p_value,
    tuned_rho,
    welch,
)
from fairlead_abtest.domain.multiplicity import benjamini_hochberg, holm
from fairlead_abtest.domain.power import two_sample_power
from fairlead_abtest.domain.singles import quantile_interval, sample_ratio_p, wilson

KNOWN = Path(__file__).parents[4] / ".." / "shared" / "data" / "known_answers.json"


def known(identity: str) -> dict[str, Any]:
    if not KNOWN.exists():
        pytest.fail(f"{KNOWN} is absent: the known answers are kept beside the repository, in shared/data")
    found: dict[str, Any] = next(each for each in json.loads(KNOWN.read_text()) if each["id"] == identity)
    return found


def sample(sums: dict[str, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers with that count, sum and sum of squares: half of them above the mean by as much as the others below."""
    n = int(sums["n"])
    mean = sums["sum"] / n
    pairs = n // 2
    spread = math.sqrt((sums["sum_sq"] - n * mean**2) / (2 * pairs))
    return np.array([mean + spread] * pairs + [mean - spread] * pairs + [mean] * (n - 2 * pairs))


def test_welch_agrees_with_r() -> None:
    case = known("W1")
    found = welch(np.array(case["inputs"]["a"], dtype=float), np.array(case["inputs"]["b"], dtype=float))
    assert found is not None
    assert found.p_value() == pytest.approx(case["expected"]["p"], abs=case["tol"])
    assert -found.estimate / found.se == pytest.approx(case["expected"]["t"], abs=case["tol"])


def test_welch_agrees_with_growthbook() -> None:
    case = known("W3")
    found = welch(sample(case["inputs"]["a"]), sample(case["inputs"]["b"]))
    assert found is not None
    assert found.estimate == pytest.approx(case["expected"]["diff"], abs=2e-3)  # the source rounds it
    assert found.se == pytest.approx(case["expected"]["se"], abs=case["tol"])
    assert found.interval(0.05) == pytest.approx(case["expected"]["ci"], abs=case["tol"])
    assert found.p_value() == pytest.approx(case["expected"]["p"], abs=case["tol"])


def test_holm_and_benjamini_hochberg_agree_with_growthbook() -> None:
    case = known("H1")
    assert holm(case["inputs"]["p"]) == pytest.approx(case["expected"]["adj"], abs=case["tol"])
    case = known("H2")
    assert benjamini_hochberg(case["inputs"]["p"]) == pytest.approx(case["expected"]["adj"], abs=case["tol"])


def test_the_confidence_sequence_agrees_with_growthbook() -> None:
    case = known("S1")
    inputs, expected = case["inputs"], case["expected"]
    rho = tuned_rho(inputs["alpha"], inputs["N_star"])
    half = sequence_half_width(expected["se"], inputs["a"]["n"] + inputs["b"]["n"], rho, inputs["alpha"])
    assert [expected["lift"] - half, expected["lift"] + half] == pytest.approx(expected["ci"], abs=3e-5)
    assert sequence_p_value(expected["lift"], expected["se"], 6461, rho) == expected["p"]


def test_the_confidence_sequence_is_the_normal_mixture_boundary() -> None:
    case = known("S3")
    inputs, expected = case["inputs"], case["expected"]
    assert tuned_rho(inputs["alpha_opt"], inputs["v_opt"]) ** -2 == pytest.approx(
        expected["best_rho"], rel=1e-4
    )
    n = inputs["v"]  # the sum of n observations of variance 1 has the intrinsic time n
    half = sequence_half_width(1 / math.sqrt(n), n, expected["best_rho"] ** -0.5, inputs["alpha"])
    assert n * half == pytest.approx(expected["bound"], rel=1e-5)


def test_the_sequence_p_value_is_that_of_the_msprt() -> None:
    case = known("S7")
    inputs, expected = case["inputs"], case["expected"]
    n, variance = inputs["n"], inputs["V"]
    se, rho = math.sqrt(variance / n), math.sqrt(inputs["tau2"] / variance)
    for difference, p in zip(inputs["diff"], expected["p"], strict=True):
        assert sequence_p_value(difference, se, n, rho) == pytest.approx(p, abs=1e-7)
    half = sequence_half_width(se, n, rho, 0.05)
    assert half == pytest.approx(expected["cs_halfwidth_95"], abs=case["tol"])
    assert sequence_p_value(half, se, n, rho) == pytest.approx(0.05)


def test_the_exact_bootstrap_of_a_median() -> None:
    case = known("B1")
    assert quantile_interval(case["inputs"]["x"], 0.5, 0.05) == tuple(case["expected"]["percentile95"])


def test_power_agrees_with_r() -> None:
    case = known("N1")
    inputs = case["inputs"]
    found = two_sample_power(inputs["d"], inputs["n_per_arm"], inputs["alpha"])
    assert found == pytest.approx(case["expected"]["power"], abs=case["tol"])


def test_sample_ratio_mismatch_agrees_with_the_classic_example() -> None:
    case = known("R1")
    first, second = case["inputs"]["obs"]
    found = sample_ratio_p({"a": first, "b": second}, {"a": 1, "b": 1})
    assert found == pytest.approx(case["expected"]["p"], rel=1e-8)
    assert found == pytest.approx(chi_square_p(case["expected"]["stat"], 1), rel=1e-8)


def test_wilson_agrees_with_the_textbook() -> None:
    assert wilson(81, 263, 0.05) == pytest.approx(
        (0.2553, 0.3662), abs=1e-4
    )  # Newcombe 1998, table I, method 3
    assert wilson(0, 20, 0.05) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.parametrize("total", [1, 20, 60, 644])
def test_wilson_holds_a_share_of_none_and_of_all(total: int) -> None:
    assert wilson(0, total, 0.05)[0] == 0.0
    assert wilson(total, total, 0.05)[1] == 1.0
