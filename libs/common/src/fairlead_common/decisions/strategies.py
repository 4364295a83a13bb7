"""Strategies: how a rule orders the candidates that may serve a request. Every score is a total function, 0 to 1.

Ties: the order in which the candidates came (the caller's name, then the catalog's preference), then the name of the
target. Candidates that score within ``spread`` of the best share the traffic evenly, so that all edges do not herd onto
one; one that another candidate dominates (no better in any criterion, materially worse in one) never takes part in
that, so adding such a candidate changes no choice.

A plug-in is a function ``(Entrant, RouteRequest, Conditions) -> float`` from 0 to 1 under the entry-point group
``fairlead.strategies``; see ``fairlead_common.plugins``.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from fairlead_common.decisions import scores
from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.targets import Entrant, Target

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
NO_CONDITIONS: Final = Conditions()
COST_ONLY: Final = ("cost", "cheapest")
TURNS: Final = ("round_robin", "least_load")
SPREAD: Final = {"latency": 0.005, "reliability": 0.002, "balanced": 0.005}
"""Default of ``conditions.spread``; the other strategies have none: a cheaper or better one is the better one."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Candidates, the chosen one first."""

    entrants: tuple[Entrant, ...]
    scores: tuple[float, ...]
    probability: float | None
    """That the first is the first, over all draws; None = not computed."""
    explored: bool = False


def order(
    strategy: str,
    conditions: Conditions,
    entrants: Sequence[Entrant],
    request: RouteRequest,
    view: FleetView,
    draw: float,
    plugins: Mapping[str, Score],
) -> Ordered:
    """Best first; the chosen one in front.

    Args:
        entrants: all that are fit and well, in the order in which they came; may be empty.
        draw: uniform in [0, 1).
    """
    score = plugins.get(strategy)
    if score is None:
        found = _scores(strategy, conditions, entrants, request, _pace(view))
    else:
        found = [_bounded(score(each, request, conditions)) for each in entrants]
    places = sorted(range(len(found)), key=found.__getitem__, reverse=True)  # stable: ties stay as they came
    scored = Scored([entrants[place] for place in places], [found[place] for place in places])
    if len(places) < 2:
        return _with_first(scored, 0, 1.0)
    position, probability = _first(strategy, conditions, scored, request, view, draw)
    if not conditions.explore:
        return _with_first(scored, position, probability)
    return _exploring(scored, conditions.explore, position, probability, draw)


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


def cost_weight(strategy: str, conditions: Conditions) -> float:
    """What the score of the cost counts, 0 to 1."""
    if strategy in COST_ONLY:
        return 1.0
    if strategy != "balanced":
        return 0.0
    return conditions.weights.get("cost", 0.0) / sum(conditions.weights.values())


def _pace(view: FleetView) -> float:
    """0 to 1: below 1, the budget is being spent too fast."""
    return 1.0 if view.budget is None else min(1.0, max(0.0, view.budget.pace))


def _scores(
    strategy: str, conditions: Conditions, entrants: Sequence[Entrant], request: RouteRequest, pace: float
) -> list[float]:
    """What ``SCORES[strategy]`` says of each, from the parts that are known beforehand.

    At a pace below 1, ``balanced`` gives that share of its weights to what it weighs, and the rest to the cost.
    """
    found = (
        [each.base_stream for each in entrants] if request.stream else [each.base_whole for each in entrants]
    )
    weight = cost_weight(strategy, conditions)
    if pace < 1.0 and strategy == "balanced":
        found = [pace * base for base in found]
        weight = 1 - pace * (1 - weight)
    if weight == 0.0:
        return found
    if request.cached:
        return [
            base + weight * _cost(each, request, conditions)
            for base, each in zip(found, entrants, strict=True)
        ]
    tokens, output = request.input_tokens, scores.expected_output_tokens(request)
    low, high = scores.COST_BOUNDS_USD
    steepness = weight / math.log(high / low)
    full, log = weight + steepness * math.log(low), math.log
    for position, each in enumerate(entrants):  # _cost without its calls: this is most of a decision
        candidate = each.candidate
        input_price, output_price = candidate.input_price, candidate.output_price
        if input_price is None or output_price is None:
            continue
        usd = input_price * tokens + output_price * output
        if usd <= low:
            found[position] += weight
        elif usd < high:
            found[position] += full - steepness * log(usd)
    return found


class Scored(NamedTuple):
    """Candidates, best first, and their scores."""

    entrants: list[Entrant]
    scores: list[float]


def _bounded(score: float) -> float:
    """A plug-in's result made safe: no NaN, 0 to 1."""
    return min(1.0, max(0.0, score)) if score == score else 0.0


def _with_first(
    scored: Scored, position: int, probability: float | None, *, explored: bool = False
) -> Ordered:
    if position:
        scored.entrants.insert(0, scored.entrants.pop(position))
        scored.scores.insert(0, scored.scores.pop(position))
    return Ordered(tuple(scored.entrants), tuple(scored.scores), probability, explored)


def _first(
    strategy: str,
    conditions: Conditions,
    scored: Scored,
    request: RouteRequest,
    view: FleetView,
    draw: float,
) -> tuple[int, float | None]:
    """(position of the chosen one, its probability)."""
    key = _sticky_key(conditions, request)
    if strategy == "weighted":
        return _by_weight(scored, draw, key)
    if strategy == "round_robin" and key is None:
        return request.turn % len(scored.entrants), None
    if strategy == "least_load" and key is None:
        return _less_loaded(scored, view, draw), None
    if strategy in TURNS:
        near = list(range(len(scored.entrants)))
    else:
        near = _near(
            scored, conditions.spread if conditions.spread is not None else SPREAD.get(strategy, 0.0), request
        )
    if key is not None:
        return max(near, key=lambda i: (_rendezvous(key, scored.entrants[i], 1.0), -i)), 1.0
    return near[int(_part(draw, 1) * len(near))], 1 / len(near)


def _near(scored: Scored, spread: float, request: RouteRequest) -> list[int]:
    """Positions of those that share the traffic."""
    if spread == 0.0:
        return [0]
    least = scored.scores[0] - spread
    count = next((n for n, score in enumerate(scored.scores) if score < least), len(scored.scores))
    if count == 1:
        return [0]
    near = [_criteria(each, request) for each in scored.entrants[:count]]
    return [position for position, each in enumerate(near) if not _dominated(each, near)]


def _sticky_key(conditions: Conditions, request: RouteRequest) -> str | None:
    match conditions.sticky:
        case None | "prompt_cache":
            return None
        case "user":
            return request.user or None
        case "conversation":
            return request.conversation or None
        case name:
            return request.metadata.get(name.removeprefix("metadata.")) or None


def _by_weight(scored: Scored, draw: float, key: str | None) -> tuple[int, float]:
    weights = [each.weight for each in scored.entrants]
    total = sum(weights)
    if total <= 0:
        return 0, 1.0
    if key is not None:
        position = max(
            range(len(weights)), key=lambda i: (_rendezvous(key, scored.entrants[i], weights[i]), -i)
        )
        return position, 1.0
    left = _part(draw, 1) * total
    for position, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return position, weight / total
    position = max(range(len(weights)), key=weights.__getitem__)
    return position, weights[position] / total


def _less_loaded(scored: Scored, view: FleetView, draw: float) -> int:
    count = len(scored.entrants)
    one = int(_part(draw, 1) * count)
    other = (one + 1 + int(_part(draw, 2) * (count - 1))) % count
    first, second = min(one, other), max(one, other)

    def load(position: int) -> float:
        entrant = scored.entrants[position]
        return view.in_flight.get(entrant.candidate.target.provider, 0) / (entrant.weight or 1e-9)

    return first if load(first) <= load(second) else second


def _rendezvous(key: str, entrant: Entrant, weight: float) -> float:
    """Weighted highest-random-weight hashing (Thaler and Ravishankar 1998): few keys move when a target joins or leaves."""
    if weight <= 0:
        return -math.inf
    hashed = zlib.crc32(f"{key}\x1f{entrant.candidate.target}".encode())
    uniform = ((hashed * 2_654_435_761 & 0xFFFFFFFF) + 0.5) / 2**32
    return -weight / math.log(uniform)


MATERIAL: Final = (0.005, 0.001, 0.005, 0.002)
"""Smaller differences of the four scores are noise: 3.6 % of latency, 1.4 % of cost, half a point of quality."""


Criteria = tuple[float, float, float, float]


def _dominated(mine: Criteria, others: Sequence[Criteria]) -> bool:
    """Another is at least as good in every criterion, and materially better in one."""
    for theirs in others:
        gains = [there - own for there, own in zip(theirs, mine, strict=True)]
        if min(gains) >= 0 and any(gain > least for gain, least in zip(gains, MATERIAL, strict=True)):
            return True
    return False


def _criteria(entrant: Entrant, request: RouteRequest) -> Criteria:
    return (
        entrant.ttft_score if request.stream else entrant.latency_score,
        _cost(entrant, request, NO_CONDITIONS),
        -1.0 if entrant.quality is None else entrant.quality,
        entrant.reliability,
    )


def _part(draw: float, which: int) -> float:
    """One uniform draw gives several, independent enough: the fraction of a large multiple."""
    return draw * (7919.0, 104_729.0, 1_299_709.0, 15_485_863.0)[which - 1] % 1.0


SCENARIOS: Final = 64


def _exploring(
    scored: Scored, share: float, position: int, probability: float | None, draw: float
) -> Ordered:
    """Thompson sampling for ``share`` of the requests, over a fixed set of scenarios, so that probabilities are exact.

    In each scenario a candidate's score is drawn from a normal distribution around its estimate, whose deviation
    shrinks with the square root of its measured calls (which the measuring window discounts); the best one is picked.
    """
    picks = _picks(scored)
    explored = _part(draw, 3) < share
    chosen = picks[int(_part(draw, 4) * SCENARIOS)] if explored else position
    usual = None if probability is None else probability if chosen == position else 0.0
    total = None if usual is None else (1 - share) * usual + share * picks.count(chosen) / SCENARIOS
    return _with_first(scored, chosen, total, explored=explored)


def _picks(scored: Scored) -> list[int]:
    """The position picked in each scenario; who is best in none of them, however lucky, is not looked at again."""
    noises = [(_uncertainty(each), *_deviates(each.candidate.target)) for each in scored.entrants]
    pairs = list(zip(scored.scores, noises, strict=True))
    floor = max(score + scale * least for score, (scale, _, least, _) in pairs)
    able = [i for i, (score, (scale, _, _, most)) in enumerate(pairs) if score + scale * most >= floor]
    drawn = {i: [scored.scores[i] + noises[i][0] * each for each in noises[i][1]] for i in able}
    return [max(able, key=lambda i: (drawn[i][scenario], -i)) for scenario in range(SCENARIOS)]


def _uncertainty(entrant: Entrant) -> float:
    return 0.5 / math.sqrt(1 + entrant.calls)


@lru_cache(maxsize=4096)
def _deviates(target: Target) -> tuple[tuple[float, ...], float, float]:
    """Standard normal deviates that belong to each scenario and this target, the least and the greatest of them."""
    found = tuple(_deviate(scenario, target) for scenario in range(SCENARIOS))
    return found, min(found), max(found)


def _deviate(scenario: int, target: Target) -> float:
    """Box-Muller on two hashes."""
    name = f"{scenario}\x1f{target}"
    one, two = zlib.crc32(name.encode()), zlib.crc32(f"{name}!".encode())
    radius = math.sqrt(-2 * math.log((one + 0.5) / 2**32))
    return radius * math.cos(2 * math.pi * two / 2**32)
