"""``/api/providers/compare``: what was measured of the providers, and the calls of the workspace."""

from typing import Annotated
from uuid import UUID

from fairlead_common.events.calls import CallKind
from fairlead_common.operations import comparison as ops
from fairlead_common.outcomes import CallState
from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from fairlead_edge.control.dependencies import Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/compare", tags=["compare"])


@router.get("/calls", summary="Recent calls")
async def calls(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    *,
    provider: str | None = None,
    model: str | None = None,
    state: CallState | None = None,
    kind: CallKind | None = None,
    failover: bool | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    before: Annotated[UUID | None, Query(description="'next' of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> ops.CallList:
    """Of this workspace, newest first."""
    query = ops.CallsQuery(
        workspace_id=workspace_id,
        provider=provider,
        model=model,
        state=state,
        kind=kind,
        failover=failover,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    return await rpc.call(ops.CALLS, query)


@router.get("/calls/{call_id}", summary="One call")
async def call(rpc: Rpc, workspace_id: WorkspaceId, call_id: UUID) -> ops.CallDetail:
    """With every attempt."""
    return await rpc.call(ops.CALL, ops.OneCall(workspace_id=workspace_id, call_id=call_id))
