"""``/api/providers/routing``: rules, the table in force, and why a request would go where it would go."""

import random

from fairlead_common.decisions.plan import NoCapacity, RouteRequest
from fairlead_common.decisions.ranking import cost_usd, latency_ms, quality
from fairlead_common.decisions.routing import make_plan
from fairlead_common.operations import routing as ops
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_models.errors import UnknownModel
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from fairlead_edge.control.dependencies import FleetNow, Rpc, WorkspaceId
from fairlead_edge.fleet import DEFAULT_TABLE, unix_now

router = APIRouter(prefix="/api/providers/routing", tags=["routing"])


class ExplainIn(BaseModel):
    """A request to think through; nothing is sent to a provider."""

    model_config = ConfigDict(extra="forbid")

    model: str
    needs: list[str] = []
    input_tokens: int = Field(default=100, ge=0)
    max_output_tokens: int | None = Field(default=None, ge=1)
    stream: bool = False
    metadata: dict[str, str] = {}


class CandidateOut(BaseModel):
    """A candidate and what is known of it. Null = unknown."""

    target: str
    position: int | None = Field(description="place in the plan, from 0; null: not in it")
    reason: str = Field(description="why it is there, or why it is not")
    estimated_cost_usd: float | None = None
    expected_latency_ms: float | None = None
    quality: float | None = None


class Explanation(BaseModel):
    """The decision this edge would take now."""

    rule: str | None
    strategy: str | None
    table_version: int | None
    error: str | None = None
    candidates: list[CandidateOut]


@router.get("/rules", summary="List rules")
async def list_rules(rpc: Rpc, workspace_id: WorkspaceId) -> ops.Rules:
    """In the order in which they are looked at."""
    return await rpc.call(ops.LIST, ops.OfWorkspace(workspace_id=workspace_id))


@router.post("/rules", status_code=201, summary="Create a rule")
async def create_rule(rpc: Rpc, workspace_id: WorkspaceId, rule: ops.RuleIn) -> ops.Rule:
    """Conditions are checked; edges follow at once."""
    return await rpc.call(ops.CREATE, ops.CreateRule(workspace_id=workspace_id, rule=rule))


@router.get("/rules/{rule_id}", summary="One rule")
async def get_rule(rpc: Rpc, workspace_id: WorkspaceId, rule_id: int) -> ops.Rule:
    """As it is stored."""
    return await rpc.call(ops.GET, ops.OneRule(workspace_id=workspace_id, rule_id=rule_id))


@router.put("/rules/{rule_id}", summary="Replace a rule")
async def replace_rule(rpc: Rpc, workspace_id: WorkspaceId, rule_id: int, rule: ops.RuleIn) -> ops.Rule:
    """All fields."""
    return await rpc.call(ops.REPLACE, ops.ReplaceRule(workspace_id=workspace_id, rule_id=rule_id, rule=rule))


@router.delete("/rules/{rule_id}", status_code=204, summary="Delete a rule")
async def delete_rule(rpc: Rpc, workspace_id: WorkspaceId, rule_id: int) -> None:
    """It no longer decides anything."""
    await rpc.call(ops.DELETE, ops.OneRule(workspace_id=workspace_id, rule_id=rule_id))


@router.get("/table", summary="The table in force")
async def table(rpc: Rpc, workspace_id: WorkspaceId) -> RoutesSnapshot:
    """The snapshot that edges follow."""
    return await rpc.call(ops.TABLE, ops.OfWorkspace(workspace_id=workspace_id))


@router.post("/explain", summary="Why a request would go where it would go")
async def explain(fleet: FleetNow, workspace_id: WorkspaceId, body: ExplainIn) -> Explanation:
    """The very decision code of the request path, with what this edge knows now."""
    request = RouteRequest(
        body.model,
        workspace_id,
        frozenset(body.needs),
        body.input_tokens,
        body.max_output_tokens,
        body.stream,
        body.metadata,
    )
    now = unix_now()
    try:
        candidates = fleet.catalog.candidates(body.model)
    except UnknownModel as error:
        return Explanation(rule=None, strategy=None, table_version=None, error=error.message, candidates=[])
    view = fleet.view(now)
    table_now, policy = fleet.tables.get(workspace_id, DEFAULT_TABLE), fleet.policies.get(workspace_id)
    plan = make_plan(table_now, policy, request, candidates, view, now, random.random())  # noqa: S311 - as live
    places = {} if isinstance(plan, NoCapacity) else {step.target: i for i, step in enumerate(plan.steps)}
    reasons = {each.target: each.reason for each in plan.excluded}
    if not isinstance(plan, NoCapacity):
        reasons = {step.target: step.reason.value for step in plan.steps} | {
            target: reason for target, reason in reasons.items() if target not in places
        }
    found = [
        CandidateOut(
            target=str(each.target),
            position=places.get(each.target),
            reason=reasons.get(each.target, "further back than a plan goes"),
            estimated_cost_usd=cost_usd(each, request),
            expected_latency_ms=latency_ms(each, request, view),
            quality=quality(each, view),
        )
        for each in candidates
    ]
    found.sort(key=lambda each: (each.position is None, each.position))
    if isinstance(plan, NoCapacity):
        return Explanation(rule=None, strategy=None, table_version=None, error=plan.message, candidates=found)
    return Explanation(
        rule=plan.rule, strategy=plan.strategy, table_version=plan.table_version, candidates=found
    )
