"""The operations abtest answers; errors become refusals here and nowhere else."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.ids import utc_now
from fairlead_common.operations import ab_results
from fairlead_common.operations import abtest as ops
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from fairlead_models.unified import ChatRequest
from fairlead_models.wires.protocol import EncodedRequest
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from fairlead_abtest.domain.analysis import AGREEMENT_PROMPTS, Question, analyse
from fairlead_abtest.domain.arms import ArmError
from fairlead_abtest.domain.design import DesignError, design, scored_prompts
from fairlead_abtest.domain.observations import Cell, Observation, Plan
from fairlead_abtest.messages import all_job_messages
from fairlead_abtest.records import Records
from fairlead_abtest.store import AbtestStore

PAGE_BYTES = 2_000_000
"""A page of answers ends before it outgrows a message of the bus."""


class AbtestApi:
    """One method per operation. ``catalog`` gives that of a workspace as it is now."""

    def __init__(
        self,
        store: AbtestStore,
        records: Records,
        jobs: OutboxRelay,
        clients: Mapping[str, ProviderClient],
        catalog: Callable[[int], Catalog],
    ) -> None:
        self._store = store
        self._records = records
        self._jobs = jobs
        self._clients = clients
        self._catalog = catalog

    async def create(self, request: ops.CreateTest) -> ops.Test:
        """Check a test, and start it."""
        test = request.test
        try:
            made = await asyncio.to_thread(design, test, self._catalog(request.workspace_id), self._encode)
        except (ArmError, DesignError) as error:
            raise RpcError(422, "invalid_test", str(error)) from error
        try:
            test_id = await self._store.create(
                request.workspace_id,
                test,
                made,
                lambda test_id: all_job_messages(test_id, made, test.params, utc_now()),
            )
        except IntegrityError as error:
            raise _taken(test.name) from error
        self._jobs.wake()
        return await self._test(ops.OneTest(workspace_id=request.workspace_id, test_id=test_id))

    def _encode(self, arm: ops.Arm, request: ChatRequest) -> EncodedRequest:
        return self._clients[arm.provider].wire.encode(request, arm.model, stream=request.stream)

    async def list_tests(self, request: ops.ListTests) -> ops.Tests:
        """Tests of the workspace."""
        rows = await self._store.tests(request)
        found = [ops.TestSummary.model_validate(_fields(row)) for row in rows[: request.limit]]
        return ops.Tests(tests=found, next_before=found[-1].id if len(rows) > request.limit else None)

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
        wanted = [divmod(row, test.repeats) for row in range(request.offset, _rows(test))][: request.limit]
        if not wanted:
            return ops.Answers(test_id=test.id, rows=_rows(test), prompts=[], next_offset=None)
        limit = len(wanted) * len(test.arms)
        results, more = await self._records.page(test.id, *wanted[0], limit)
        last = (results[-1].prompt_index, results[-1].repeat) if results else wanted[-1]
        if more and len(results) < limit:  # the piece ends inside the last row
            wanted = [cell for cell in wanted if cell < last] or wanted[:1]
        return await asyncio.to_thread(_page, test, results, wanted)

    async def analysis(self, request: ops.OneTest) -> ops.Analysis:
        """What the test shows now."""
        test = await self._test(request)
        results = await self._records.all(test.id)
        some, _ = await self._records.page(test.id, 0, 0, AGREEMENT_PROMPTS * test.repeats * len(test.arms))
        responses = {each.event_id: each.response for each in some}
        return await asyncio.to_thread(_analysis, test, results, responses)

    async def _test(self, request: ops.OneTest) -> ops.Test:
        row = await self._store.test(request.workspace_id, request.test_id)
        if row is None:
            raise _missing(request.test_id)
        return ops.Test.model_validate(_fields(row))


def _fields(row: RowMapping) -> dict[str, Any]:
    return {**row, "progress": row["jobs_done"] / row["jobs"]}


def _rows(test: ops.Test) -> int:
    return test.prompt_count * test.repeats


def _page(test: ops.Test, results: list[ab_results.TestResult], wanted: list[Cell]) -> ops.Answers:
    """As many of the wanted rows as fit into a message."""
    answers: dict[Cell, dict[str, ab_results.TestResult]] = {}
    for each in results:
        answers.setdefault((each.prompt_index, each.repeat), {})[f"{each.provider}/{each.model}"] = each
    found: list[ops.SideBySide] = []
    size = 0
    for cell in wanted:
        found.append(_side_by_side(test, cell, answers.get(cell, {})))
        size += len(found[-1].model_dump_json())
        if size > PAGE_BYTES:
            break
    index, repeat = wanted[len(found) - 1]
    following = index * test.repeats + repeat + 1
    return ops.Answers(
        test_id=test.id,
        rows=_rows(test),
        prompts=found,
        next_offset=following if following < _rows(test) else None,
    )


def _side_by_side(test: ops.Test, cell: Cell, answers: dict[str, ab_results.TestResult]) -> ops.SideBySide:
    index, repeat = cell
    prompt = test.prompts[index]
    return ops.SideBySide(
        prompt_index=index,
        repeat=repeat,
        messages=prompt.messages,
        reference=prompt.reference,
        answers=[_answer(arm.name, answers[arm.name]) for arm in test.arms if arm.name in answers],
    )


def _answer(arm: str, result: ab_results.TestResult) -> ops.AnswerOut:
    return ops.AnswerOut.model_validate({**result.model_dump(), "arm": arm, "cost_usd": result.cost})


def _analysis(
    test: ops.Test, results: list[ab_results.TestResult], responses: dict[str, str | None]
) -> ops.Analysis:
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
    return analyse(question, [_observation(each, responses.get(each.event_id)) for each in results])


def _observation(result: ab_results.TestResult, response: str | None) -> Observation:
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
        response=response,
    )


def _missing(test_id: int) -> RpcError:
    return RpcError(404, "unknown_test", f"there is no test {test_id} in this workspace")


def _taken(name: str) -> RpcError:
    return RpcError(409, "name_taken", f"there is a test '{name}' already, or the workspace does not exist")
