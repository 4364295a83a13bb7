"""The attempts of a plan, in order: from who was chosen, who stands in and who is out to at most ``MAX_STEPS`` targets."""

from collections.abc import Sequence
from typing import Final

from fairlead_common.decisions.choosing import Ordered
from fairlead_common.decisions.field import Field
from fairlead_common.decisions.plan import (
    CLOSED,
    Excluded,
    FleetView,
    GateState,
    NoCapacity,
    Reason,
    RouteRequest,
    Step,
)
from fairlead_common.decisions.targets import Entrant

MAX_STEPS: Final = 4
"""More attempts than this help nobody: the caller's patience is spent."""


def in_order(first: Ordered, field: Field, view: FleetView) -> tuple[Step, ...]:
    """Who is well, then who recovers; empty when nobody is either."""
    then = field.others
    if field.policy is not None and field.policy.fallback_providers:
        places = {name: place for place, name in enumerate(field.policy.fallback_providers)}
        then = sorted(then, key=lambda each: places.get(each.target.provider, -1))
    if field.guard is not None and field.guard.chain:
        return _as_steps([*first.entrants, *field.others, *field.reserve], view)
    seen: set[str] = set()
    named = _spread(first.entrants, seen)
    seen.update(entrant.target.provider for _, _, entrant in field.out)
    return _as_steps([*named, *_spread(then, seen), *field.reserve], view)


def _spread(ordered: Sequence[Entrant], seen: set[str]) -> list[Entrant]:
    """Providers not in ``seen`` come first: what fails one model of a provider mostly fails its others as well."""
    fresh: list[Entrant] = []
    again: list[Entrant] = []
    for entrant in ordered:
        provider = entrant.candidate.target.provider
        (again if provider in seen else fresh).append(entrant)
        seen.add(provider)
        if len(fresh) == MAX_STEPS:
            break
    return fresh + again


def _as_steps(ordered: Sequence[Entrant], view: FleetView) -> tuple[Step, ...]:
    targets = [entrant.candidate.target for entrant in ordered[:MAX_STEPS]]
    reasons = [Reason.PRIMARY, *[Reason.FAILOVER] * len(targets)]
    if view.local_gates:
        reasons = [
            Reason.HALF_OPEN if view.local_gates.get(target, CLOSED).state is GateState.HALF_OPEN else reason
            for target, reason in zip(targets, reasons, strict=False)
        ]
    return tuple(map(Step, targets, reasons))


def panic(field: Field) -> tuple[Step, ...]:
    """Those that are out for now, the soonest to be tried again first; empty when there are none."""
    field.out.sort(key=lambda each: each[:2])
    return tuple(Step(entrant.candidate.target, Reason.PANIC) for _, _, entrant in field.out[:MAX_STEPS])


def none_fits(excluded: list[Excluded], request: RouteRequest) -> NoCapacity:
    """What the caller is told when no candidate can ever serve the request, with the reason of each."""
    reasons = "; ".join(f"{each.target}: {each.reason}" for each in excluded)
    waiting = any(each.reason == "in maintenance" for each in excluded)
    message = f"No model can serve this request for '{request.requested_model}'. {reasons}"
    if waiting:
        return NoCapacity(503, "no_capacity", message, tuple(excluded), 30.0)
    limited = request.cost_limit is not None and any("caller's limit" in each.reason for each in excluded)
    code = "max_cost_exceeded" if limited else "no_matching_model"
    return NoCapacity(400, code, message, tuple(excluded))
