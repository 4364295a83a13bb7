"""``/api/providers/failover``: the workspace's configuration, the fleet's state, the log, and an operator's hand."""

from typing import Annotated

from fairlead_common.bus.rpc import Empty
from fairlead_common.operations import failover as ops
from fastapi import APIRouter, Query

from fairlead_edge.control.dependencies import OPERATOR, Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/failover", tags=["failover"])


@router.get("", summary="State of the fleet")
async def state(rpc: Rpc) -> ops.FailoverState:
    """The gate of every provider."""
    return await rpc.call(ops.STATE, Empty())


@router.get("/config", summary="Configuration of the workspace")
async def get_config(rpc: Rpc, workspace_id: WorkspaceId) -> ops.FailoverConfig:
    """What is stored, or the defaults (version 0)."""
    return await rpc.call(ops.GET_CONFIG, ops.OfWorkspace(workspace_id=workspace_id))


@router.put("/config", summary="Configure the workspace")
async def put_config(rpc: Rpc, workspace_id: WorkspaceId, config: ops.FailoverConfigIn) -> ops.FailoverConfig:
    """Create or replace; edges follow at once."""
    return await rpc.call(ops.PUT_CONFIG, ops.PutConfig(workspace_id=workspace_id, config=config))


@router.delete("/config", status_code=204, summary="Back to the defaults")
async def delete_config(rpc: Rpc, workspace_id: WorkspaceId) -> None:
    """Any equivalent may stand in."""
    await rpc.call(ops.DELETE_CONFIG, ops.OfWorkspace(workspace_id=workspace_id))


@router.get("/events", summary="Failover log")
async def events(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    provider: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ops.Events:
    """Newest first."""
    return await rpc.call(
        ops.EVENTS, ops.EventsQuery(workspace_id=workspace_id, provider=provider, limit=limit)
    )


@router.get("/analytics", summary="Failovers of the last 30 days")
async def analytics(rpc: Rpc, workspace_id: WorkspaceId) -> ops.Analytics:
    """Counts and times to recover."""
    return await rpc.call(ops.ANALYTICS, ops.OfWorkspace(workspace_id=workspace_id))


@router.post("/open", summary="Take a provider out", dependencies=[OPERATOR])
async def open_gate(rpc: Rpc, body: ops.SwitchIn) -> ops.FailoverState:
    """By hand; it stays out until it is brought back."""
    return await rpc.call(ops.OPEN, body)


@router.post("/recover", summary="Bring a provider back", dependencies=[OPERATOR])
async def recover(rpc: Rpc, body: ops.SwitchIn) -> ops.FailoverState:
    """In steps, as after an outage."""
    return await rpc.call(ops.RECOVER, body)
