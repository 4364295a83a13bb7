"""The routing decision: from rules, policy, candidates and what is known of the fleet to an ordered plan.

Order of a plan: what the caller named comes before stand-ins. Among the named, the workspace's primary provider first,
then the rule's strategy. Among stand-ins, the policy's fallback order if there is one, else the strategy. In both, one
target of each provider comes before a second one of any.

Out for this request (hard): a capability known to be missing, a context window known to be too small, maintenance, a
rule's constraint. Out for now (soft): a provider that is down, an open breaker of the fleet or of this process. While a
provider recovers, only its share of the requests goes to it first; for the others it is the last resort.

Panic: when everything is out for now, the least bad is tried all the same, the soonest to be retried first. A caller
who waits is worse off than one who gets a slow answer, and a wrong alarm must not become an outage.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead_common.decisions import ranking
from fairlead_common.decisions.conditions import Conditions, compile_conditions, matches
from fairlead_common.decisions.plan import (
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
from fairlead_common.decisions.targets import Candidate
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.routes import RoutesSnapshot, Strategy

MAX_STEPS = 4
"""More attempts than this help nobody: the caller's patience is spent."""
CLOSED = Gate()


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, ready to be matched."""

    name: str | None
    strategy: Strategy
    conditions: Conditions


DEFAULT_RULE = CompiledRule(None, Strategy.BALANCED, Conditions())


@dataclass(frozen=True, slots=True)
class CompiledTable:
    """The rules of a workspace in the order in which they are looked at."""

    version: int = 0
    rules: tuple[CompiledRule, ...] = ()


def compile_table(snapshot: RoutesSnapshot) -> CompiledTable:
    """Check and order the rules.

    Raises:
        ConditionError: a rule's conditions cannot be used.
    """
    ordered = sorted(snapshot.rules, key=lambda rule: (rule.priority, rule.rule_id))
    rules = tuple(
        CompiledRule(rule.name, rule.strategy, compile_conditions(rule.conditions)) for rule in ordered
    )
    return CompiledTable(snapshot.version, rules)


def make_plan(
    table: CompiledTable,
    policy: PolicySnapshot | None,
    request: RouteRequest,
    candidates: Sequence[Candidate],
    view: FleetView,
    now: float,
    draw: float,
) -> Plan | NoCapacity:
    """Decide.

    Args:
        candidates: named targets in order of preference, then stand-ins.
        now: Unix time in seconds.
        draw: uniform in [0, 1): decides whether a recovering provider gets this request.
    """
    rule = next((each for each in table.rules if matches(each.conditions, request)), DEFAULT_RULE)
    excluded: list[Excluded] = []
    able: list[Candidate] = []
    for candidate in candidates:
        why = _unfit(candidate, rule.conditions, policy, request, view)
        if why is None:
            able.append(candidate)
        else:
            excluded.append(Excluded(candidate.target, why))
    if not able:
        return _none_fits(excluded, request)
    well: list[Candidate] = []
    out: list[tuple[float, Candidate]] = []
    reserve: list[Candidate] = []
    for candidate in able:
        why, retry_at = _out_for_now(candidate, policy, view)
        if why is not None:
            excluded.append(Excluded(candidate.target, why))
            out.append((retry_at, candidate))
        elif draw >= view.fleet_gates.get(candidate.target.provider, CLOSED).share:
            reserve.append(candidate)
        else:
            well.append(candidate)
    ordered = _ordered(rule, policy, well, request, view) + _ordered(rule, policy, reserve, request, view)
    if ordered:
        steps = tuple(_steps(ordered[:MAX_STEPS], view))
    else:
        out.sort(key=lambda each: each[0])
        steps = tuple(Step(candidate.target, Reason.PANIC) for _, candidate in out[:MAX_STEPS])
    return Plan(steps, rule.name, rule.strategy.value, table.version, tuple(excluded))


def _unfit(
    candidate: Candidate,
    conditions: Conditions,
    policy: PolicySnapshot | None,
    request: RouteRequest,
    view: FleetView,
) -> str | None:
    """Why this candidate can never serve this request, or None."""
    provider = candidate.target.provider
    if view.status.get(provider) == "maintenance":
        return "in maintenance"
    if conditions.providers and provider not in conditions.providers:
        return "the rule does not allow this provider"
    if provider in conditions.exclude_providers:
        return "the rule excludes this provider"
    if policy is not None and not candidate.named:
        if not policy.enabled:
            return "failover is switched off for this workspace"
        if policy.fallback_providers and provider not in (
            *policy.fallback_providers,
            policy.primary_provider,
        ):
            return "not among the workspace's fallback providers"
    if candidate.capabilities is not None and not request.needs <= candidate.capabilities:
        return f"lacks {', '.join(sorted(request.needs - candidate.capabilities))}"
    if candidate.context_window is not None and request.input_tokens > candidate.context_window:
        return f"its context window of {candidate.context_window} tokens is too small"
    return _beyond(candidate, conditions, request, view)


def _beyond(
    candidate: Candidate, conditions: Conditions, request: RouteRequest, view: FleetView
) -> str | None:
    """A constraint of the rule that a known fact breaks, or None."""
    limit = conditions.max_cost_usd
    if limit is not None and (cost := ranking.cost_usd(candidate, request)) is not None and cost > limit:
        return f"its estimated cost of {cost:.6f} USD exceeds {limit:g}"
    limit = conditions.max_latency_ms
    if (
        limit is not None
        and (late := ranking.latency_ms(candidate, request, view)) is not None
        and late > limit
    ):
        return f"its measured latency of {late:.0f} ms exceeds {limit:g}"
    limit = conditions.min_quality
    if limit is not None and (good := ranking.quality(candidate, view)) is not None and good < limit:
        return f"its quality of {good:.2f} is below {limit:g}"
    return None


def _out_for_now(
    candidate: Candidate, policy: PolicySnapshot | None, view: FleetView
) -> tuple[str | None, float]:
    """(why this candidate is out for now or None, Unix time of the next try or infinity)."""
    target = candidate.target
    local = view.local_gates.get(target, CLOSED)
    if local.state is GateState.OPEN:
        return "this process's breaker is open", local.retry_at or float("inf")
    if local.state is GateState.HALF_OPEN:
        return None, 0.0  # a trial costs the caller nothing that failover cannot hide, and tells us the truth
    fleet = view.fleet_gates.get(target.provider, CLOSED)
    if fleet.state is GateState.OPEN:
        return "the fleet's breaker is open", fleet.retry_at or float("inf")
    if view.status.get(target.provider) == "down" and fleet.state is not GateState.RECOVERING:
        return "the provider is down", float("inf")
    return _beyond_policy(candidate, policy, view) if policy is not None and policy.conditions else None, 0.0


def _beyond_policy(candidate: Candidate, policy: PolicySnapshot, view: FleetView) -> str | None:
    """A condition of the workspace's failover policy that this candidate breaks now, or None."""
    conditions = policy.conditions
    if conditions.get("on_degraded") and view.status.get(candidate.target.provider) == "degraded":
        return "the provider is degraded, and the policy does not accept that"
    measured = view.measured.get(candidate.target)
    if measured is None or measured.calls < ranking.MIN_CALLS:
        return None
    limit = conditions.get("max_error_rate")
    if limit is not None and measured.error_rate is not None and measured.error_rate > limit:
        return f"its error rate of {measured.error_rate:.1%} exceeds the policy's {limit:.1%}"
    limit = conditions.get("max_latency_ms")
    if limit is not None and measured.latency_p95_ms is not None and measured.latency_p95_ms > limit:
        return f"its p95 latency of {measured.latency_p95_ms:.0f} ms exceeds the policy's {limit:g}"
    return None


def _ordered(
    rule: CompiledRule,
    policy: PolicySnapshot | None,
    candidates: Iterable[Candidate],
    request: RouteRequest,
    view: FleetView,
) -> list[Candidate]:
    named = [each for each in candidates if each.named]
    others = [each for each in candidates if not each.named]
    first = ranking.rank(rule.strategy, rule.conditions, named, request, view)
    then = ranking.rank(rule.strategy, rule.conditions, others, request, view)
    if policy is not None and policy.primary_provider is not None:
        first.sort(key=lambda each: each.target.provider != policy.primary_provider)
    if policy is not None and policy.fallback_providers:
        order = {name: position for position, name in enumerate(policy.fallback_providers)}
        then.sort(key=lambda each: order.get(each.target.provider, -1))
    seen: set[str] = set()
    return _spread(first, seen) + _spread(then, seen)


def _spread(ordered: list[Candidate], seen: set[str]) -> list[Candidate]:
    """Providers not seen before come first: what fails one model of a provider mostly fails its others as well."""
    fresh: list[Candidate] = []
    again: list[Candidate] = []
    for candidate in ordered:
        provider = candidate.target.provider
        (again if provider in seen else fresh).append(candidate)
        seen.add(provider)
    return fresh + again


def _steps(ordered: Sequence[Candidate], view: FleetView) -> Iterable[Step]:
    for position, candidate in enumerate(ordered):
        local = view.local_gates.get(candidate.target, CLOSED)
        if local.state is GateState.HALF_OPEN:
            reason = Reason.HALF_OPEN
        else:
            reason = Reason.PRIMARY if position == 0 else Reason.FAILOVER
        yield Step(candidate.target, reason)


def _none_fits(excluded: list[Excluded], request: RouteRequest) -> NoCapacity:
    reasons = "; ".join(f"{each.target}: {each.reason}" for each in excluded)
    waiting = any(each.reason == "in maintenance" for each in excluded)
    message = f"No model can serve this request for '{request.requested_model}'. {reasons}"
    if waiting:
        return NoCapacity(503, "no_capacity", message, tuple(excluded), 30.0)
    return NoCapacity(400, "no_matching_model", message, tuple(excluded))
