"""The routing decision: from rules, policy, candidates and what is known of the fleet to an ordered plan.

Order of a plan: what the caller (or the rule) named comes before stand-ins. Among the named, the workspace's primary
provider first, then the rule's strategy. Among stand-ins, the policy's fallback order if there is one, else the
strategy. In both, one target of each provider comes before a second one of any; stand-ins of a provider that has
somebody who is out for now come after those of the others.

Out for this request (hard): a capability known to be missing, a context window known to be too small, maintenance, a
rule's constraint. Out for now (soft): a provider that is down, an open breaker of the fleet or of this process. While a
provider recovers, only its share of the requests goes to it first; for the others it is the last resort.

Panic: when everything is out for now, the least bad is tried all the same, the soonest to be retried first. A caller
who waits is worse off than one who gets a slow answer, and a wrong alarm must not become an outage.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from fairlead_common.decisions.choosing import Ordered, order
from fairlead_common.decisions.field import Field, placed, standing
from fairlead_common.decisions.plan import Choice, FleetView, NoCapacity, Plan, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy, candidates
from fairlead_common.decisions.steps import MAX_STEPS, in_order, none_fits, panic
from fairlead_common.decisions.strategies import Contenders
from fairlead_common.decisions.table import DEFAULT_RULE, CompiledTable, Resolve
from fairlead_common.decisions.targets import Entrant, Target


def make_plan(
    table: CompiledTable,
    policy: CompiledPolicy | None,
    request: RouteRequest,
    resolve: Resolve,
    view: FleetView,
    now: float,
    draw: float,
    *,
    stand_ins: bool = True,
) -> Plan | NoCapacity:
    """Decide.

    Args:
        resolve: a name to its candidates, named targets in order of preference, then stand-ins.
        now: Unix time in seconds.
        draw: uniform in [0, 1): the only chance in the decision.
        stand_ins: False = leave them out where they come after somebody who is well; the plan then says ``more``. The
            steps it has are the first of the whole plan: most requests never need the others.

    Raises:
        LookupError: the requested name means nothing (whatever ``resolve`` raises).
    """
    position, rule = table.rule_for(request, view, now)
    lineup = table.lineup(position, rule, request, resolve, view)
    named: Sequence[Entrant] = lineup.entrants
    others: Sequence[Entrant] = lineup.stand_ins
    guard = (
        policy.rule_for(rule.name, request, view, now)
        if policy is not None and policy.snapshot.rules
        else None
    )
    snapshot = policy.snapshot if policy is not None else None
    if guard is not None:
        named, others = candidates(guard, named, others, partial(_lookup, table, request, resolve, view))
        field = placed(named, rule, snapshot, request, view, draw, guard)
    else:
        field = standing(lineup, rule, snapshot, request, view) or placed(
            named, rule, snapshot, request, view, draw
        )
    more = not stand_ins and request.failover and bool(others) and field.well and not field.reserve
    if request.failover and not more and others:
        for entrant in others:
            field.place(entrant, named=False)
    if not field.able:
        return none_fits(field.excluded, request)
    first = _chosen(field, table, draw)
    steps = in_order(first, field, view) or panic(field)
    limit = MAX_STEPS if request.failover else 1
    choice = Choice(draw, first.probability, first.entrants, first.scores, first.explored)
    return Plan(
        steps[:limit],
        rule.name,
        rule.strategy,
        table.version,
        tuple(field.excluded),
        choice,
        bool(more) and len(steps) < limit,
        rule.version,
        _instead_of(field, table, draw, steps[0].target),
        not field.well and bool(field.others),
    )


def _instead_of(field: Field, table: CompiledTable, draw: float, first: Target) -> Target | None:
    """Who would have been first if all of the named were well; None = he is."""
    if len(field.named) == len(field.well):
        return None
    meant = _ordered(field, field.meant, table, draw).entrants[0].target
    return None if meant == first else meant


def _lookup(
    table: CompiledTable, request: RouteRequest, resolve: Resolve, view: FleetView, name: str
) -> Sequence[Entrant]:
    """What ``name`` stands for, whatever the caller asked for. Raises LookupError."""
    return table.lineup(-1, DEFAULT_RULE, replace(request, requested_model=name), resolve, view).entrants


def _chosen(field: Field, table: CompiledTable, draw: float) -> Ordered:
    """The named candidates that are well, in order; the stand-ins are put in order as well."""
    rule = field.rule
    if field.others and (field.guard is None or not field.guard.chain):
        stand_ins = order(
            rule.strategy, rule.plain, Contenders(field.others), field.request, field.view, 0.0, table.plugins
        )
        field.others = list(stand_ins.entrants)
    return _ordered(field, field.contenders, table, draw)


def _ordered(field: Field, contenders: Contenders, table: CompiledTable, draw: float) -> Ordered:
    """By the rule's strategy; the primary provider's come first."""
    rule = field.rule
    ordered = order(
        rule.strategy, rule.conditions, contenders, field.request, field.view, draw, table.plugins
    )
    primary = field.policy.primary_provider if field.policy is not None and field.guard is None else None
    if primary is None or not any(each.target.provider == primary for each in ordered.entrants):
        return ordered
    pairs = sorted(
        zip(ordered.entrants, ordered.scores, strict=True),
        key=lambda pair: pair[0].target.provider != primary,
    )
    return Ordered(tuple(each for each, _ in pairs), tuple(score for _, score in pairs), 1.0)
