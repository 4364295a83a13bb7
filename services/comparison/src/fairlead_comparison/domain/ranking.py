"""Putting targets in order, by one metric or balanced, with the uncertainty of the order.

A balanced score normalises each part against fixed bounds, never against the targets that happen to be there: adding a
target changes nothing between the others. What is unknown may be anything from 0 to 1, and widens the interval so.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from fairlead_common.operations.comparison import Metric

from fairlead_comparison.domain.comparison import ALPHA, Arms, missing_data
from fairlead_comparison.domain.differences import difference, holm
from fairlead_comparison.domain.metrics import METRICS
from fairlead_comparison.domain.samples import Limits, Sample

FORMULA = (
    "weighted mean of: latency (1 at 200 ms median and below, 0 at 20 s, logarithmic), cost (1 at 0.00001 USD a call and"
    " below, 0 at 0.1 USD, logarithmic), quality (0 to 1 as scored), reliability (1 without failures, 0 at 20 % and more);"
    " a part that is unknown counts 0.5, and as 0 to 1 in the interval"
)
UNKNOWN = (0.5, Limits(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a balanced score; ``weight`` is its share of the whole."""

    weight: float
    value: float | None
    score: float
    limits: Limits


@dataclass(frozen=True, slots=True)
class Place:
    """One target in a ranking. ``position`` from 1; None = it cannot be ranked, see ``reason``."""

    target: str
    position: int | None
    value: float | None
    limits: Limits | None
    n: int
    behind_first: bool | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    reason: str | None = None


def by_metric(metric: Metric, arms: Arms, alpha: float = ALPHA) -> list[Place]:
    """Best value first; targets of which too little was seen come last, without a position."""
    spec = METRICS[metric]
    sign = 1 if spec.lower_is_better else -1
    known = {name: sample for name, sample in arms.items() if sample is not None and sample.n >= spec.enough}
    order = sorted(known, key=lambda name: (sign * known[name].value, name))
    behind = _behind({name: known[name] for name in order}, alpha)
    places = [
        Place(name, i, known[name].value, known[name].limits(alpha), known[name].n, behind.get(name))
        for i, name in enumerate(order, 1)
    ]
    return places + [
        Place(
            name,
            None,
            None,
            None,
            0 if sample is None else sample.n,
            reason=missing_data(spec, {name: sample}),
        )
        for name, sample in sorted(arms.items())
        if name not in known
    ]


def _behind(ordered: Mapping[str, Sample], alpha: float) -> dict[str, bool]:
    """Which of the others differ from the first, judged together."""
    names = list(ordered)
    found = [difference(ordered[name], ordered[names[0]], alpha) for name in names[1:]]
    adjusted = holm([each.p_value for each in found])
    return {
        name: each.excludes_zero and p <= alpha
        for name, each, p in zip(names[1:], found, adjusted, strict=True)
    }


def _logarithmic(best: float, worst: float) -> Callable[[float], float]:
    span = math.log(worst / best)
    return lambda value: 1.0 if value <= best else max(0.0, 1 - math.log(value / best) / span)


PARTS: Mapping[str, tuple[Metric, Callable[[float], float]]] = {
    "latency": (Metric.LATENCY_P50, _logarithmic(200.0, 20_000.0)),
    "cost": (Metric.COST_PER_CALL, _logarithmic(0.00001, 0.1)),
    "quality": (Metric.QUALITY, lambda value: min(1.0, max(0.0, value))),
    "reliability": (Metric.ERROR_RATE, lambda value: max(0.0, 1 - value / 0.2)),
}


def balanced(
    metrics: Mapping[Metric, Arms], weights: Mapping[str, float], alpha: float = ALPHA
) -> list[Place]:
    """Highest score first; a target of which nothing is known comes last, without a position.

    Args:
        weights: by the names of PARTS; not negative, not all zero.
    """
    targets = sorted({name for arms in metrics.values() for name in arms})
    whole = sum(weights.values())
    shares = {name: weights.get(name, 0.0) / whole for name in PARTS}
    scored = {target: _scored(target, metrics, shares, alpha) for target in targets}
    blank = [target for target in targets if _is_blank(scored[target])]
    order = sorted(set(targets) - set(blank), key=lambda target: (-(scored[target].value or 0.0), target))
    strict = alpha / max(1, len(order) - 1)  # Bonferroni over those that are compared with the first
    narrow = {target: _scored(target, metrics, shares, strict) for target in order}
    return [
        replace(
            scored[target],
            position=i,
            behind_first=None if i == 1 else _surely_behind(narrow[order[0]], narrow[target]),
        )
        for i, target in enumerate(order, 1)
    ] + [replace(scored[target], value=None, limits=None) for target in blank]


def _is_blank(place: Place) -> bool:
    return all(part.value is None for part in place.parts.values())


def _scored(target: str, metrics: Mapping[Metric, Arms], shares: Mapping[str, float], alpha: float) -> Place:
    parts = {name: _part(name, target, metrics, share, alpha) for name, share in shares.items() if share > 0}
    score = sum(part.weight * part.score for part in parts.values())
    below = math.hypot(*(part.weight * (part.score - part.limits.low) for part in parts.values()))
    above = math.hypot(*(part.weight * (part.limits.high - part.score) for part in parts.values()))
    arm = metrics.get(Metric.ERROR_RATE, {}).get(target)
    unknown = [name for name, part in parts.items() if part.value is None]
    return Place(
        target,
        None,
        score,
        Limits(max(0.0, score - below), min(1.0, score + above)),
        0 if arm is None else arm.n,
        parts=parts,
        reason=f"unknown: {', '.join(unknown)}" if unknown else None,
    )


def _part(name: str, target: str, metrics: Mapping[Metric, Arms], share: float, alpha: float) -> Part:
    metric, scale = PARTS[name]
    sample = metrics.get(metric, {}).get(target)
    if sample is None or sample.n < METRICS[metric].enough:
        return Part(share, None, *UNKNOWN)
    low, high = sample.limits(alpha)
    ends = sorted((scale(low), scale(high)))
    score = scale(sample.value)
    return Part(share, sample.value, score, Limits(min(score, ends[0]), max(score, ends[1])))


def _surely_behind(first: Place, other: Place) -> bool:
    if first.value is None or other.value is None or first.limits is None or other.limits is None:
        return False
    gap = first.value - other.value
    return gap > math.hypot(first.value - first.limits.low, other.limits.high - other.value)
