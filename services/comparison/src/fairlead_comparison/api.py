"""The operations comparison answers; errors become refusals here and nowhere else."""

from fairlead_common.bus.rpc import RpcError
from fairlead_common.operations import comparison as ops

from fairlead_comparison.store.observations import CallFilter, ObservationStore
from fairlead_comparison.store.results import ResultStore


class ComparisonApi:
    """One method per operation."""

    def __init__(self, observations: ObservationStore, results: ResultStore) -> None:
        self._observations = observations
        self._results = results

    async def results(self, request: ops.OfTest) -> ops.TestResults:
        """All results of a test so far."""
        rows = await self._results.of_test(request.test_id)
        return ops.TestResults(results=[ops.TestResult.model_validate(dict(row)) for row in rows])

    async def calls(self, request: ops.CallsQuery) -> ops.CallList:
        """Calls of a workspace, newest first."""
        which = CallFilter(**request.model_dump(exclude={"limit"}))
        rows = await self._observations.calls(which, request.limit + 1)
        page = [ops.CallRow.model_validate(dict(row)) for row in rows[: request.limit]]
        return ops.CallList(calls=page, next=page[-1].call_id if len(rows) > request.limit else None)

    async def call(self, request: ops.OneCall) -> ops.CallDetail:
        """One call of a workspace."""
        row = await self._observations.call(request.workspace_id, request.call_id)
        if row is None:
            raise RpcError(404, "unknown_call", f"there is no call {request.call_id} in this workspace")
        attempts = await self._observations.attempts(request.call_id)
        return ops.CallDetail(
            call=ops.CallRow.model_validate(dict(row)),
            attempts=[ops.AttemptRow.model_validate(dict(each)) for each in attempts],
        )
