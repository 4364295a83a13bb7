"""What is kept of a decision with its call: enough to say later why it was taken, and to decide again under other rules.

It is made for every request, so it is a plain dictionary, in the JSON form of ``fairlead_common.events.calls.Decision``,
and bounded: ten candidates, ten exclusions, short texts. Of what callers wrote, only short metadata is in it.
"""

from typing import Any, Final

from fairlead_common.decisions import scores
from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.plan import Choice, NoCapacity, Plan, RouteRequest
from fairlead_common.decisions.targets import Entrant
from fairlead_common.events.calls import Decision

KEPT: Final = frozenset(
    "now request.model request.tokens request.max_tokens request.stream request.tools request.images request.needs"
    " request.response_format request.task request.language request.workspace request.metadata".split()
)
MAX_CANDIDATES: Final = 10
MAX_EXCLUDED: Final = 10
MAX_TEXT: Final = 160
MAX_METADATA: Final = 400
"""Characters of all keys and values together; longer metadata is left out."""


def record_of(found: Plan | NoCapacity, request: RouteRequest) -> dict[str, Any]:
    """The record of one decision, for its call."""
    record: dict[str, Any] = {
        "tokens": request.input_tokens,
        "max_tokens": request.max_output_tokens,
        "needs": sorted(request.needs),
        "response_format": request.response_format,
        "task": request.task,
        "language": request.language,
        "metadata": _metadata(request),
        "left_out": len(found.excluded),
        "excluded": [
            {"target": str(each.target)[:MAX_TEXT], "reason": each.reason[:MAX_TEXT]}
            for each in found.excluded[:MAX_EXCLUDED]
        ],
    }
    if not request.failover:
        record["failover"] = False
    if (limit := request.cost_limit) is not None:
        record["max_cost_usd"], record["limit_output_tokens"] = limit.usd, limit.output_tokens
    if request.prediction is not None and request.prediction.asked:
        record["predictor"] = request.prediction.table.version
        record["cluster"] = request.prediction.cluster
    if isinstance(found, Plan):
        record["strategy"] = found.strategy
        record["rule_version"] = found.rule_version
        if found.instead_of is not None:
            record["instead_of"] = str(found.instead_of)[:MAX_TEXT]
        if found.choice is not None:
            record.update(_choice(found.choice, request))
    return record


def _choice(choice: Choice, request: RouteRequest) -> dict[str, Any]:
    pairs = zip(choice.entrants[:MAX_CANDIDATES], choice.scores, strict=False)
    return {
        "draw": choice.draw,
        "probability": choice.probability,
        "explored": choice.explored,
        "considered": len(choice.entrants),
        "candidates": [_candidate(entrant, score, request) for entrant, score in pairs],
    }


def _candidate(entrant: Entrant, score: float, request: RouteRequest) -> dict[str, Any]:
    target = entrant.candidate.target
    latency_ms = entrant.ttft_ms if request.stream else entrant.latency_ms
    cost_usd = scores.cost_usd(entrant.candidate, request, request.cached.get(target, 0.0))
    return {
        "target": str(target)[:MAX_TEXT],
        "score": round(score, 4),
        "latency_ms": None if latency_ms is None else round(latency_ms, 1),
        "cost_usd": None if cost_usd is None else round(cost_usd, 9),
        "quality": entrant.quality,
        "reliability": round(entrant.reliability, 4),
    }


def _metadata(request: RouteRequest) -> dict[str, str] | None:
    """None = too long to be kept."""
    found = request.metadata
    if not found:
        return {}
    if sum(len(key) + len(value) for key, value in found.items()) > MAX_METADATA:
        return None
    return dict(found)


def kept_of(decision: Decision) -> frozenset[str]:
    """Facts of the vocabulary that can be told from this record and its call."""
    return KEPT if decision.metadata is not None else KEPT - {"request.metadata"}


def request_of(
    decision: Decision, model: str, workspace_id: int, *, stream: bool, turn: int = 0
) -> RouteRequest:
    """What was asked, as far as it is kept."""
    return RouteRequest(
        model,
        workspace_id,
        frozenset(decision.needs),
        decision.tokens,
        decision.max_tokens,
        stream,
        decision.metadata or {},
        response_format=decision.response_format,
        task=decision.task,
        language=decision.language,
        failover=decision.failover,
        turn=turn,
        cost_limit=_limit(decision),
    )


def _limit(decision: Decision) -> CostLimit | None:
    usd, output_tokens = decision.max_cost_usd, decision.limit_output_tokens
    if usd is None or output_tokens is None:
        return None
    return CostLimit(usd, decision.tokens, output_tokens)
