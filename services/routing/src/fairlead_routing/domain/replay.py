"""Deciding past calls again, under other rules, with what was known when they were decided.

The record of a call holds its request, the chance drawn for it, what its candidates were judged by, and who was out for
the moment. Of targets that were no candidates then, what is known now is taken. The decision code is the edges' own.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from fairlead_common.decisions import scores
from fairlead_common.decisions.budgets import refusal
from fairlead_common.decisions.expressions import evaluate
from fairlead_common.decisions.facts import facts_of
from fairlead_common.decisions.plan import Budget, FleetView, Gate, GateState, NoCapacity, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy
from fairlead_common.decisions.quality import NO_SCORES, QualityTable
from fairlead_common.decisions.record import kept_of, request_of
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.calls import Considered
from fairlead_common.operations.calls import DecidedCall
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.errors import UnknownModel

OUT_THEN: Final = (
    "in maintenance",
    "the provider is down",
    "the fleet's breaker is open",
    "this process's breaker is open",
    "its rate limit is used up",
    "the provider is degraded",
)
"""Beginnings of the reasons that speak of the moment, not of the rule."""
MONEY: Final = frozenset(("budget.remaining_share", "budget.remaining_usd"))
"""Facts that a replay knows, because it counts the money itself."""
OUT: Final = Gate(GateState.OPEN, 0.0)
CALLS: Final = int(scores.PRIOR_CALLS)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A call, whom it went to first, and whom it would have gone to first. None = nothing could serve it."""

    call: DecidedCall
    before: Target | None
    after: Target | None
    rule: str | None
    """That would have decided; None = the default one."""
    blocked: bool = False
    """The budget would have been spent, and refused it."""

    @property
    def changed(self) -> bool:
        """It would have gone elsewhere."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known now."""

    catalog: Catalog
    measured: Mapping[Target, Measured]
    quality: QualityTable = NO_SCORES
    policies: Sequence[tuple[float, CompiledPolicy | None]] = ()
    """The workspace's failover policies, oldest first: Unix time from which on, and what it was; None = there was none."""

    def policy_at(self, at: float) -> CompiledPolicy | None:
        """The one in force at a Unix time."""
        place = bisect_right(self.policies, at, key=itemgetter(0))
        return self.policies[place - 1][1] if place else None


def replay(
    call: DecidedCall, table: CompiledTable, known: Knowledge, turn: int, budget: Budget | None = None
) -> Replayed | str:
    """Decide again, or say why that cannot be done.

    Args:
        turn: place of the call among the others, for rules that take turns.
        budget: what would have been left; None = there is no limit.
    """
    decision, at = call.decision, call.started_at.timestamp()
    if decision.draw is None and decision.strategy is not None:
        return "the chance drawn for it was not kept"
    request = request_of(decision, call.requested_model, 1, stream=call.stream, turn=turn)
    if lost := _lost(table, request, FleetView(budget=budget), kept_of(decision) | MONEY, at):
        return f"the rules speak of {', '.join(sorted(lost))}, which is not kept with a call"
    if refusal(budget, 1) is not None:
        return Replayed(call, first_target(call), None, None, blocked=True)
    view = _view(call, known, budget)
    draw = 0.5 if decision.draw is None else decision.draw
    try:
        plan = make_plan(
            table, known.policy_at(at), request, known.catalog.candidates, view, at, draw, stand_ins=False
        )
    except UnknownModel:
        return "the catalog has nothing of the requested name any more"
    position, rule = table.rule_for(request, view, at)
    after = None if isinstance(plan, NoCapacity) else plan.steps[0].target
    return Replayed(call, first_target(call), after, rule.name if position >= 0 else None)


def first_target(call: DecidedCall) -> Target | None:
    """Whom the call went to first; None = nothing could serve it."""
    if call.decision.candidates:
        return target_of(call.decision.candidates[0].target)
    return None if call.provider is None else Target(call.provider, call.model or "")


def target_of(name: str) -> Target:
    """``provider/model`` as a target."""
    provider, _, model = name.partition("/")
    return Target(provider, model)


def _lost(
    table: CompiledTable, request: RouteRequest, view: FleetView, kept: frozenset[str], at: float
) -> frozenset[str]:
    """Facts that are not kept and that a rule before the first one that applies asks for."""
    for rule in table.rules:
        applies = rule.conditions.applies
        if applies is None:
            break
        if lost := applies.facts - kept:
            return lost
        if evaluate(applies, facts_of(applies.facts, request, view, at)).true:
            break
    return frozenset()


def _view(call: DecidedCall, known: Knowledge, budget: Budget | None) -> FleetView:
    then = {target_of(each.target): _measured(each, stream=call.stream) for each in call.decision.candidates}
    out = {target_of(each.target): OUT for each in call.decision.excluded if each.reason.startswith(OUT_THEN)}
    others = {target: scores for target, scores in known.quality.scores.items() if target not in then}
    return FleetView(
        measured={**known.measured, **then},
        local_gates=out,
        qualities=known.catalog.qualities,
        quality=QualityTable(others),
        budget=budget,
    )


def _measured(each: Considered, *, stream: bool) -> Measured:
    """Measurements from which the same expectations follow."""
    error_rate = min(1.0, 2 * (1 - each.reliability))
    success = max(scores.MIN_SUCCESS_SHARE, 1 - error_rate)
    expected = None if each.latency_ms is None else each.latency_ms * success
    return Measured(
        calls=CALLS,
        error_rate=error_rate,
        latency_p50_ms=None if stream else expected,
        ttft_p50_ms=expected if stream else None,
        quality=each.quality,
    )
