"""Quality for the money: the best answers per dollar, and among those whose price is unknown the best answers."""

import math

from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import RouteRequest
from fairlead_common.decisions.scores import cost_usd
from fairlead_common.decisions.targets import Entrant

CHEAP_USD = 1e-5
DEAR_USD = 1e-1


def frugal(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
    """Quality, less half a point for each tenfold of the cost above a thousandth of a cent."""
    quality = 0.5 if entrant.quality is None else entrant.quality
    usd = cost_usd(entrant.candidate, request)
    if usd is None:
        return quality / 2
    tenfolds = math.log10(min(max(usd, CHEAP_USD), DEAR_USD) / CHEAP_USD)
    return quality * (1 - tenfolds / 8)
