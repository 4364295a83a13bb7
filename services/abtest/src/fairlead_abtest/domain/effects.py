"""Differences between two arms, with intervals and p values: at a fixed horizon, or valid at every look.

Fixed horizon: Student's t on paired differences, Welch's t on two samples. At every look: the asymptotic confidence
sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021), with an explicit ``rho``.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from fairlead_abtest.domain.distributions import (
    Values,
    normal_quantile,
    t_quantile,
    t_two_sided_p,
)

POWER: Final = 0.8
UNITS_LIMIT: Final = 1_000_000


@dataclass(frozen=True)
class Effect:
    """An estimated difference. ``rho`` None: fixed horizon; else a confidence sequence tuned by it.

    Args:
        units: independent observations; for two samples, those of both together.
        se: standard error of ``estimate``.
        df: degrees of freedom of ``se``.
    """

    units: int
    estimate: float
    se: float
    df: float
    rho: float | None = None

    def half_width(self, alpha: float) -> float:
        """Half the width of the interval of level 1 - alpha."""
        if self.rho is None:
            return t_quantile(1 - alpha / 2, self.df) * self.se
        return sequence_half_width(self.se, self.units, self.rho, alpha)

    def interval(self, alpha: float) -> tuple[float, float]:
        """The interval of level 1 - alpha."""
        half = self.half_width(alpha)
        return self.estimate - half, self.estimate + half

    def p_value(self) -> float:
        """Against no difference, two-sided; 1 - p is the level at which the interval just reaches 0."""
        if self.se == 0:
            return 1.0 if self.estimate == 0 else 0.0
        if self.rho is None:
            return t_two_sided_p(self.estimate / self.se, self.df)
        return sequence_p_value(self.estimate, self.se, self.units, self.rho)

    def units_needed(self, target: float, alpha: float) -> int:
        """Units at which, with probability 0.8, the interval stays within ``target`` of the truth, if the spread stays.

        Bisection on the very half width in force; at most a million.
        """
        spread = self.se * math.sqrt(self.units)
        low, high = 2, UNITS_LIMIT
        while low < high:
            middle = (low + high) // 2
            se = spread / math.sqrt(middle)
            scaled = Effect(middle, self.estimate, se, max(1.0, self.df / self.units * middle), self.rho)
            if scaled.half_width(alpha) + normal_quantile(POWER) * se <= target:
                high = middle
            else:
                low = middle + 1
        return low


def paired(differences: Values, rho: float | None = None) -> Effect | None:
    """The mean of paired differences. None for fewer than two."""
    n = len(differences)
    if n < 2:
        return None
    return Effect(
        n, float(np.mean(differences)), float(np.std(differences, ddof=1)) / math.sqrt(n), n - 1, rho
    )


def paired_shares(differences: Values, rho: float | None = None) -> Effect | None:
    """The mean of paired differences of values between 0 and 1 that are all 0 or 1, or do not vary.

    Agresti and Min (2005): half an observation is added to each of the four outcomes of a pair, so that pairs which all
    agree do not seem to prove that there is no difference at all.
    """
    n = len(differences)
    if n < 2:
        return None
    total, squares = float(np.sum(differences)), float(np.sum(differences**2)) + 1.0
    size = n + 2
    estimate = total / size
    variance = squares / size - estimate**2
    return Effect(n, estimate, math.sqrt(variance / size), n - 1, rho)


def paired_log_ratio(first: Values, second: Values, rho: float | None = None) -> Effect | None:
    """log(mean of second / mean of first) of paired amounts, by the delta method. None when a mean is not above 0."""
    n = len(first)
    if n < 2 or np.mean(first) <= 0 or np.mean(second) <= 0:
        return None
    linear = second / np.mean(second) - first / np.mean(first)
    se = float(np.std(linear, ddof=1)) / math.sqrt(n)
    return Effect(n, float(np.log(np.mean(second) / np.mean(first))), se, n - 1, rho)


def welch(first: Values, second: Values, rho: float | None = None) -> Effect | None:
    """Mean of the second sample less that of the first, of unequal variances. None when a sample has fewer than two."""
    if min(len(first), len(second)) < 2:
        return None
    a, b = float(np.var(first, ddof=1)) / len(first), float(np.var(second, ddof=1)) / len(second)
    estimate = float(np.mean(second) - np.mean(first))
    units = len(first) + len(second)
    if a + b == 0:
        return Effect(units, estimate, 0.0, units - 2, rho)
    df = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return Effect(units, estimate, math.sqrt(a + b), df, rho)


def welch_log_ratio(first: Values, second: Values, rho: float | None = None) -> Effect | None:
    """log(mean of second / mean of first) of two samples, by the delta method. None when a mean is not above 0."""
    if min(len(first), len(second)) < 2 or np.mean(first) <= 0 or np.mean(second) <= 0:
        return None
    found = welch(first / np.mean(first), second / np.mean(second), rho)
    if found is None:
        return None
    return Effect(found.units, float(np.log(np.mean(second) / np.mean(first))), found.se, found.df, rho)


def tuned_rho(alpha: float, units: float) -> float:
    """``rho`` that makes the sequence tightest near that many units: sqrt((-2 ln a + ln(-2 ln a + 1)) / units)."""
    return math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / max(units, 1.0))


def sequence_half_width(se: float, units: int, rho: float, alpha: float) -> float:
    """sqrt(se^2 n) sqrt(2 (n rho^2 + 1) / (n rho)^2 ln(sqrt(n rho^2 + 1) / alpha))."""
    mixed = units * rho**2 + 1
    return se * math.sqrt(2 * mixed / (units * rho**2) * math.log(math.sqrt(mixed) / alpha))


def sequence_p_value(estimate: float, se: float, units: int, rho: float) -> float:
    """The alpha at which the sequence's interval just reaches 0: a p value that may be looked at at any time."""
    mixed = units * rho**2 + 1
    exponent = units * rho**2 * estimate**2 / (2 * se**2 * mixed)
    return min(1.0, math.exp(0.5 * math.log(mixed) - exponent))
