"""Many comparisons at once: Holm's family-wise adjustment and Benjamini and Hochberg's false discovery rate."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979): below alpha = significant with a family-wise error rate of alpha."""
    total = len(p_values)
    adjusted = [0.0] * total
    highest = 0.0
    for rank, position in enumerate(sorted(range(total), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (total - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Benjamini and Hochberg 1995): below q = a discovery with a false discovery rate of q."""
    total = len(p_values)
    adjusted = [0.0] * total
    lowest = 1.0
    for rank, position in enumerate(sorted(range(total), key=lambda i: -p_values[i])):
        lowest = min(lowest, p_values[position] * total / (total - rank))
        adjusted[position] = lowest
    return adjusted
