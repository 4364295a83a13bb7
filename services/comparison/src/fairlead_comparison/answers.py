"""The domain's values as they travel."""

import math
from collections.abc import Sequence

from fairlead_common.operations import comparison as ops

from fairlead_comparison.comparer import Measured, Steps
from fairlead_comparison.domain.comparison import ALPHA, Verdict
from fairlead_comparison.domain.metrics import METRICS
from fairlead_comparison.domain.ranking import FORMULA, Place
from fairlead_comparison.domain.samples import Sample, Scores
from fairlead_comparison.store.sums import Window


def comparison(
    request: ops.CompareQuery, window: Window, measured: Measured, judged: Sequence[Verdict]
) -> ops.Comparison:
    """Values and pairs by metric, in the order in which the metrics were asked for."""
    return ops.Comparison(
        since=window.since,
        until=window.until,
        kinds=request.kinds,
        confidence=1 - ALPHA,
        metrics=[
            ops.MetricComparison(
                metric=metric,
                unit=METRICS[metric].unit,
                lower_is_better=METRICS[metric].lower_is_better,
                since=measured.quality_since if metric is ops.Metric.QUALITY else window.since,
                values=[_value(name, sample) for name, sample in sorted(arms.items())],
                pairs=[_pair(each) for each in judged if each.metric is metric],
            )
            for metric, arms in measured.arms.items()
        ],
    )


def ranking(request: ops.RankingQuery, window: Window, places: Sequence[Place]) -> ops.Ranking:
    """Places, best first."""
    return ops.Ranking(
        by="balanced" if request.by is None else request.by.value,
        unit="score" if request.by is None else METRICS[request.by].unit,
        since=window.since,
        until=window.until,
        formula=FORMULA if request.by is None else "the value of the metric",
        ranking=[_ranked(place) for place in places],
    )


def trend(request: ops.TrendQuery, window: Window, steps: Steps) -> ops.Trend:
    """One series for each target."""
    return ops.Trend(
        metric=request.metric,
        unit=METRICS[request.metric].unit,
        step=request.step,
        since=window.since,
        until=window.until,
        series=[
            ops.Series(
                target=name,
                points=[ops.Point(at=at, value=sample.value, n=sample.n) for at, sample in found],
            )
            for name, found in sorted(steps.items())
        ],
    )


def _value(target: str, sample: Sample | None) -> ops.MetricValue:
    if sample is None:
        return ops.MetricValue(target=target, value=None, low=None, high=None, n=0, design_effect=None)
    limits = sample.limits(ALPHA)
    return ops.MetricValue(
        target=target,
        value=sample.value,
        low=_end(limits.low),
        high=_end(limits.high),
        n=sample.n,
        design_effect=None if isinstance(sample, Scores) else sample.effect,
    )


def _pair(verdict: Verdict) -> ops.Pair:
    found, share = verdict.difference, verdict.relative
    return ops.Pair(
        first=verdict.first,
        second=verdict.second,
        difference=found.value if found else None,
        low=_end(found.low) if found else None,
        high=_end(found.high) if found else None,
        relative=share.value if share else None,
        relative_low=share.low if share else None,
        relative_high=share.high if share else None,
        p_value=found.p_value if found else None,
        adjusted_p_value=verdict.adjusted_p,
        winner=verdict.winner,
        reason=verdict.reason,
        method=verdict.method,
    )


def _ranked(place: Place) -> ops.Ranked:
    return ops.Ranked(
        position=place.position,
        target=place.target,
        value=place.value,
        low=_end(place.limits.low) if place.limits else None,
        high=_end(place.limits.high) if place.limits else None,
        n=place.n,
        behind_first=place.behind_first,
        parts=_parts(place),
        reason=place.reason,
    )


def _parts(place: Place) -> dict[str, ops.ScorePart]:
    return {
        name: ops.ScorePart(
            weight=part.weight, value=part.value, score=part.score, low=part.limits.low, high=part.limits.high
        )
        for name, part in place.parts.items()
    }


def _end(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None
