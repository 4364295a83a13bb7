"""The distributions and rank tests of scipy that the analysis stands on, with types."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats  # type: ignore[import-untyped]  # scipy ships no types

Values = NDArray[np.float64]


def normal_quantile(p: float) -> float:
    """z with P(Z <= z) = p."""
    return float(special.ndtri(p))


def t_quantile(p: float, df: float) -> float:
    """Quantile of Student's t."""
    return float(special.stdtrit(df, p))


def t_two_sided_p(t: float, df: float) -> float:
    """P(\\|T\\| >= \\|t\\|)."""
    return float(2 * special.stdtr(df, -abs(t)))


def chi_square_p(statistic: float, df: int) -> float:
    """P(X >= statistic)."""
    return float(special.chdtrc(df, statistic))


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function."""
    return float(special.betainc(a, b, x))


def noncentral_t_cdf(x: float, df: float, shift: float) -> float:
    """P(T <= x) for the noncentral t with that shift."""
    return float(stats.nct.cdf(x, df, shift))


def wilcoxon_p(differences: Values) -> float:
    """Wilcoxon signed-rank test of paired differences, two-sided; zeros after Pratt. 1 when all are zero."""
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences, zero_method="pratt", method="approx").pvalue)


def mann_whitney_p(first: Values, second: Values) -> float:
    """Mann-Whitney U test of two independent samples, two-sided."""
    if np.ptp(np.concatenate([first, second])) == 0:
        return 1.0
    return float(stats.mannwhitneyu(first, second, method="asymptotic").pvalue)


def mcnemar_p(gained: int, lost: int) -> float:
    """Exact McNemar test: of the pairs that differ, half should go either way."""
    return 1.0 if gained + lost == 0 else float(stats.binomtest(gained, gained + lost).pvalue)


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return float(np.mean(values)) if values else None
