"""Why a request goes where it goes: every rule with why it did or did not apply, every candidate with its values.

It runs the very decision (``make_plan``) and describes it; nothing here decides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fairlead_common.decisions import scores
from fairlead_common.decisions.budgets import refusal
from fairlead_common.decisions.conditions import compile_conditions
from fairlead_common.decisions.expressions import Expression, Verdict, evaluate
from fairlead_common.decisions.facts import facts_of
from fairlead_common.decisions.plan import Choice, FleetView, NoCapacity, Plan, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledRule, CompiledTable, Resolve
from fairlead_common.decisions.targets import Entrant, Target


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """One rule and this request."""

    name: str
    applies: bool | None
    """None = it speaks of facts that are not known any more."""
    decides: bool
    """The first rule that applies decides; later ones are shown all the same."""
    reasons: tuple[str, ...]
    """One for each condition: ``when: true``, ``stream: false``, ``metadata: cannot be evaluated: ...``."""


@dataclass(frozen=True, slots=True)
class CandidateVerdict:
    """One candidate and this request. None = unknown."""

    target: Target
    named: bool
    position: int | None
    """Place in the plan, from 0; None = not in it."""
    reason: str
    score: float | None
    """By the rule's strategy, 0 to 1; None = it could not be chosen first."""
    estimated_cost_usd: float | None
    expected_latency_ms: float | None
    """To the first token for streams."""
    quality: float | None
    quality_source: str | None
    """predictor, scores, measured or catalog."""
    reliability: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, taken apart."""

    plan: Plan | NoCapacity
    rules: tuple[RuleVerdict, ...]
    candidates: tuple[CandidateVerdict, ...]
    """Those of the plan first, in its order."""
    predictor: int | None = None
    """Version of the learned table that was asked; None = there is none, or quality did not matter."""
    cluster: int | None = None
    """Of the prompt; None = not asked for, or no word of it is known."""


def explain(
    table: CompiledTable,
    policy: CompiledPolicy | None,
    request: RouteRequest,
    resolve: Resolve,
    view: FleetView,
    now: float,
    draw: float,
) -> Explanation:
    """Decide, and say why. Arguments and errors are those of ``make_plan``."""
    plan = refusal(view.budget, request.workspace_id) or make_plan(
        table, policy, request, resolve, view, now, draw
    )
    decider, rule = table.rule_for(request, view, now)
    lineup = table.lineup(decider, rule, request, resolve, view)
    rules = tuple(
        _rule(each, request, view, now, decides=position == decider)
        for position, each in enumerate(table.rules)
    )
    entrants = [(each, True) for each in lineup.entrants] + [(each, False) for each in lineup.stand_ins]
    found = [_candidate(entrant, named, plan, request) for entrant, named in entrants]
    found.sort(key=lambda each: (each.position is None, each.position or 0))
    learned = request.prediction
    if learned is None or not learned.asked:
        return Explanation(plan, rules, tuple(found))
    return Explanation(plan, rules, tuple(found), learned.table.version, learned.cluster)


def rules_then(
    rules: Iterable[tuple[str, Mapping[str, object]]],
    request: RouteRequest,
    kept: frozenset[str],
    now: float,
    decider: str | None,
) -> tuple[RuleVerdict, ...]:
    """Rules of the past (names and conditions, in order) held against what is kept of a request.

    Args:
        request: see ``record.request_of``; ``kept`` names the facts that can be told from it.
        now: Unix time at which it was decided.
        decider: name of the rule that decided then.

    Raises:
        ConditionError: a rule that could be used then cannot be used now.
    """
    found = []
    for name, raw in rules:
        verdicts = {
            key: _then(expression, request, kept, now)
            for key, expression in compile_conditions(raw).parts.items()
        }
        reasons = tuple(f"{key}: {reason}" for key, (_, reason) in verdicts.items()) or ("no conditions",)
        known = [applies for applies, _ in verdicts.values()]
        applies = False if False in known else None if None in known else True
        found.append(RuleVerdict(name, applies, name == decider, reasons))
    return tuple(found)


def _then(
    expression: Expression, request: RouteRequest, kept: frozenset[str], now: float
) -> tuple[bool | None, str]:
    if lost := expression.facts - kept:
        return None, f"speaks of {', '.join(sorted(lost))}, which is not kept with a call"
    verdict = evaluate(expression, facts_of(expression.facts, request, FleetView(), now))
    return verdict.true, _said(verdict)


def _rule(
    rule: CompiledRule, request: RouteRequest, view: FleetView, now: float, *, decides: bool
) -> RuleVerdict:
    parts = rule.conditions.parts
    verdicts = {
        key: evaluate(expression, facts_of(expression.facts, request, view, now))
        for key, expression in parts.items()
    }
    reasons = tuple(f"{key}: {_said(verdict)}" for key, verdict in verdicts.items()) or ("no conditions",)
    return RuleVerdict(rule.name or "", all(each.true for each in verdicts.values()), decides, reasons)


def _said(verdict: Verdict) -> str:
    if verdict.error is not None:
        return f"cannot be evaluated, so it is not true: {verdict.error}"
    return "true" if verdict.true else "false"


def _candidate(
    entrant: Entrant, named: bool, plan: Plan | NoCapacity, request: RouteRequest
) -> CandidateVerdict:
    target = entrant.target
    steps = plan.steps if isinstance(plan, Plan) else ()
    position = next((place for place, step in enumerate(steps) if step.target == target), None)
    excluded = next((each.reason for each in plan.excluded if each.target == target), None)
    if position is not None:
        reason = steps[position].reason.value if excluded is None else f"{steps[position].reason}: {excluded}"
    else:
        reason = excluded or (
            plan.message if isinstance(plan, NoCapacity) else "further back than a plan goes"
        )
    return CandidateVerdict(
        target=target,
        named=named,
        position=position,
        reason=reason,
        score=_score_of(target, plan.choice) if isinstance(plan, Plan) else None,
        estimated_cost_usd=scores.cost_usd(entrant.candidate, request, request.cached.get(target, 0.0)),
        expected_latency_ms=entrant.ttft_ms if request.stream else entrant.latency_ms,
        quality=entrant.quality,
        quality_source=entrant.quality_source,
        reliability=entrant.reliability,
    )


def _score_of(target: Target, choice: Choice | None) -> float | None:
    if choice is None:
        return None
    pairs = zip(choice.entrants, choice.scores, strict=True)
    return next((score for entrant, score in pairs if entrant.target == target), None)
