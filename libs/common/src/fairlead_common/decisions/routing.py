"""The routing decision: from rules, policy, candidates and what is known of the fleet to an ordered plan.

Order of a plan: what the caller (or the rule) named comes before stand-ins. Among the named, the workspace's primary
provider first, then the rule's strategy. Among stand-ins, the policy's fallback order if there is one, else the
strategy. In both, one target of each provider comes before a second one of any.

Out for this request (hard): a capability known to be missing, a context window known to be too small, maintenance, a
rule's constraint. Out for now (soft): a provider that is down, an open breaker of the fleet or of this process. While a
provider recovers, only its share of the requests goes to it first; for the others it is the last resort.

Panic: when everything is out for now, the least bad is tried all the same, the soonest to be retried first. A caller
who waits is worse off than one who gets a slow answer, and a wrong alarm must not become an outage.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from fairlead_common.decisions import scores
from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import (
    Choice,
    Excluded,
    FleetView,
    Gate,
    GateState,
    NoCapacity,
    Plan,
    Reason,
    RouteRequest,
    Step,
)
from fairlead_common.decisions.policies import CompiledPolicy, candidates
from fairlead_common.decisions.strategies import Ordered, order
from fairlead_common.decisions.table import DEFAULT_RULE, CompiledRule, CompiledTable, Lineup, Resolve
from fairlead_common.decisions.targets import Entrant, Target
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot

MAX_TOKENS = 2**62
MAX_STEPS = 4
"""More attempts than this help nobody: the caller's patience is spent."""
CLOSED = Gate()
NO_GATES: Mapping[Target, Gate] = {}


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
        field = _placed(named, rule, snapshot, request, view, draw, guard)
    else:
        ordinary = _ordinary(lineup, rule, snapshot, request, view)
        field = ordinary or _placed(named, rule, snapshot, request, view, draw)
    more = not stand_ins and request.failover and bool(others) and field.well and not field.reserve
    if request.failover and not more and others:
        field = field.copy()
        for entrant in others:
            field.place(entrant, named=False)
    if not field.able:
        return _none_fits(field.excluded, request)
    first = _chosen(field, table, draw)
    steps = _steps(first, field, view) or _panic(field)
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
    )


def _lookup(
    table: CompiledTable, request: RouteRequest, resolve: Resolve, view: FleetView, name: str
) -> Sequence[Entrant]:
    """What ``name`` stands for, whatever the caller asked for. Raises LookupError."""
    return table.lineup(-1, DEFAULT_RULE, replace(request, requested_model=name), resolve, view).entrants


def _placed(
    named: Sequence[Entrant],
    rule: CompiledRule,
    policy: PolicySnapshot | None,
    request: RouteRequest,
    view: FleetView,
    draw: float,
    guard: PolicyRule | None = None,
) -> "_Field":
    """The named candidates, each where it belongs."""
    field = _Field(rule, policy, request, view, draw, guard)
    for entrant in named:
        field.place(entrant, named=True)
    return field


def _ordinary(
    lineup: Lineup, rule: CompiledRule, policy: PolicySnapshot | None, request: RouteRequest, view: FleetView
) -> "_Field | None":
    """The named candidates for a request that asks nothing special of them, while nobody recovers; else None.

    Who is fit and well depends then on snapshots alone, and is remembered for as long as those are the same.
    """
    if request.needs or view.local_gates or rule.conditions.max_cost_usd is not None:
        return None
    if request.cost_limit is not None:
        return None
    if view.headroom and min(view.headroom.values()) <= 0.0:
        return None
    known = (view.status, view.fleet_gates, view.target_gates, policy)
    standing = lineup.standing
    if standing is None or any(a is not b for a, b in zip(standing[0], known, strict=True)):
        if any(0.0 < gate.share < 1.0 for gate in (*view.fleet_gates.values(), *view.target_gates.values())):
            return None
        windows = [each.candidate.context_window for each in lineup.entrants]
        least = min((window for window in windows if window is not None), default=MAX_TOKENS)
        anybody = RouteRequest(request.requested_model, request.workspace_id)
        lineup.standing = standing = (
            known,
            least,
            _placed(lineup.entrants, rule, policy, anybody, view, 0.0),
        )
    _, least, field = standing
    if request.input_tokens > least:
        return None
    found: _Field = field.copy()
    found.request, found.view = request, view
    return found


class _Field:
    """Sorts the candidates of one decision into who may be chosen and who may not, and why."""

    __slots__ = (
        "able",
        "draw",
        "excluded",
        "gates",
        "guard",
        "others",
        "out",
        "policy",
        "request",
        "reserve",
        "rule",
        "view",
        "well",
    )

    def __init__(
        self,
        rule: CompiledRule,
        policy: PolicySnapshot | None,
        request: RouteRequest,
        view: FleetView,
        draw: float,
        guard: PolicyRule | None = None,
    ) -> None:
        self.guard = guard
        self.gates = view.policy_gates.get(guard.name, NO_GATES) if guard is not None else NO_GATES
        self.rule = rule
        self.policy = policy
        self.request = request
        self.view = view
        self.draw = draw
        self.able = 0
        self.excluded: list[Excluded] = []
        self.well: list[Entrant] = []
        self.others: list[Entrant] = []
        """Stand-ins that are well."""
        self.reserve: list[Entrant] = []
        """They recover, and this request is not in their share."""
        self.out: list[tuple[float, int, Entrant]] = []
        """(time of the next try, place, who) of those that are out for now."""

    def copy(self) -> "_Field":
        """The same, to be added to."""
        found = _Field(self.rule, self.policy, self.request, self.view, self.draw, self.guard)
        found.able = self.able
        found.excluded, found.well = list(self.excluded), list(self.well)
        found.others, found.reserve, found.out = list(self.others), list(self.reserve), list(self.out)
        return found

    def place(self, entrant: Entrant, *, named: bool) -> None:
        """Put one candidate where it belongs."""
        bounds = self.policy if self.guard is None else None
        why = _unfit(entrant, self.rule.conditions, bounds, self.request, self.view, named=named)
        if why is not None:
            self.excluded.append(Excluded(entrant.candidate.target, why))
            return
        self.able += 1
        why, retry_at = _out_for_now(entrant, bounds, self.view)
        moved = self.gates.get(entrant.target, CLOSED)
        if why is None and moved.share <= 0.0:
            why, retry_at = "the failover policy has left it", moved.retry_at or float("inf")
        if why is not None:
            self.excluded.append(Excluded(entrant.candidate.target, why))
            self.out.append((retry_at, len(self.out), entrant))
        elif self.draw >= min(moved.share, _fleet_gate(self.view, entrant.candidate.target).share):
            self.reserve.append(entrant)
        else:
            (self.well if named else self.others).append(entrant)


def _chosen(field: _Field, table: CompiledTable, draw: float) -> Ordered:
    """The named candidates that are well, in order; the primary provider's come first."""
    rule = field.rule
    ordered = order(
        rule.strategy, rule.conditions, field.well, field.request, field.view, draw, table.plugins
    )
    if field.others and (field.guard is None or not field.guard.chain):
        stand_ins = order(
            rule.strategy, rule.plain, field.others, field.request, field.view, 0.0, table.plugins
        )
        field.others = list(stand_ins.entrants)
    primary = field.policy.primary_provider if field.policy is not None and field.guard is None else None
    if primary is None or not any(each.target.provider == primary for each in ordered.entrants):
        return ordered
    pairs = sorted(
        zip(ordered.entrants, ordered.scores, strict=True),
        key=lambda pair: pair[0].target.provider != primary,
    )
    return Ordered(tuple(each for each, _ in pairs), tuple(score for _, score in pairs), 1.0)


def _unfit(
    entrant: Entrant,
    conditions: Conditions,
    policy: PolicySnapshot | None,
    request: RouteRequest,
    view: FleetView,
    *,
    named: bool,
) -> str | None:
    """Why this candidate can never serve this request, or None."""
    candidate = entrant.candidate
    provider = candidate.target.provider
    if view.status.get(provider) == "maintenance":
        return "in maintenance"
    if conditions.providers and provider not in conditions.providers:
        return "the rule does not allow this provider"
    if provider in conditions.exclude_providers:
        return "the rule excludes this provider"
    if conditions.regions and view.regions.get(provider) not in conditions.regions:
        return f"its region ({view.regions.get(provider) or 'unknown'}) is not among the rule's"
    if policy is not None and not named and (why := _not_a_stand_in(provider, policy)) is not None:
        return why
    if request.needs and candidate.capabilities is not None and not request.needs <= candidate.capabilities:
        return f"lacks {', '.join(sorted(request.needs - candidate.capabilities))}"
    if candidate.context_window is not None and request.input_tokens > candidate.context_window:
        return f"its context window of {candidate.context_window} tokens is too small"
    limit = request.cost_limit
    if (
        limit is not None
        and (why := limit.why_not(candidate.input_price, candidate.output_price)) is not None
    ):
        return why
    return _beyond(entrant, conditions, request)


def _not_a_stand_in(provider: str, policy: PolicySnapshot) -> str | None:
    if not policy.enabled:
        return "failover is switched off for this workspace"
    if policy.fallback_providers and provider not in (*policy.fallback_providers, policy.primary_provider):
        return "not among the workspace's fallback providers"
    return None


def _beyond(entrant: Entrant, conditions: Conditions, request: RouteRequest) -> str | None:
    """A constraint of the rule that a known fact breaks, or None."""
    limit = conditions.max_cost_usd
    if (
        limit is not None
        and (cost := scores.cost_usd(entrant.candidate, request)) is not None
        and cost > limit
    ):
        return f"its estimated cost of {cost:.6f} USD exceeds {limit:g}"
    limit, price = conditions.max_usd_per_mtok, entrant.candidate.output_price
    if limit is not None and price is not None and price * 1e6 > limit:
        return f"its price of {price * 1e6:g} USD per million tokens exceeds {limit:g}"
    limit, late = conditions.max_latency_ms, entrant.latency_ms
    if limit is not None and late is not None and late > limit:
        return f"its measured latency of {late:.0f} ms exceeds {limit:g}"
    limit, late = conditions.max_ttft_ms, entrant.ttft_ms
    if limit is not None and late is not None and late > limit:
        return f"its measured time to the first token of {late:.0f} ms exceeds {limit:g}"
    limit, good = conditions.min_quality, entrant.quality
    if limit is not None and good is not None and good < limit:
        return f"its quality of {good:.2f} is below {limit:g}"
    return None


def _out_for_now(
    entrant: Entrant, policy: PolicySnapshot | None, view: FleetView
) -> tuple[str | None, float]:
    """(why this candidate is out for now or None, Unix time of the next try or infinity)."""
    target = entrant.candidate.target
    local = view.local_gates.get(target, CLOSED)
    if local.state is GateState.OPEN:
        return "this process's breaker is open", local.retry_at or float("inf")
    fleet = _fleet_gate(view, target)
    if fleet.share <= 0.0:
        return "the fleet's breaker is open", fleet.retry_at or float("inf")
    if fleet.pinned or local.state is GateState.HALF_OPEN:
        return None, 0.0  # a trial costs the caller nothing that failover cannot hide, and tells us the truth
    if view.status.get(target.provider) == "down" and fleet.state is not GateState.RECOVERING:
        return "the provider is down", float("inf")
    if view.headroom and view.headroom.get(target, 1.0) <= 0.0:
        return "its rate limit is used up", float("inf")
    return _beyond_policy(entrant, policy, view) if policy is not None and policy.conditions else None, 0.0


def _fleet_gate(view: FleetView, target: Target) -> Gate:
    """The gate of the provider or of the model, whichever lets less through."""
    if not view.fleet_gates and not view.target_gates:
        return CLOSED
    wide, own = view.fleet_gates.get(target.provider, CLOSED), view.target_gates.get(target, CLOSED)
    if wide.share == own.share:
        return wide if wide.pinned else own
    return wide if wide.share < own.share else own


def _beyond_policy(entrant: Entrant, policy: PolicySnapshot, view: FleetView) -> str | None:
    """A condition of the workspace's failover policy that this candidate breaks now, or None."""
    conditions, target = policy.conditions, entrant.candidate.target
    if conditions.get("on_degraded") and view.status.get(target.provider) == "degraded":
        return "the provider is degraded, and the policy does not accept that"
    measured = view.measured.get(target)
    if measured is None or measured.calls < scores.MIN_CALLS:
        return None
    limit = conditions.get("max_error_rate")
    if limit is not None and measured.error_rate is not None and measured.error_rate > limit:
        return f"its error rate of {measured.error_rate:.1%} exceeds the policy's {limit:.1%}"
    limit = conditions.get("max_latency_ms")
    if limit is not None and measured.latency_p95_ms is not None and measured.latency_p95_ms > limit:
        return f"its p95 latency of {measured.latency_p95_ms:.0f} ms exceeds the policy's {limit:g}"
    return None


def _steps(first: Ordered, field: _Field, view: FleetView) -> tuple[Step, ...]:
    """Who is well, then who recovers; empty when nobody is either."""
    then = field.others
    if field.policy is not None and field.policy.fallback_providers:
        places = {name: place for place, name in enumerate(field.policy.fallback_providers)}
        then = sorted(then, key=lambda each: places.get(each.target.provider, -1))
    if field.guard is not None and field.guard.chain:
        return tuple(_as_steps([*first.entrants, *field.others, *field.reserve][:MAX_STEPS], view))
    seen: set[str] = set()
    ordered = [*_spread(first.entrants, seen), *_spread(then, seen), *field.reserve]
    return tuple(_as_steps(ordered[:MAX_STEPS], view))


def _spread(ordered: Sequence[Entrant], seen: set[str]) -> list[Entrant]:
    """Providers not seen before come first: what fails one model of a provider mostly fails its others as well."""
    fresh: list[Entrant] = []
    again: list[Entrant] = []
    for entrant in ordered:
        provider = entrant.candidate.target.provider
        (again if provider in seen else fresh).append(entrant)
        seen.add(provider)
        if len(fresh) == MAX_STEPS:
            break
    return fresh + again


def _as_steps(ordered: Sequence[Entrant], view: FleetView) -> Iterable[Step]:
    for position, entrant in enumerate(ordered):
        target = entrant.candidate.target
        if view.local_gates and view.local_gates.get(target, CLOSED).state is GateState.HALF_OPEN:
            reason = Reason.HALF_OPEN
        else:
            reason = Reason.PRIMARY if position == 0 else Reason.FAILOVER
        yield Step(target, reason)


def _panic(field: _Field) -> tuple[Step, ...]:
    field.out.sort(key=lambda each: each[:2])
    return tuple(Step(entrant.candidate.target, Reason.PANIC) for _, _, entrant in field.out[:MAX_STEPS])


def _none_fits(excluded: list[Excluded], request: RouteRequest) -> NoCapacity:
    reasons = "; ".join(f"{each.target}: {each.reason}" for each in excluded)
    waiting = any(each.reason == "in maintenance" for each in excluded)
    message = f"No model can serve this request for '{request.requested_model}'. {reasons}"
    if waiting:
        return NoCapacity(503, "no_capacity", message, tuple(excluded), 30.0)
    limited = request.cost_limit is not None and any("caller's limit" in each.reason for each in excluded)
    code = "max_cost_exceeded" if limited else "no_matching_model"
    return NoCapacity(400, code, message, tuple(excluded))
