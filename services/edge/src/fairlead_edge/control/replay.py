"""``/api/providers/routing``, the part about past calls: what-if, analytics, feedback."""

from datetime import timedelta
from typing import Annotated

from fairlead_common.ids import utc_now
from fairlead_common.operations import routing_replay as ops
from fairlead_common.operations.times import Moment
from fastapi import APIRouter, Query

from fairlead_edge.control.dependencies import FleetNow, KeyId, Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/routing", tags=["routing"])


@router.post("/what-if", summary="The past under changed rules")
async def what_if(rpc: Rpc, fleet: FleetNow, workspace_id: WorkspaceId, body: ops.Changed) -> ops.WhatIf:
    """Decides the calls of a period again; nothing is sent to a provider, and nothing is changed."""
    budget = fleet.settings(workspace_id).budget
    query = ops.WhatIfQuery(workspace_id=workspace_id, budget=budget, **body.model_dump())
    return await rpc.call(ops.WHAT_IF, query)


@router.get("/analytics", summary="What routing did")
async def analytics(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    since: Annotated[Moment | None, Query(description="without it: a day before 'until'")] = None,
    until: Annotated[Moment | None, Query(description="without it: now")] = None,
    baseline: Annotated[
        str | None, Query(description="provider/model that savings are counted against")
    ] = None,
) -> ops.Analytics:
    """Who got the calls of the workspace by which rule, what that saved, and how good it looks afterwards."""
    end = until or utc_now()
    query = ops.AnalyticsQuery(
        workspace_id=workspace_id, since=since or end - timedelta(days=1), until=end, baseline=baseline
    )
    return await rpc.call(ops.ANALYTICS, query)


@router.post("/feedback", summary="Say how good an answer was")
async def feedback(rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, body: ops.FeedbackIn) -> ops.Feedback:
    """A thumb or a score; given again, it takes the place of the former one. It counts in the quality of the model."""
    request = ops.GiveFeedback(workspace_id=workspace_id, key_id=key_id, feedback=body)
    return await rpc.call(ops.FEEDBACK, request)
