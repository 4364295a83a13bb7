"""``/api/providers/failover``: the workspace's configuration, the fleet's state, the log, and an operator's hand."""

from typing import Annotated

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.operations import failover as ops
from fairlead_common.operations.times import Moment
from fastapi import APIRouter, Path, Query

from fairlead_edge.control.dependencies import OPERATOR, KeyId, Rpc, WorkspaceId

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]

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
async def put_config(
    rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, config: ops.FailoverConfigIn
) -> ops.FailoverConfig:
    """Create or replace; edges follow at once. Warnings name what chains lack."""
    put = ops.PutConfig(workspace_id=workspace_id, config=config, changed_by=key_id)
    return await rpc.call(ops.PUT_CONFIG, put)


@router.post("/config/dry-run", summary="What a configuration would have done")
async def dry_run(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    config: ops.FailoverConfigIn,
    hours: Annotated[float, Query(gt=0, le=168)] = 24.0,
) -> ops.DryRun:
    """Its triggers over the calls of the last hours; nothing is changed."""
    return await rpc.call(ops.DRY_RUN, ops.DryRunIn(workspace_id=workspace_id, config=config, hours=hours))


@router.delete("/config", status_code=204, summary="Back to the defaults")
async def delete_config(rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId) -> None:
    """Any equivalent may stand in."""
    await rpc.call(ops.DELETE_CONFIG, ops.DeleteConfig(workspace_id=workspace_id, changed_by=key_id))


@router.get("/config/versions", summary="Former configurations")
async def versions(rpc: Rpc, workspace_id: WorkspaceId) -> ops.ConfigVersions:
    """Who changed what and when, newest first."""
    return await rpc.call(ops.VERSIONS, ops.OfWorkspace(workspace_id=workspace_id))


@router.post("/config/versions/{version}/restore", summary="Restore a former configuration")
async def restore(rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, version: Version) -> ops.FailoverConfig:
    """As a new version, checked against what is there now."""
    asked = ops.RestoreConfig(workspace_id=workspace_id, version=version, changed_by=key_id)
    return await rpc.call(ops.RESTORE, asked)


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


@router.get("/analytics", summary="What failover did")
async def analytics(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    since: Moment | None = None,
    until: Moment | None = None,
    provider: str | None = None,
) -> ops.Analytics:
    """Switches, times and rescued requests of a period (default: the last 30 days); unknown is null."""
    if since is not None and until is not None and until <= since:
        raise RpcError(422, "until_before_since", "until must lie after since")
    query = ops.AnalyticsQuery(workspace_id=workspace_id, since=since, until=until, provider=provider)
    return await rpc.call(ops.ANALYTICS, query)


@router.post("/force", summary="Force a switch", dependencies=[OPERATOR])
async def force(rpc: Rpc, body: ops.HoldIn) -> ops.FailoverState:
    """Take a provider or one of its models out, until a time (default: one hour)."""
    return await rpc.call(ops.HOLD, ops.Hold(kind="out", **body.model_dump()))


@router.post("/drain", summary="Drain for maintenance", dependencies=[OPERATOR])
async def drain(rpc: Rpc, body: ops.HoldIn) -> ops.FailoverState:
    """No new traffic until a time; what runs ends by itself."""
    return await rpc.call(ops.HOLD, ops.Hold(kind="drain", **body.model_dump()))


@router.post("/pin", summary="Pin", dependencies=[OPERATOR])
async def pin(rpc: Rpc, body: ops.HoldIn) -> ops.FailoverState:
    """All of its traffic until a time, whatever health and the fleet's breakers say."""
    return await rpc.call(ops.HOLD, ops.Hold(kind="pin", **body.model_dump()))


@router.post("/release", summary="Release", dependencies=[OPERATOR])
async def release(rpc: Rpc, body: ops.TargetIn) -> ops.FailoverState:
    """End a hold before its time, or bring back by hand what is open; in steps, as after an outage."""
    return await rpc.call(ops.RELEASE, body)
