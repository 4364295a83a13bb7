"""``/api/providers/ab-test``: the same prompts to several arms, their answers side by side, and what they show."""

from typing import Annotated

from fairlead_common.operations import abtest as ops
from fastapi import APIRouter, Path, Query

from fairlead_edge.control.dependencies import Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/ab-test", tags=["ab-test"])

TestId = Annotated[int, Path(ge=1, le=ops.MAX_ID)]


@router.post("", status_code=201, summary="Start a test")
async def create(rpc: Rpc, workspace_id: WorkspaceId, test: ops.TestIn) -> ops.Test:
    """Every prompt goes to every arm; no arm is ever answered for by another."""
    return await rpc.call(ops.CREATE, ops.CreateTest(workspace_id=workspace_id, test=test))


@router.get("", summary="List tests")
async def list_tests(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    status: ops.Status | None = None,
    before: Annotated[int, Query(ge=1, le=ops.MAX_ID)] = ops.MAX_ID,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ops.Tests:
    """Newest first, without their prompts."""
    query = ops.ListTests(workspace_id=workspace_id, status=status, before=before, limit=limit)
    return await rpc.call(ops.LIST, query)


@router.get("/{test_id}", summary="One test")
async def get(rpc: Rpc, workspace_id: WorkspaceId, test_id: TestId) -> ops.Test:
    """With its progress, and its estimated and actual cost."""
    return await rpc.call(ops.GET, ops.OneTest(workspace_id=workspace_id, test_id=test_id))


@router.get("/{test_id}/results", summary="Answers side by side")
async def results(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    test_id: TestId,
    offset: Annotated[int, Query(ge=0, le=ops.MAX_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> ops.Answers:
    """A page of prompts, each with every arm's answers."""
    query = ops.ResultsQuery(workspace_id=workspace_id, test_id=test_id, offset=offset, limit=limit)
    return await rpc.call(ops.RESULTS, query)


@router.get("/{test_id}/analysis", summary="What a test shows")
async def analysis(rpc: Rpc, workspace_id: WorkspaceId, test_id: TestId) -> ops.Analysis:
    """Valid at every look while the test runs; the fixed-horizon result once all calls are in."""
    return await rpc.call(ops.ANALYSIS, ops.OneTest(workspace_id=workspace_id, test_id=test_id))


@router.patch("/{test_id}", summary="Rename a test")
async def rename(rpc: Rpc, workspace_id: WorkspaceId, test_id: TestId, change: ops.RenameIn) -> ops.Test:
    """Nothing else of a test can be changed: it would no longer be the same experiment."""
    request = ops.RenameTest(workspace_id=workspace_id, test_id=test_id, change=change)
    return await rpc.call(ops.RENAME, request)


@router.post("/{test_id}/cancel", summary="Cancel a test")
async def cancel(rpc: Rpc, workspace_id: WorkspaceId, test_id: TestId) -> ops.Test:
    """Calls under way end and are recorded; no new one begins."""
    return await rpc.call(ops.CANCEL, ops.OneTest(workspace_id=workspace_id, test_id=test_id))


@router.delete("/{test_id}", status_code=204, summary="Delete a test")
async def delete(rpc: Rpc, workspace_id: WorkspaceId, test_id: TestId) -> None:
    """One that runs must be cancelled first."""
    await rpc.call(ops.DELETE, ops.OneTest(workspace_id=workspace_id, test_id=test_id))
