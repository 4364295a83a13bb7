"""The choice among candidates that may serve a request: the best, or one that shares the traffic with the best.

Ties: the order in which the candidates came (the caller's name, then the catalog's preference), then the name of the
target. Candidates that score within ``spread`` of the best share the traffic evenly, so that all edges do not herd onto
one; a key that sticks picks among them by its hash, so that all edges take the same one without asking each other. A
candidate that another one dominates (no better in any criterion, materially worse in one) never takes part in that, so
adding such a candidate changes no choice.
"""

import math
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import gt
from typing import Final, NamedTuple

from fairlead_common.decisions import exploration
from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.strategies import Contenders, Criteria, Score, Scored, criteria, scored
from fairlead_common.decisions.targets import Entrant

TURNS: Final = ("round_robin", "least_load")
SPREAD: Final = {"latency": 0.005, "reliability": 0.002, "balanced": 0.005}
"""Default of ``conditions.spread``; the other strategies have none: a cheaper or better one is the better one."""


class Ordered(NamedTuple):
    """Candidates, the chosen one first."""

    entrants: tuple[Entrant, ...]
    scores: tuple[float, ...]
    probability: float | None
    """That the first is the first, over all draws; None = not computed."""
    explored: bool = False


def order(
    strategy: str,
    conditions: Conditions,
    contenders: Contenders,
    request: RouteRequest,
    view: FleetView,
    draw: float,
    plugins: Mapping[str, Score],
) -> Ordered:
    """Best first; the chosen one in front.

    Args:
        draw: uniform in [0, 1).
    """
    found = scored(strategy, conditions, contenders, request, view, plugins)
    if len(found.entrants) < 2:
        return _with_first(found, 0, 1.0)
    position, probability = _first(strategy, conditions, found, request, view, draw)
    if not conditions.explore:
        return _with_first(found, position, probability)
    return _exploring(found, conditions.explore, position, probability, draw)


def _exploring(found: Scored, share: float, position: int, probability: float | None, draw: float) -> Ordered:
    """Another choice for ``share`` of the requests; see ``exploration``."""
    picks = exploration.picks(found)
    explored = _part(draw, 3) < share
    chosen = picks[int(_part(draw, 4) * len(picks))] if explored else position
    usual = None if probability is None else probability if chosen == position else 0.0
    total = None if usual is None else (1 - share) * usual + share * picks.count(chosen) / len(picks)
    return _with_first(found, chosen, total, explored=explored)


def _with_first(
    found: Scored, position: int, probability: float | None, *, explored: bool = False
) -> Ordered:
    entrants, points = found
    if position:
        entrants = (entrants[position], *entrants[:position], *entrants[position + 1 :])
        points = (points[position], *points[:position], *points[position + 1 :])
    return Ordered(entrants, points, probability, explored)


def _first(
    strategy: str,
    conditions: Conditions,
    found: Scored,
    request: RouteRequest,
    view: FleetView,
    draw: float,
) -> tuple[int, float | None]:
    """(position of the chosen one, its probability)."""
    key = _sticky_key(conditions, request)
    if strategy == "weighted":
        return _by_weight(found, draw, key)
    if strategy == "round_robin" and key is None:
        return request.turn % len(found.entrants), None
    if strategy == "least_load" and key is None:
        return _less_loaded(found, view, draw), None
    if strategy in TURNS:
        near = list(range(len(found.entrants)))
    else:
        near = _near(
            found, conditions.spread if conditions.spread is not None else SPREAD.get(strategy, 0.0), request
        )
    if key is not None:
        return max(near, key=lambda i: (_rendezvous(key, found.entrants[i], 1.0), -i)), 1.0
    return near[int(_part(draw, 1) * len(near))], 1 / len(near)


def _near(found: Scored, spread: float, request: RouteRequest) -> list[int]:
    """Positions of those that share the traffic."""
    if spread == 0.0:
        return [0]
    least = found.scores[0] - spread
    count = next((n for n, score in enumerate(found.scores) if score < least), len(found.scores))
    if count == 1:
        return [0]
    near = [criteria(each, request) for each in found.entrants[:count]]
    return [position for position, each in enumerate(near) if not _dominated(each, near)]


def _sticky_key(conditions: Conditions, request: RouteRequest) -> str | None:
    match conditions.sticky:
        case None:
            return None
        case "user":
            return request.user or None
        case "conversation" | "prompt_cache":
            return request.conversation or None
        case name:
            return request.metadata.get(name.removeprefix("metadata.")) or None


def _by_weight(found: Scored, draw: float, key: str | None) -> tuple[int, float]:
    weights = [each.weight for each in found.entrants]
    sums = list(accumulate(weights))
    total = sums[-1]
    if total <= 0:
        return 0, 1.0
    if key is not None:
        position = max(
            range(len(weights)), key=lambda i: (_rendezvous(key, found.entrants[i], weights[i]), -i)
        )
        return position, 1.0
    position = bisect_right(sums, _part(draw, 1) * total)
    if position == len(sums):
        position = max(range(len(weights)), key=weights.__getitem__)
    return position, weights[position] / total


def _less_loaded(found: Scored, view: FleetView, draw: float) -> int:
    count = len(found.entrants)
    one = int(_part(draw, 1) * count)
    other = (one + 1 + int(_part(draw, 2) * (count - 1))) % count
    first, second = min(one, other), max(one, other)

    def load(position: int) -> float:
        entrant = found.entrants[position]
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


def _dominated(mine: Criteria, others: Sequence[Criteria]) -> bool:
    """Another is at least as good in every criterion, and materially better in one."""
    speed, cost, quality, reliability = mine
    for faster, cheaper, better, steadier in others:
        if faster < speed or cheaper < cost or better < quality or steadier < reliability:
            continue
        gains = (faster - speed, cheaper - cost, better - quality, steadier - reliability)
        if any(map(gt, gains, MATERIAL)):
            return True
    return False


def _part(draw: float, which: int) -> float:
    """One uniform draw gives several, independent enough: the fraction of a large multiple."""
    return draw * (7919.0, 104_729.0, 1_299_709.0, 15_485_863.0)[which - 1] % 1.0
