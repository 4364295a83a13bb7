"""The facts that conditions speak of, from a request and what is known of the fleet: one function for each name."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.targets import Measured

NO_BUDGET_USD: Final = 1e12

Maker = Callable[[RouteRequest, FleetView, float], Any]


def facts_of(names: Iterable[str], request: RouteRequest, view: FleetView, now: float) -> dict[str, Any]:
    """The facts of these names.

    Args:
        now: Unix time in seconds.
    """
    return {name: MAKERS[name](request, view, now) for name in names}


def _measured(view: FleetView, value: Callable[[Measured], float | None]) -> Mapping[str, float]:
    found = ((str(target), value(measured)) for target, measured in view.measured.items())
    return {target: float(number) for target, number in found if number is not None}


def _quality(request: RouteRequest, view: FleetView) -> Mapping[str, float]:
    """What ranking expects too: by the catalog or by measurement, the workspace's scores, its learned table."""
    measured = {target: each.quality for target, each in view.measured.items() if each.quality is not None}
    priors = {**view.qualities, **measured}
    found = {}
    for target in {**priors, **view.quality.scores}:
        expected = view.quality.of(target, request.task, priors.get(target))
        if request.prediction is not None:
            expected = request.prediction.expected(target, expected)
        if expected is not None:
            found[str(target)] = expected
    return found


MAKERS: Final[Mapping[str, Maker]] = {
    "request.model": lambda request, view, now: request.requested_model,
    "request.tokens": lambda request, view, now: request.input_tokens,
    "request.max_tokens": lambda request, view, now: request.max_output_tokens or 0,
    "request.stream": lambda request, view, now: request.stream,
    "request.tools": lambda request, view, now: "tools" in request.needs,
    "request.images": lambda request, view, now: "vision" in request.needs,
    "request.needs": lambda request, view, now: sorted(request.needs),
    "request.response_format": lambda request, view, now: request.response_format,
    "request.task": lambda request, view, now: request.task,
    "request.language": lambda request, view, now: request.language,
    "request.user": lambda request, view, now: request.user,
    "request.workspace": lambda request, view, now: request.workspace_id,
    "request.metadata": lambda request, view, now: dict(request.metadata),
    "request.headers": lambda request, view, now: dict(request.headers),
    "now": lambda request, view, now: datetime.fromtimestamp(now, UTC),
    "health": lambda request, view, now: dict(view.status),
    "p95_ms": lambda request, view, now: _measured(view, lambda each: each.latency_p95_ms),
    "p50_ms": lambda request, view, now: _measured(view, lambda each: each.latency_p50_ms),
    "ttft_ms": lambda request, view, now: _measured(view, lambda each: each.ttft_p50_ms),
    "error_rate": lambda request, view, now: _measured(view, lambda each: each.error_rate),
    "quality": lambda request, view, now: _quality(request, view),
    "price": lambda request, view, now: {str(target): usd * 1e6 for target, usd in view.prices.items()},
    "in_flight": lambda request, view, now: dict(view.in_flight),
    "headroom": lambda request, view, now: {str(target): share for target, share in view.headroom.items()},
    "load": lambda request, view, now: sum(view.in_flight.values()),
    "budget.remaining_share": lambda request, view, now: (
        1.0 if view.budget is None else view.budget.remaining_share
    ),
    "budget.remaining_usd": lambda request, view, now: (
        NO_BUDGET_USD if view.budget is None else view.budget.remaining_usd
    ),
}
