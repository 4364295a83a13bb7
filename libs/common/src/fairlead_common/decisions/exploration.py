"""Exploration: a small share of the requests goes where a better target may be hidden, so that estimates stay fresh.

Thompson sampling over a fixed set of scenarios, so that probabilities are exact. In each scenario a candidate's score is
drawn from a normal distribution around its estimate, whose deviation shrinks with the square root of its measured calls
(which the measuring window discounts); the best one is picked.
"""

import math
import zlib
from functools import lru_cache
from typing import Final

from fairlead_common.decisions.strategies import Scored
from fairlead_common.decisions.targets import Entrant, Target

SCENARIOS: Final = 64


def picks(scored: Scored) -> list[int]:
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
