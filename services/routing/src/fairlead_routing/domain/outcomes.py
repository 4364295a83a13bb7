"""What came of past calls, by metric, and what can be expected of targets that they did not go to."""

from collections.abc import Callable, Mapping
from typing import Final

from fairlead_common.decisions import scores
from fairlead_common.decisions.record import request_of
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.operations.calls import DecidedCall
from fairlead_common.outcomes import CallState

from fairlead_routing.domain.replay import Knowledge

SETTLED: Final = (CallState.OK, CallState.TRUNCATED, CallState.FAILED)
"""A caller who left says nothing of the target."""


def latency_ms(call: DecidedCall) -> float | None:
    """Time to the whole answer, of calls that were not streamed; None = does not count."""
    return call.duration_ms if call.state is CallState.OK and not call.stream else None


def ttft_ms(call: DecidedCall) -> float | None:
    """Time to the first token, of streams."""
    return call.ttft_ms if call.state is CallState.OK and call.stream else None


def failure(call: DecidedCall) -> float | None:
    """1 when the first target did not give the whole answer, whether or not another stood in for it."""
    if call.state not in SETTLED:
        return None
    return float(call.state is not CallState.OK or call.failover)


OBSERVED: Final[Mapping[str, Callable[[DecidedCall], float | None]]] = {
    "latency_ms": latency_ms,
    "ttft_ms": ttft_ms,
    "failure_share": failure,
}


def expected(metric: str, measured: Measured | None) -> float | None:
    """What is known now of a target's outcome by this metric; None = nothing."""
    if measured is None or measured.calls < scores.MIN_CALLS:
        return None
    return {
        "latency_ms": measured.latency_p50_ms,
        "ttft_ms": measured.ttft_p50_ms,
        "failure_share": measured.error_rate,
    }[metric]


def cost_at(target: Target, call: DecidedCall, known: Knowledge) -> float | None:
    """What the tokens of the call would have cost at a target, in USD; None = price or tokens are unknown.

    A call that nobody answered would have had as many as routing expected of it.
    """
    price = known.catalog.price(target)
    if price is None or price.input is None or price.output is None:
        return None
    if call.provider is None:
        request = request_of(call.decision, call.requested_model, 1, stream=call.stream)
        return scores.expected_cost_usd(price.input, price.output, request)
    if call.input_tokens is None or call.output_tokens is None:
        return None
    return price.input * call.input_tokens + price.output * call.output_tokens


def quality_at(target: Target, call: DecidedCall, known: Knowledge) -> float | None:
    """Expected quality of a target's answer, 0 to 1: as it was judged then, or else as it is known now."""
    name = str(target)
    for each in call.decision.candidates:
        if each.target == name:
            return each.quality
    entry = known.catalog.entries.get(target)
    measured = known.measured.get(target)
    prior = measured.quality if measured is not None else None
    if prior is None and entry is not None:
        prior = entry.quality
    return known.quality.of(target, call.decision.task, prior)
