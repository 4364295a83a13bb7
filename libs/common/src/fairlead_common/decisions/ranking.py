"""Ordering candidates by a strategy. Unknown facts rank last for cost and quality, in the middle for latency.

A provider that fails fast must not look fast: the latency of a target is divided by its share of successes, which
counts every failure as costing at least one average success (a retry elsewhere).
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.targets import Candidate, Measured
from fairlead_common.snapshots.routes import Strategy

TYPICAL_OUTPUT_TOKENS = 400
"""For cost estimates of requests without a limit."""
UNMEASURED = Measured()
MIN_SUCCESS_SHARE = 0.05
MIN_CALLS = 5
"""Fewer measured calls than this say nothing."""

Scores = Mapping[Candidate, float]


def latency_ms(candidate: Candidate, request: RouteRequest, view: FleetView) -> float | None:
    """Expected latency in ms, failures counted in: time to first token for streams; None = unknown."""
    measured = view.measured.get(candidate.target, UNMEASURED)
    if measured.calls < MIN_CALLS:
        return None
    base = (
        measured.ttft_p50_ms
        if request.stream and measured.ttft_p50_ms is not None
        else measured.latency_p50_ms
    )
    if base is None:
        return None
    return base / max(MIN_SUCCESS_SHARE, 1 - (measured.error_rate or 0.0))


def cost_usd(candidate: Candidate, request: RouteRequest) -> float | None:
    """Estimated cost of the request at this target in USD; None = its price is unknown."""
    if candidate.input_price is None or candidate.output_price is None:
        return None
    output = request.max_output_tokens or TYPICAL_OUTPUT_TOKENS
    return candidate.input_price * request.input_tokens + candidate.output_price * min(
        output, 4 * TYPICAL_OUTPUT_TOKENS
    )


def quality(candidate: Candidate, view: FleetView) -> float | None:
    """Measured quality, or the catalog's; None = unknown."""
    measured = view.measured.get(candidate.target, UNMEASURED).quality
    return candidate.quality if measured is None else measured


def reliability(candidate: Candidate, view: FleetView) -> float:
    """Share of successes; not yet measured counts as 1."""
    measured = view.measured.get(candidate.target, UNMEASURED)
    return 1 - (measured.error_rate or 0.0) if measured.calls >= MIN_CALLS else 1.0


def rank(
    strategy: Strategy,
    conditions: Conditions,
    candidates: Sequence[Candidate],
    request: RouteRequest,
    view: FleetView,
) -> list[Candidate]:
    """``candidates``, best first. Stable: equals keep their order, which is the catalog's preference."""
    if len(candidates) < 2:
        return list(candidates)
    if strategy is Strategy.BALANCED:
        scores = _balanced(conditions, candidates, request, view)
        return sorted(candidates, key=lambda each: -scores[each])
    return sorted(candidates, key=_key(strategy, candidates, request, view))


def _key(
    strategy: Strategy, candidates: Sequence[Candidate], request: RouteRequest, view: FleetView
) -> Callable[[Candidate], float]:
    if strategy is Strategy.COST:
        return lambda each: _or(cost_usd(each, request), float("inf"))
    if strategy is Strategy.QUALITY:
        return lambda each: -_or(quality(each, view), -1.0)
    known = [found for each in candidates if (found := latency_ms(each, request, view)) is not None]
    middle = median(known) if known else 0.0
    return lambda each: _or(latency_ms(each, request, view), middle)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _balanced(
    conditions: Conditions, candidates: Sequence[Candidate], request: RouteRequest, view: FleetView
) -> dict[Candidate, float]:
    """Weighted sum of scores from 0 (worst of these candidates) to 1 (best); unknown scores 0.5 (cost: 0)."""
    weights = conditions.weights
    parts = {
        "latency": _scaled(
            [latency_ms(each, request, view) for each in candidates], 0.5, lower_is_better=True
        ),
        "cost": _scaled([cost_usd(each, request) for each in candidates], 0.0, lower_is_better=True),
        "quality": _scaled([quality(each, view) for each in candidates], 0.5, lower_is_better=False),
        "reliability": [reliability(each, view) for each in candidates],
    }
    total = sum(weights.values())
    return {
        each: sum(weights.get(name, 0.0) * parts[name][position] for name in parts) / total
        for position, each in enumerate(candidates)
    }


def _scaled(values: Sequence[float | None], unknown: float, *, lower_is_better: bool) -> list[float]:
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    spread = high - low
    found = []
    for value in values:
        if value is None:
            found.append(unknown)
        elif spread == 0:
            found.append(1.0)
        else:
            found.append((high - value) / spread if lower_is_better else (value - low) / spread)
    return found
