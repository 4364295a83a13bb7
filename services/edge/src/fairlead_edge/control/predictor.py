"""``/api/providers/routing/predictor``: the learned table of qualities that the workspace's requests are decided by."""

from typing import Annotated

from fairlead_common.operations import routing_predictor as ops
from fairlead_common.operations.routing import OfWorkspace
from fairlead_common.snapshots.predictor import LearnedTable
from fastapi import APIRouter, Path

from fairlead_edge.control.dependencies import KeyId, Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/routing/predictor", tags=["routing"])

Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="of the predictor")]


@router.get("", summary="The learned predictor in force")
async def get_predictor(rpc: Rpc, workspace_id: WorkspaceId) -> ops.Predictor:
    """What it was learned from, how much better it was shown to be, who installed it and when; without its words."""
    return await rpc.call(ops.PREDICTOR, OfWorkspace(workspace_id=workspace_id))


@router.put("", summary="Install a learned predictor")
async def install_predictor(
    rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, table: LearnedTable
) -> ops.Predictor:
    """A table of `fairlead quality train`. One that is not shown to be better, or names unknown models, is refused."""
    request = ops.InstallPredictor(workspace_id=workspace_id, table=table, changed_by=key_id)
    return await rpc.call(ops.INSTALL_PREDICTOR, request)


@router.delete("", status_code=204, summary="Decide without a learned predictor")
async def remove_predictor(rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId) -> None:
    """Its versions are kept."""
    request = ops.RemovePredictor(workspace_id=workspace_id, changed_by=key_id)
    await rpc.call(ops.REMOVE_PREDICTOR, request)


@router.get("/versions", summary="Versions of the predictor")
async def predictor_versions(rpc: Rpc, workspace_id: WorkspaceId) -> ops.PredictorVersions:
    """Who changed what and when, the newest first; the last twenty."""
    return await rpc.call(ops.PREDICTOR_VERSIONS, OfWorkspace(workspace_id=workspace_id))


@router.post("/versions/{version}/restore", summary="Decide by an earlier predictor")
async def restore_predictor(
    rpc: Rpc, workspace_id: WorkspaceId, key_id: KeyId, version: Version
) -> ops.Predictor:
    """Makes a new version, so that this, too, can be undone."""
    request = ops.RestorePredictor(workspace_id=workspace_id, version=version, changed_by=key_id)
    return await rpc.call(ops.RESTORE_PREDICTOR, request)
