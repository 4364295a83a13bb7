"""Whether two samples differ: the difference, its interval, its p value.

=============  =======================================================================================
proportions    interval: Newcombe's method 10 (1998), the square-and-add of Wilson's limits; p: pooled z
means          Welch's t (1947); ratio of the two by the delta method
quantiles      square-and-add (MOVER, Zou and Donner 2008) of the order-statistic limits, and then wider by
               the sketch's error on both sides, which is no chance and so adds up as it is; p: the smallest
               alpha whose interval leaves zero out
scores         paired t over common prompts; Welch where there are too few of them
=============  =======================================================================================
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairlead_common import sketch

from fairlead_comparison.domain.distributions import normal_two_sided, t_quantile, t_two_sided
from fairlead_comparison.domain.samples import Limits, Mean, Proportion, Quantile, Sample, Scores

MIN_PAIRS = 10
"""With fewer common prompts the pairing is given up."""
ROUNDING = 1e-9
"""Means that differ by less than this share of themselves are equal."""
SMALLEST_P = 1e-12
P_STEPS = 40


@dataclass(frozen=True, slots=True)
class Difference:
    """``first - second`` with its interval at confidence 1 - alpha."""

    value: float
    low: float
    high: float
    p_value: float
    method: str

    @property
    def excludes_zero(self) -> bool:
        """True when zero is outside of the interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class RelativeDifference:
    """``(first - second) / second`` with its interval."""

    value: float
    low: float
    high: float


def difference(first: Sample, second: Sample, alpha: float) -> Difference:
    """The difference of two samples of the same metric.

    Raises:
        TypeError: they are of different kinds.
    """
    if isinstance(first, Proportion) and isinstance(second, Proportion):
        return of_proportions(first, second, alpha)
    if isinstance(first, Mean) and isinstance(second, Mean):
        return of_means(first, second, alpha)
    if isinstance(first, Quantile) and isinstance(second, Quantile):
        return of_quantiles(first, second, alpha)
    if isinstance(first, Scores) and isinstance(second, Scores):
        return of_scores(first, second, alpha)
    raise TypeError(f"cannot compare {type(first).__name__} with {type(second).__name__}")


def of_proportions(first: Proportion, second: Proportion, alpha: float) -> Difference:
    """Newcombe's interval and the pooled z test, both on effective sizes."""
    limits = square_and_add(first.value, first.limits(alpha), second.value, second.limits(alpha))
    return Difference(
        first.value - second.value, *limits, pooled_z_p(first, second), "Newcombe interval, pooled z test"
    )


def pooled_z_p(first: Proportion, second: Proportion) -> float:
    """Two-sided p value of the hypothesis that both shares are equal."""
    n1, n2 = first.effective_n, second.effective_n
    pooled = (first.value * n1 + second.value * n2) / (n1 + n2)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return 1.0 if error == 0 else normal_two_sided((first.value - second.value) / error)


def of_means(first: Mean, second: Mean, alpha: float) -> Difference:
    """Welch's t test and interval."""
    value = first.value - second.value
    if abs(value) <= ROUNDING * max(abs(first.value), abs(second.value)):
        value = 0.0
    return Difference(*_t_interval(value, *_welch(first, second), alpha), "Welch t interval and test")


def relative(first: Mean, second: Mean, alpha: float) -> RelativeDifference | None:
    """How much larger the first mean is, as a share of the second (delta method); None when the second is 0."""
    if second.value == 0:
        return None
    ratio = first.value / second.value
    error_sq = (first.error_sq + ratio * ratio * second.error_sq) / second.value**2
    half = t_quantile(1 - alpha / 2, _welch(first, second)[1]) * math.sqrt(error_sq)
    return RelativeDifference(ratio - 1, ratio - 1 - half, ratio - 1 + half)


def of_quantiles(first: Quantile, second: Quantile, alpha: float) -> Difference:
    """Square-and-add with the sketch's error, and the p value that belongs to it."""
    rounding = sketch.RELATIVE_ERROR * (first.value + second.value) * (1 + ROUNDING)

    def limits(at: float) -> Limits:
        limits1, limits2 = first.sampling_limits(at), second.sampling_limits(at)
        low, high = square_and_add(first.value, limits1, second.value, limits2)
        return Limits(low - rounding, high + rounding)

    def excludes_zero(at: float) -> bool:
        low, high = limits(at)
        return low > 0 or high < 0

    return Difference(
        first.value - second.value,
        *limits(alpha),
        smallest_alpha(excludes_zero),
        "order statistics, square-and-add interval and its inversion",
    )


def of_scores(first: Scores, second: Scores, alpha: float) -> Difference:
    """Paired over common prompts where there are enough."""
    common = sorted(set(first.by_prompt) & set(second.by_prompt))
    if len(common) < MIN_PAIRS:
        return of_means(first.mean, second.mean, alpha)
    gaps = [first.by_prompt[prompt] - second.by_prompt[prompt] for prompt in common]
    paired = Mean.of_sums(sum(gaps), sum(gap * gap for gap in gaps), len(gaps))
    found = _t_interval(paired.value, math.sqrt(paired.error_sq), paired.n - 1, alpha)
    return Difference(*found, f"paired t over {len(gaps)} common prompts")


def square_and_add(v1: float, limits1: Limits, v2: float, limits2: Limits) -> Limits:
    """Limits of ``v1 - v2`` from the limits of both (MOVER)."""
    below = math.hypot(max(0.0, v1 - limits1.low), max(0.0, limits2.high - v2))
    above = math.hypot(max(0.0, limits1.high - v1), max(0.0, v2 - limits2.low))
    return Limits(v1 - v2 - below, v1 - v2 + above)


def smallest_alpha(excludes_zero: Callable[[float], bool]) -> float:
    """The p value that belongs to an interval: its smallest alpha at which zero is outside (to 3 digits), 1 if none."""
    if excludes_zero(SMALLEST_P):
        return SMALLEST_P
    low, high = math.log(SMALLEST_P), 0.0
    if not excludes_zero(1.0):
        return 1.0
    for _ in range(P_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes_zero(math.exp(middle)) else (middle, high)
    return math.exp(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979): at most alpha exactly where the step-down procedure rejects at alpha."""
    count = len(p_values)
    adjusted = [0.0] * count
    highest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _welch(first: Mean, second: Mean) -> tuple[float, float]:
    """Standard error of the difference, and Welch and Satterthwaite's degrees of freedom."""
    a, b = first.error_sq, second.error_sq
    if a + b == 0:
        return 0.0, float(first.n + second.n - 2)
    share = a / (a + b)
    return math.sqrt(a + b), 1 / (share**2 / (first.n - 1) + (1 - share) ** 2 / (second.n - 1))


def _t_interval(
    value: float, error: float, degrees: float, alpha: float
) -> tuple[float, float, float, float]:
    """Value, low, high, p. Without any spread a difference is certain, and so is its absence."""
    if error == 0:
        return value, value, value, 1.0 if value == 0 else SMALLEST_P
    half = t_quantile(1 - alpha / 2, degrees) * error
    return value, value - half, value + half, t_two_sided(value / error, degrees)
