"""The operations abtest answers; errors become refusals here and nowhere else."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fairlead_common.bus.rpc import Empty, RpcClient, RpcError, RpcUnavailable
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.events.abtest import RunTestJob
from fairlead_common.ids import utc_now
from fairlead_common.operations import abtest as ops
from fairlead_common.operations import comparison
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from fairlead_models.unified import ChatRequest, EncodedRequest
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from fairlead_abtest.domain.analysis import Question, analyse
from fairlead_abtest.domain.arms import ArmError
from fairlead_abtest.domain.design import Design, DesignError, design, scored_prompts
from fairlead_abtest.domain.jobs import job_id
from fairlead_abtest.domain.observations import Observation, Plan
from fairlead_abtest.store import AbtestStore

PAGE_BYTES = 2_000_000
"""A page of answers ends before it outgrows a message of the bus."""


class AbtestApi:
    """One method per operation. ``catalog`` gives the catalog as it is now."""

    def __init__(
        self,
        store: AbtestStore,
        rpc: RpcClient,
        relay: OutboxRelay,
        clients: Mapping[str, ProviderClient],
        catalog: Callable[[], Catalog],
    ) -> None:
        self._store = store
        self._rpc = rpc
        self._relay = relay
        self._clients = clients
        self._catalog = catalog

    async def create(self, request: ops.CreateTest) -> ops.Test:
        """Check a test, and start it."""
        test = request.test
        try:
            made = await asyncio.to_thread(design, test, self._catalog(), self._encode)
        except (ArmError, DesignError) as error:
            raise RpcError(422, "invalid_test", str(error)) from error
        try:
            test_id = await self._store.create(
                request.workspace_id, test, made, lambda test_id: _messages(test_id, test, made)
            )
        except IntegrityError as error:
            raise _taken(test.name) from error
        self._relay.wake()
        return await self._test(ops.OneTest(workspace_id=request.workspace_id, test_id=test_id))

    def _encode(self, arm: ops.Arm, request: ChatRequest) -> EncodedRequest:
        return self._clients[arm.provider].wire.encode(request, arm.model, stream=request.stream)

    async def list_tests(self, request: ops.ListTests) -> ops.Tests:
        """Tests of the workspace."""
        rows = await self._store.tests(request.workspace_id, request.status, request.limit)
        return ops.Tests(tests=[ops.TestSummary.model_validate(_fields(row)) for row in rows])

    async def get(self, request: ops.OneTest) -> ops.Test:
        """One test."""
        return await self._test(request)

    async def rename(self, request: ops.RenameTest) -> ops.Test:
        """Change the name."""
        try:
            found = await self._store.rename(request.workspace_id, request.test_id, request.change.name)
        except IntegrityError as error:
            raise _taken(request.change.name) from error
        if not found:
            raise _missing(request.test_id)
        return await self._test(request)

    async def cancel(self, request: ops.OneTest) -> ops.Test:
        """Stop a test."""
        done = await self._store.cancel(request.workspace_id, request.test_id, "cancelled by its owner")
        test = await self._test(request)
        if not done and test.status == "completed":
            raise RpcError(409, "completed", f"test {test.id} is complete; there is nothing to cancel")
        return test

    async def delete(self, request: ops.OneTest) -> Empty:
        """Remove a test that has ended."""
        if not await self._store.delete(request.workspace_id, request.test_id):
            test = await self._test(request)
            raise RpcError(409, "running", f"test {test.id} is running; cancel it first")
        return Empty()

    async def results(self, request: ops.ResultsQuery) -> ops.Answers:
        """A page of answers, side by side."""
        test = await self._test(request)
        results = await self._results(test.id)
        return await asyncio.to_thread(_page, test, results, request)

    async def analysis(self, request: ops.OneTest) -> ops.Analysis:
        """What the test shows now."""
        test = await self._test(request)
        results = await self._results(test.id)
        return await asyncio.to_thread(_analysis, test, results)

    async def _test(self, request: ops.OneTest) -> ops.Test:
        row = await self._store.test(request.workspace_id, request.test_id)
        if row is None:
            raise _missing(request.test_id)
        return ops.Test.model_validate(_fields(row))

    async def _results(self, test_id: int) -> list[comparison.TestResult]:
        try:
            return (await self._rpc.call(comparison.RESULTS, comparison.OfTest(test_id=test_id))).results
        except RpcUnavailable as error:
            raise RpcError(503, "unavailable", str(error)) from error


def _messages(test_id: int, test: ops.TestIn, made: Design) -> list[RunTestJob]:
    now = utc_now()
    return [
        RunTestJob(
            event_id=job_id(test_id, job.prompt_index, job.arm.name, job.repeat),
            occurred_at=now,
            test_id=test_id,
            prompt_index=job.prompt_index,
            repeat=job.repeat,
            provider=job.arm.provider,
            model=job.arm.model,
            messages=tuple(made.prompts[job.prompt_index].messages),
            params=test.params,
            reference=made.prompts[job.prompt_index].reference,
        )
        for job in made.jobs
    ]


def _fields(row: RowMapping) -> dict[str, Any]:
    return {**row, "progress": row["jobs_done"] / row["jobs"]}


def _page(test: ops.Test, results: list[comparison.TestResult], request: ops.ResultsQuery) -> ops.Answers:
    by_row: dict[tuple[int, int], dict[str, comparison.TestResult]] = {}
    for each in results:
        by_row.setdefault((each.prompt_index, each.repeat), {})[f"{each.provider}/{each.model}"] = each
    rows, size = test.prompt_count * test.repeats, 0
    found: list[ops.SideBySide] = []
    position = request.offset
    while position < min(rows, request.offset + request.limit) and size < PAGE_BYTES:
        index, repeat = divmod(position, test.repeats)
        answers = by_row.get((index, repeat), {})
        prompt = test.prompts[index]
        found.append(
            ops.SideBySide(
                prompt_index=index,
                repeat=repeat,
                messages=prompt.messages,
                reference=prompt.reference,
                answers=[_answer(arm.name, answers[arm.name]) for arm in test.arms if arm.name in answers],
            )
        )
        size += len(found[-1].model_dump_json())
        position += 1
    return ops.Answers(
        test_id=test.id,
        rows=rows,
        recorded=len(results),
        prompts=found,
        next_offset=position if position < rows else None,
    )


def _answer(arm: str, result: comparison.TestResult) -> ops.AnswerOut:
    return ops.AnswerOut.model_validate({**result.model_dump(), "arm": arm, "cost_usd": result.cost})


def _analysis(test: ops.Test, results: list[comparison.TestResult]) -> ops.Analysis:
    plan = Plan(
        arms=tuple(arm.name for arm in test.arms),
        prompts=test.prompt_count,
        repeats=test.repeats,
        timeout_s=test.timeout_s,
        scored=scored_prompts(test.prompts, test.params),
    )
    question = Question(
        test.id, test.status, test.stop_reason, test.metric, test.minimum_effect, test.alpha, plan
    )
    return analyse(question, [_observation(each) for each in results])


def _observation(result: comparison.TestResult) -> Observation:
    return Observation(
        prompt_index=result.prompt_index,
        repeat=result.repeat,
        arm=f"{result.provider}/{result.model}",
        latency_ms=result.latency_ms,
        error_class=result.error_class,
        ttft_ms=result.ttft_ms,
        cost_usd=result.cost,
        quality=result.quality_score,
        output_tokens=result.output_tokens,
        response=result.response,
    )


def _missing(test_id: int) -> RpcError:
    return RpcError(404, "unknown_test", f"there is no test {test_id} in this workspace")


def _taken(name: str) -> RpcError:
    return RpcError(409, "name_taken", f"there is a test '{name}' already, or the workspace does not exist")
