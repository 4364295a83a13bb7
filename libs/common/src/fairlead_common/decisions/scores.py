"""How good one candidate is for one request, criterion by criterion: values with units, and scores from 0 to 1.

Scores are normalised against *fixed* bounds, never against the other candidates present, so that a candidate that joins
or leaves cannot reverse the order of the others (the flaw of min-max weighted sums and TOPSIS; compare SPOTIS, Dezert
et al. 2020). Latency and cost are judged on a logarithmic scale: twice as slow is as bad at 100 ms as at 10 s.

A provider that fails fast must not look fast: the latency of a target is divided by its share of successes, which
counts every failure as costing at least one average success (a retry elsewhere). What is unknown scores in the middle,
except an unknown price, which is never taken for a low one.
"""

import math
from typing import Final

from fairlead_common.decisions.plan import RouteRequest
from fairlead_common.decisions.targets import Candidate, Measured

LATENCY_BOUNDS_MS: Final = (50.0, 60_000.0)
TTFT_BOUNDS_MS: Final = (20.0, 20_000.0)
COST_BOUNDS_USD: Final = (1e-6, 1.0)
"""Of one call."""
UNKNOWN: Final = 0.5
UNMEASURED: Final = Measured()
MIN_CALLS: Final = 5
"""Fewer measured calls than this say nothing."""
MIN_SUCCESS_SHARE: Final = 0.05
PRIOR_CALLS: Final = 20.0
"""Weight of the prior in ``reliability``: a target starts as if this many calls had gone well."""
TYPICAL_OUTPUT_TOKENS: Final = 400
"""For cost estimates of requests without a limit."""


def latency_ms(measured: Measured) -> float | None:
    """Expected time to the whole answer, failures counted in; None = unknown."""
    return _with_failures(measured, measured.latency_p50_ms)


def ttft_ms(measured: Measured) -> float | None:
    """Expected time to the first token, failures counted in; the whole answer's where that is all that is known."""
    first = measured.ttft_p50_ms
    return _with_failures(measured, measured.latency_p50_ms if first is None else first)


def _with_failures(measured: Measured, base_ms: float | None) -> float | None:
    if measured.calls < MIN_CALLS or base_ms is None:
        return None
    return base_ms / max(MIN_SUCCESS_SHARE, 1 - (measured.error_rate or 0.0))


def expected_output_tokens(request: RouteRequest) -> int:
    """The caller's limit within reason, or what is typical."""
    return min(request.max_output_tokens or TYPICAL_OUTPUT_TOKENS, 4 * TYPICAL_OUTPUT_TOKENS)


def cost_usd(candidate: Candidate, request: RouteRequest, cached_share: float = 0.0) -> float | None:
    """Estimated cost of the request in USD; None = the price is unknown.

    Args:
        cached_share: share of the input (0 to 1) that the provider is expected to have in its prompt cache.
    """
    input_price = candidate.input_price
    if input_price is not None and cached_share and candidate.cached_input_price is not None:
        input_price += cached_share * (candidate.cached_input_price - input_price)
    return expected_cost_usd(input_price, candidate.output_price, request)


def expected_cost_usd(
    input_price: float | None, output_price: float | None, request: RouteRequest
) -> float | None:
    """Of the request at these prices (USD per token); None = a price is unknown."""
    if input_price is None or output_price is None:
        return None
    return input_price * request.input_tokens + output_price * expected_output_tokens(request)


def quality(candidate: Candidate, measured: Measured) -> float | None:
    """Measured quality, or the catalog's; 0 to 1; None = unknown. The workspace's own scores come on top."""
    return candidate.quality if measured.quality is None else measured.quality


def reliability(measured: Measured) -> float:
    """Share of successes, 0 to 1, drawn towards 1 by ``PRIOR_CALLS``: the posterior mean of a beta distribution."""
    failures = (measured.error_rate or 0.0) * measured.calls
    return 1 - failures / (measured.calls + PRIOR_CALLS)


def on_scale(value: float | None, bounds: tuple[float, float], unknown: float = UNKNOWN) -> float:
    """1 at the lower bound or below, 0 at the upper or above, logarithmic between; ``unknown`` for None."""
    if value is None:
        return unknown
    low, high = bounds
    if value <= low:
        return 1.0
    if value >= high:
        return 0.0
    return 1 - math.log(value / low) / math.log(high / low)
