"""Whether one candidate may serve a request at all, and whether it is well enough to be tried now; if not, why.

The answers are in words for people: they are what ``explain`` shows and what a caller reads whom nobody can serve.
"""

from fairlead_common.decisions import scores
from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import CLOSED, FleetView, Gate, GateState, RouteRequest, narrower
from fairlead_common.decisions.targets import Entrant, Target
from fairlead_common.snapshots.failover import PolicySnapshot


def unfit(
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


def out_for_now(entrant: Entrant, policy: PolicySnapshot | None, view: FleetView) -> tuple[str | None, float]:
    """(why this candidate is out for now or None, Unix time of the next try or infinity)."""
    target = entrant.candidate.target
    local = view.local_gates.get(target, CLOSED)
    if local.state is GateState.OPEN:
        return "this process's breaker is open", local.retry_at or float("inf")
    fleet = fleet_gate(view, target)
    if fleet.share <= 0.0:
        return "the fleet's breaker is open", fleet.retry_at or float("inf")
    if fleet.pinned or local.state is GateState.HALF_OPEN:
        return None, 0.0  # a trial costs the caller nothing that failover cannot hide, and tells us the truth
    if view.status.get(target.provider) == "down" and fleet.state is not GateState.RECOVERING:
        return "the provider is down", float("inf")
    if view.headroom and view.headroom.get(target, 1.0) <= 0.0:
        return "its rate limit is used up", float("inf")
    return _beyond_policy(entrant, policy, view) if policy is not None and policy.conditions else None, 0.0


def fleet_gate(view: FleetView, target: Target) -> Gate:
    """The gate of the provider or of the model, whichever counts."""
    if not view.fleet_gates and not view.target_gates:
        return CLOSED
    return narrower(view.fleet_gates.get(target.provider, CLOSED), view.target_gates.get(target, CLOSED))


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
