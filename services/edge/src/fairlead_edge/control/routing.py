"""``/api/providers/routing``: rules, the table in force, and why a request would go where it would go."""

from dataclasses import asdict
from typing import Annotated, Literal
from uuid import UUID

from fairlead_common.bus.rpc import Empty, RpcClient
from fairlead_common.decisions.explain import rules_then
from fairlead_common.decisions.plan import NoCapacity
from fairlead_common.decisions.record import kept_of, request_of
from fairlead_common.events.calls import Decision
from fairlead_common.operations import calls
from fairlead_common.operations import routing as ops
from fairlead_common.operations.routing_decide import Features
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_models.errors import UnknownModel
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from fairlead_edge.control.dependencies import FleetNow, KeyId, Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/routing", tags=["routing"])

MOST = 2**31 - 1
RuleId = Annotated[int, Path(ge=1, le=MOST)]
VersionOfPath = Annotated[int, Path(ge=0, le=MOST, description="of the table")]
Version = Annotated[int, Query(ge=0, le=MOST, description="of the table")]
Before = Annotated[int | None, Query(ge=1, le=MOST, description="go on with versions before this one")]
Limit = Annotated[int, Query(ge=1, le=200)]


class ExplainIn(Features):
    """A request to think through; nothing is sent to a provider."""


class RuleOut(BaseModel):
    """One rule, and whether it applies."""

    name: str
    applies: bool | None = Field(description="null: it speaks of facts that are not kept with a call")
    decides: bool
    reasons: list[str] = Field(description="one for each of its conditions")


class CandidateOut(BaseModel):
    """A candidate and what is known of it. Null = unknown."""

    target: str
    named: bool = Field(description="what was asked for stands for it; false: a stand-in")
    position: int | None = Field(description="place in the plan, from 0; null: not in it")
    reason: str = Field(description="why it is there, or why it is not")
    score: float | None = Field(description="by the rule's strategy, 0 to 1")
    estimated_cost_usd: float | None = None
    expected_latency_ms: float | None = None
    quality: float | None = None
    quality_source: Literal["predictor", "scores", "measured", "catalog"] | None = Field(
        default=None,
        description="predictor: learned for prompts like this one; scores: the workspace's own; measured: the fleet's"
        " A/B tests; catalog: declared",
    )
    reliability: float | None = None


class Explanation(BaseModel):
    """The decision this edge would take now."""

    rule: str | None
    strategy: str | None
    table_version: int | None
    probability: float | None = Field(default=None, description="of the first target, over all draws")
    predictor: int | None = Field(
        default=None,
        description="version of the learned predictor that was asked; null: there is none, or quality did not matter",
    )
    cluster: int | None = Field(
        default=None, description="of the prompt, in the predictor; null: no word is known"
    )
    error: str | None = None
    rules: list[RuleOut] = []
    candidates: list[CandidateOut] = []


class PastExplanation(BaseModel):
    """A call, what came of it, and the decision that was taken then."""

    call: calls.CallRow
    attempts: list[calls.AttemptRow]
    decision: Decision | None = Field(description="null: nothing was routed, or it was not kept")
    rules: list[RuleOut] = Field(description="as they were, held against what is kept of the request")


@router.get("/rules", summary="List rules")
async def list_rules(rpc: Rpc, workspace_id: WorkspaceId) -> ops.Rules:
    """In the order in which they are looked at."""
    return await rpc.call(ops.LIST, ops.OfWorkspace(workspace_id=workspace_id))


@router.post("/rules", status_code=201, summary="Create a rule")
async def create_rule(rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, rule: ops.RuleIn) -> ops.Rule:
    """Conditions and names are checked, the rule is tried; edges follow at once."""
    request = ops.CreateRule(workspace_id=workspace_id, rule=rule, changed_by=key_id)
    return await rpc.call(ops.CREATE, request)


@router.get("/rules/{rule_id}", summary="One rule")
async def get_rule(rpc: Rpc, workspace_id: WorkspaceId, rule_id: RuleId) -> ops.Rule:
    """As it is stored."""
    return await rpc.call(ops.GET, ops.OneRule(workspace_id=workspace_id, rule_id=rule_id))


@router.put("/rules/{rule_id}", summary="Replace a rule")
async def replace_rule(
    rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, rule_id: RuleId, rule: ops.RuleIn
) -> ops.Rule:
    """All fields."""
    request = ops.ReplaceRule(workspace_id=workspace_id, rule_id=rule_id, rule=rule, changed_by=key_id)
    return await rpc.call(ops.REPLACE, request)


@router.delete("/rules/{rule_id}", status_code=204, summary="Delete a rule")
async def delete_rule(rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, rule_id: RuleId) -> None:
    """It no longer decides anything; its versions are kept."""
    request = ops.DeleteRule(workspace_id=workspace_id, rule_id=rule_id, changed_by=key_id)
    await rpc.call(ops.DELETE, request)


@router.get("/rules/{rule_id}/versions", summary="Changes of a rule")
async def rule_versions(
    rpc: Rpc, workspace_id: WorkspaceId, rule_id: RuleId, before: Before = None, limit: Limit = 50
) -> ops.Changes:
    """The newest first, also of a rule that is gone."""
    query = ops.ChangesQuery(workspace_id=workspace_id, rule_id=rule_id, before=before, limit=limit)
    return await rpc.call(ops.CHANGES, query)


@router.get("/versions", summary="Changes of all rules")
async def versions(
    rpc: Rpc, workspace_id: WorkspaceId, before: Before = None, limit: Limit = 50
) -> ops.Changes:
    """Who changed what and when, the newest first."""
    query = ops.ChangesQuery(workspace_id=workspace_id, before=before, limit=limit)
    return await rpc.call(ops.CHANGES, query)


@router.get("/versions/diff", summary="What differs between two versions")
async def diff(rpc: Rpc, workspace_id: WorkspaceId, since: Version, until: Version) -> ops.TableDiff:
    """Rule by rule, only the fields that differ."""
    return await rpc.call(ops.DIFF, ops.DiffQuery(workspace_id=workspace_id, since=since, until=until))


@router.get("/versions/{version}", summary="The rules as they were")
async def table_then(rpc: Rpc, workspace_id: WorkspaceId, version: VersionOfPath) -> ops.TableThen:
    """All of them, disabled ones included."""
    return await rpc.call(ops.TABLE_THEN, ops.AtVersion(workspace_id=workspace_id, version=version))


@router.post("/versions/{version}/restore", summary="Make the rules what they were")
async def restore(
    rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, version: VersionOfPath
) -> ops.TableThen:
    """Makes a new version, so that this, too, can be undone."""
    request = ops.RestoreTable(workspace_id=workspace_id, version=version, changed_by=key_id)
    return await rpc.call(ops.RESTORE, request)


@router.get("/strategies", summary="What rules can choose by")
async def strategies(rpc: Rpc) -> ops.Strategies:
    """Built-in strategies, and those of installed packages."""
    return await rpc.call(ops.STRATEGIES, Empty())


@router.get("/table", summary="The table in force")
async def table(rpc: Rpc, workspace_id: WorkspaceId) -> RoutesSnapshot:
    """The snapshot that edges follow."""
    return await rpc.call(ops.TABLE, ops.OfWorkspace(workspace_id=workspace_id))


@router.post("/explain", summary="Why a request would go where it would go")
async def explain(fleet: FleetNow, workspace_id: WorkspaceId, body: ExplainIn) -> Explanation:
    """The very decision code of the request path, with what this edge knows now."""
    request = body.request(workspace_id, fleet.prediction(workspace_id, lambda: body.prompt))
    try:
        found = fleet.explain(request, fleet.clock())
    except UnknownModel as error:
        return Explanation(rule=None, strategy=None, table_version=None, error=error.message)
    rules = [RuleOut(**asdict(each)) for each in found.rules]
    candidates = [CandidateOut(**{**asdict(each), "target": str(each.target)}) for each in found.candidates]
    plan = found.plan
    if isinstance(plan, NoCapacity):
        return Explanation(
            rule=None,
            strategy=None,
            table_version=None,
            error=plan.message,
            rules=rules,
            candidates=candidates,
        )
    return Explanation(
        rule=plan.rule,
        strategy=plan.strategy,
        table_version=plan.table_version,
        probability=plan.choice.probability if plan.choice else None,
        predictor=found.predictor,
        cluster=found.cluster,
        rules=rules,
        candidates=candidates,
    )


@router.get("/explain/{call_id}", summary="Why a request went where it went")
async def explain_past(rpc: Rpc, workspace_id: WorkspaceId, call_id: UUID) -> PastExplanation:
    """Any call of the workspace that is still kept, by the id in its answer's ``x-request-id``."""
    found = await rpc.call(calls.CALL, calls.OneCall(workspace_id=workspace_id, call_id=call_id))
    return PastExplanation(
        call=found.call,
        attempts=found.attempts,
        decision=found.decision,
        rules=await _rules_then(rpc, workspace_id, found),
    )


async def _rules_then(rpc: RpcClient, workspace_id: int, found: calls.CallDetail) -> list[RuleOut]:
    """Nothing for a call that was decided by the default rule of a workspace without rules, or by nobody."""
    call, decision = found.call, found.decision
    if decision is None or not call.table_version:
        return []
    at = ops.AtVersion(workspace_id=workspace_id, version=call.table_version)
    then = await rpc.call(ops.TABLE_THEN, at)
    rules = [(rule.name, rule.conditions) for rule in then.rules if rule.enabled]
    request = request_of(decision, call.requested_model, workspace_id, stream=call.stream)
    verdicts = rules_then(rules, request, kept_of(decision), call.started_at.timestamp(), call.rule)
    return [RuleOut(**asdict(each)) for each in verdicts]
