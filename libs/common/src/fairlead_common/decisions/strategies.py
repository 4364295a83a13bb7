"""Strategies: what a rule values in the candidates that may serve a request. Every score is a total function, 0 to 1.

A plug-in is a function ``(Entrant, RouteRequest, Conditions) -> float`` from 0 to 1 under the entry-point group
``fairlead.strategies``; see ``fairlead_common.plugins``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Final, NamedTuple

from fairlead_common.decisions import scores
from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.targets import Candidate, Entrant

Score = Callable[[Entrant, RouteRequest, Conditions], float]


def _latency(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    return entrant.ttft_score if request.stream else entrant.latency_score


def _cost(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    share = request.cached.get(entrant.candidate.target, 0.0) if request.cached else 0.0
    usd = scores.cost_usd(entrant.candidate, request, share)
    return scores.on_scale(usd, scores.COST_BOUNDS_USD, unknown=0.0)


def _quality(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    return 0.0 if entrant.quality is None else entrant.quality


def _reliability(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    return entrant.reliability


def _balanced(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    weights = conditions.weights
    quality = scores.UNKNOWN if entrant.quality is None else entrant.quality
    total = (
        weights.get("latency", 0.0) * _latency(entrant, request, conditions)
        + weights.get("quality", 0.0) * quality
        + weights.get("reliability", 0.0) * entrant.reliability
    )
    if cost := weights.get("cost", 0.0):
        total += cost * _cost(entrant, request, conditions)
    return total / sum(weights.values())


def _equal(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    return 1.0 if entrant.weight > 0 else 0.0


SCORES: Final[Mapping[str, Score]] = {
    "latency": _latency,
    "cost": _cost,
    "quality": _quality,
    "reliability": _reliability,
    "balanced": _balanced,
    "cheapest": _cost,
    "weighted": _equal,
    "round_robin": _equal,
    "least_load": _equal,
}
MEANINGS: Final[Mapping[str, str]] = {
    "latency": "shortest expected time (to the first token for streams)",
    "cost": "lowest estimated cost of this call; unknown prices last",
    "quality": "highest quality, measured or from the catalog; unknown last",
    "reliability": "highest share of successes",
    "balanced": "weighted sum of the four scores; turns to cost as a budget is spent too fast",
    "cheapest": "as cost: the rule's constraints say what must be met",
    "weighted": "split by the weights of the rule's targets",
    "round_robin": "each in turn",
    "least_load": "of two drawn at random, the one with fewer calls under way (power of two choices)",
}
Criteria = tuple[float, float, float, float]
"""Scores of latency, cost, quality (-1 where it is unknown) and reliability."""
NO_CONDITIONS: Final = Conditions()
COST_ONLY: Final = ("cost", "cheapest")
TURNS: Final = ("round_robin", "least_load")


def criteria(entrant: Entrant, request: RouteRequest) -> Criteria:
    """How good it is for this request, whatever the rule values."""
    return (
        entrant.ttft_score if request.stream else entrant.latency_score,
        _cost(entrant, request, NO_CONDITIONS),
        -1.0 if entrant.quality is None else entrant.quality,
        entrant.reliability,
    )


def bases(strategy: str, conditions: Conditions, entrant: Entrant) -> tuple[float, float]:
    """(whole, streamed): the entrant's score without its cost; a plug-in's score has no such part."""
    if strategy in COST_ONLY or strategy not in SCORES:
        return 0.0, 0.0
    whole, stream = RouteRequest(""), RouteRequest("", stream=True)
    if strategy != "balanced":
        return SCORES[strategy](entrant, whole, conditions), SCORES[strategy](entrant, stream, conditions)
    free = Conditions(weights={**conditions.weights, "cost": 0.0})
    share = sum(free.weights.values()) / sum(conditions.weights.values())
    if share == 0.0:
        return 0.0, 0.0
    return share * _balanced(entrant, whole, free), share * _balanced(entrant, stream, free)


def needs_quality(strategy: str, conditions: Conditions) -> bool:
    """Whether the quality of the candidates can matter to the choice."""
    if conditions.min_quality is not None or strategy == "quality" or strategy not in SCORES:
        return True
    return strategy == "balanced" and conditions.weights.get("quality", 0.0) > 0.0


def cost_weight(strategy: str, conditions: Conditions) -> float:
    """What the score of the cost counts, 0 to 1."""
    if strategy in COST_ONLY:
        return 1.0
    if strategy != "balanced":
        return 0.0
    return conditions.weights.get("cost", 0.0) / sum(conditions.weights.values())


class Scored(NamedTuple):
    """Candidates, best first, and their scores. Ties stay in the order in which the candidates came."""

    entrants: tuple[Entrant, ...]
    scores: tuple[float, ...]


class Contenders:
    """Those that are fit and well, and what can be told of their scores before there is a request. Immutable.

    Args:
        entrants: in the order in which they came; may be empty.
    """

    def __init__(self, entrants: Sequence[Entrant]) -> None:
        self.entrants = tuple(entrants)

    def bases(self, *, stream: bool) -> tuple[float, ...]:
        """The part of each score that depends on no request."""
        return self._streamed if stream else self._whole

    def ranked(self, *, stream: bool) -> Scored:
        """Ordered by that part alone."""
        return self._ranked_streamed if stream else self._ranked_whole

    @cached_property
    def prices(self) -> tuple[tuple[float, float], ...]:
        """USD per (input, output) token of each; infinite where one of them is unknown."""
        return tuple(_prices(each.candidate) for each in self.entrants)

    @cached_property
    def _whole(self) -> tuple[float, ...]:
        return tuple(each.base_whole for each in self.entrants)

    @cached_property
    def _streamed(self) -> tuple[float, ...]:
        return tuple(each.base_stream for each in self.entrants)

    @cached_property
    def _ranked_whole(self) -> Scored:
        return ranked(self.entrants, self._whole)

    @cached_property
    def _ranked_streamed(self) -> Scored:
        return ranked(self.entrants, self._streamed)


def _prices(candidate: Candidate) -> tuple[float, float]:
    if candidate.input_price is None or candidate.output_price is None:
        return math.inf, math.inf
    return candidate.input_price, candidate.output_price


def ranked(entrants: tuple[Entrant, ...], found: Sequence[float]) -> Scored:
    """Best first. ``found`` has the score of each entrant."""
    if len(entrants) < 2:
        return Scored(entrants, tuple(found))
    pick = itemgetter(*sorted(range(len(found)), key=found.__getitem__, reverse=True))
    return Scored(pick(entrants), pick(found))


def scored(
    strategy: str,
    conditions: Conditions,
    contenders: Contenders,
    request: RouteRequest,
    view: FleetView,
    plugins: Mapping[str, Score],
) -> Scored:
    """All of them, best first, by a strategy of ours or by a plug-in.

    While a budget is spent too fast, ``balanced`` gives the pace's share of its weights to what it weighs, and the rest
    to the cost.
    """
    entrants = contenders.entrants
    if (plugin := plugins.get(strategy)) is not None:
        return ranked(entrants, [_bounded(plugin(each, request, conditions)) for each in entrants])
    share, weight = 1.0, cost_weight(strategy, conditions)
    if strategy == "balanced" and (pace := _pace(view)) < 1.0:
        share, weight = pace, 1 - pace * (1 - weight)
    if weight == 0.0:
        return contenders.ranked(stream=request.stream)
    bases = contenders.bases(stream=request.stream)
    if not request.cached:
        return ranked(entrants, _with_cost(bases, share, weight, contenders.prices, request))
    costs = [weight * _cost(each, request, conditions) for each in entrants]
    return ranked(entrants, [share * base + cost for base, cost in zip(bases, costs, strict=True)])


def _with_cost(
    bases: Sequence[float],
    share: float,
    weight: float,
    prices: Sequence[tuple[float, float]],
    request: RouteRequest,
) -> list[float]:
    """``share * base + weight * _cost`` of each, written out: this is most of a decision."""
    tokens, output = request.input_tokens, scores.expected_output_tokens(request)
    low, high = scores.COST_BOUNDS_USD
    steepness = weight / math.log(high / low)
    full, log = weight + steepness * math.log(low), math.log
    return [
        share * base + (full - steepness * log(usd) if usd > low else weight)
        if (usd := input_price * tokens + output_price * output) < high
        else share * base
        for base, (input_price, output_price) in zip(bases, prices, strict=True)
    ]


def _pace(view: FleetView) -> float:
    """0 to 1: below 1, the budget is being spent too fast."""
    return 1.0 if view.budget is None else min(1.0, max(0.0, view.budget.pace))


def _bounded(score: float) -> float:
    """A plug-in's result made safe: no NaN, 0 to 1."""
    return min(1.0, max(0.0, score)) if score == score else 0.0
