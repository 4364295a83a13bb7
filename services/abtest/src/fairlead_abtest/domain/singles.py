"""What can be said of one arm alone: shares, quantiles, and whether every arm got its part of the calls."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fairlead_abtest.domain.distributions import (
    Values,
    beta_cdf,
    chi_square_p,
    normal_quantile,
)

SAMPLE_RATIO_ALARM: Final = 0.001
BOOTSTRAP_CELLS: Final = 2_000_000
MAX_RESAMPLES: Final = 2000


def wilson(successes: int, total: int, alpha: float) -> tuple[float, float]:
    """Interval of level 1 - alpha for a share (Wilson 1927); holds it also after rounding. ``total`` at least 1."""
    z = normal_quantile(1 - alpha / 2)
    share = successes / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def quantile_interval(values: Sequence[float], q: float, alpha: float) -> tuple[float, float] | None:
    """Percentile interval of the ideal bootstrap of a quantile, without resampling. None for no values.

    The m-th order statistic of a resample is at most x_(i) with probability I_{i/n}(m, n - m + 1).
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        return None
    m = min(n, max(1, math.ceil(q * n)))
    cumulated = [beta_cdf(i / n, m, n - m + 1) for i in range(1, n + 1)]
    low = next(x for x, c in zip(ordered, cumulated, strict=True) if c >= alpha / 2)
    high = next((x for x, c in zip(ordered, cumulated, strict=True) if c >= 1 - alpha / 2), ordered[-1])
    return low, high


def quantile_differences(
    rows: Values, q: float, alpha: float, generator: np.random.Generator
) -> dict[tuple[int, int], tuple[float, float]]:
    """Paired bootstrap of the difference of two columns' q-quantiles, for each pair of columns: (low, high).

    Args:
        rows: units x arms; NaN = no value. Whole units are drawn, so what they share stays shared.
    """
    n, arms = rows.shape
    resamples = min(MAX_RESAMPLES, max(200, BOOTSTRAP_CELLS // n))
    drawn = generator.integers(0, n, size=(resamples, n))
    columns = [_row_quantiles(rows[:, arm][drawn], q) for arm in range(arms)]
    found = {}
    for i in range(arms):
        for j in range(i + 1, arms):
            differences = columns[j] - columns[i]
            differences = differences[np.isfinite(differences)]
            if len(differences):
                low, high = np.quantile(differences, [alpha / 2, 1 - alpha / 2])
                found[i, j] = float(low), float(high)
    return found


def _row_quantiles(matrix: Values, q: float) -> Values:
    """The q-quantile of each row (linear), NaN left out; NaN for a row of nothing else."""
    ordered = np.sort(matrix, axis=1)  # NaN goes to the end
    counts = np.sum(~np.isnan(matrix), axis=1)
    place = q * np.maximum(counts - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    rows = np.arange(len(matrix))
    low, high = ordered[rows, below], ordered[rows, above]
    return np.asarray(low + (place - below) * (high - low), dtype=np.float64)


def sample_ratio_p(observed: Mapping[str, int], expected: Mapping[str, int]) -> float | None:
    """Chi-square test that the recorded calls are shared out as planned. None with nothing recorded or one arm."""
    total, planned = sum(observed.values()), sum(expected.values())
    if total == 0 or planned == 0 or len(expected) < 2:
        return None
    statistic = sum(
        (observed.get(arm, 0) - total * share / planned) ** 2 / (total * share / planned)
        for arm, share in expected.items()
    )
    return chi_square_p(statistic, len(expected) - 1)
