"""Pairwise verdicts: who is better at what, or why that cannot be said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from fairlead_common.operations.comparison import Metric

from fairlead_comparison.domain.differences import Difference, RelativeDifference, difference, holm, relative
from fairlead_comparison.domain.metrics import METRICS, MetricSpec
from fairlead_comparison.domain.samples import Mean, Sample

ALPHA = 0.05

Arms = Mapping[str, Sample | None]
"""What each target showed of one metric."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pair by one metric. ``winner`` None: ``reason`` says why. ``n`` = observations."""

    metric: Metric
    first: str
    second: str
    first_value: float | None
    second_value: float | None
    first_n: int
    second_n: int
    difference: Difference | None
    relative: RelativeDifference | None
    adjusted_p: float | None
    winner: str | None
    reason: str | None
    method: str


def verdicts(metrics: Mapping[Metric, Arms], alpha: float = ALPHA) -> list[Verdict]:
    """All pairs by all metrics, judged together: Holm over everything that could be tested."""
    found = [
        _compared(metric, first, second, arms, alpha)
        for metric, arms in metrics.items()
        for first, second in combinations(sorted(arms), 2)
    ]
    tested = [each.difference.p_value for each in found if each.difference is not None]
    adjusted = iter(holm(tested))
    return [
        each
        if each.difference is None
        else _judged(each, each.difference, next(adjusted), len(tested), alpha)
        for each in found
    ]


def _compared(metric: Metric, first: str, second: str, arms: Arms, alpha: float) -> Verdict:
    spec, a, b = METRICS[metric], arms[first], arms[second]
    missing = missing_data(spec, {first: a, second: b})
    found = difference(a, b, alpha) if a is not None and b is not None and not missing else None
    share = relative(a, b, alpha) if found and isinstance(a, Mean) and isinstance(b, Mean) else None
    return Verdict(
        metric,
        first,
        second,
        None if a is None else a.value,
        None if b is None else b.value,
        0 if a is None else a.n,
        0 if b is None else b.n,
        found,
        share,
        None,
        None,
        missing,
        found.method if found else "none",
    )


def missing_data(spec: MetricSpec, arms: Arms) -> str | None:
    short = [
        f"{name} has {0 if sample is None else sample.n}"
        for name, sample in arms.items()
        if sample is None or sample.n < spec.enough
    ]
    if not short:
        return None
    return f"not enough data: {' and '.join(short)} of at least {spec.enough} {spec.observed}"


def _judged(verdict: Verdict, found: Difference, adjusted: float, family: int, alpha: float) -> Verdict:
    confidence = f"{100 * (1 - alpha):.0f} %"
    if not found.excludes_zero:
        reason = f"the {confidence} interval of the difference includes zero"
    elif adjusted > alpha:
        reason = f"not significant among {family} comparisons (Holm: p = {adjusted:.3f})"
    else:
        first_is_better = (found.value < 0) == METRICS[verdict.metric].lower_is_better
        return replace(
            verdict, adjusted_p=adjusted, winner=verdict.first if first_is_better else verdict.second
        )
    return replace(verdict, adjusted_p=adjusted, reason=reason)


def block_seconds(first_s: float, last_s: float, unit_s: int, blocks: int = 24) -> int:
    """Length of the blocks of time that a span of traffic is cut into: about ``blocks`` of them, in whole units."""
    units = max(1, round((last_s - first_s) / unit_s / blocks))
    return units * unit_s
