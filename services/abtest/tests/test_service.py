"""A/B tests from creation to verdict, on a real bus, a real database and real simulator processes."""

import asyncio
from typing import Any

import orjson
import pytest
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.rpc import RpcError
from fairlead_common.db.database import Database
from fairlead_common.events.abtest import RunTestJob
from fairlead_common.events.calls import CallKind
from fairlead_common.ids import new_id, utc_now
from fairlead_common.operations import abtest as ops
from fairlead_common.outcomes import CallState
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Pricing, built_in
from fairlead_models.catalog.workspaces import own_snapshot
from sqlalchemy import text

VENDORS = ("openai", "anthropic", "google", "mistral", "cohere")
SLOW = '{"first_token": 0.3, "between_tokens": 0, "whole": 0.3}'


async def query(database: Database, sql: str, **values: Any) -> list[Any]:
    async with database.transaction() as session:
        return list((await (await session.connection()).execute(text(sql), values)).mappings())


def questions(count: int) -> list[str]:
    return [f"Question {i}?" for i in range(count)]


@pytest.mark.parametrize("arms", [2, 5])
async def test_a_test_runs_to_completion(bench: Any, arms: int) -> None:
    await bench.simulate(*VENDORS[:arms])
    async with bench.service():
        made = await bench.create(name="first", prompts=questions(6), providers=list(VENDORS[:arms]))
        assert (made.status, made.jobs, made.metric) == ("running", 6 * arms, "latency")
        done = await bench.completed(made.id)
        assert (done.jobs_done, done.jobs_failed, done.progress) == (6 * arms, 0, 1.0)
        assert done.actual_cost_usd is not None
        assert done.estimated_cost_usd is not None
        assert len(bench.recorder.results) == len(bench.recorder.published) == 6 * arms
        assert {(each.workspace_id, each.task) for each in bench.recorder.results.values()} == {(1, "chat")}
        assert await bench.requests() == 6 * arms
        shown = await bench.rpc.call(ops.RESULTS, ops.ResultsQuery(workspace_id=1, test_id=made.id, limit=2))
        assert (shown.rows, len(shown.prompts)) == (6, 1 if arms == 5 else 2)  # a piece of records holds 5
        first = shown.prompts[0]
        assert first.messages == [{"role": "user", "content": "Question 0?"}]
        assert [answer.arm for answer in first.answers] == [arm.name for arm in done.arms]
        assert all(answer.response and answer.ttft_ms is not None for answer in first.answers)
        analysis = await bench.analysis(made.id)
        assert analysis.final
        assert analysis.verdict.kind == "not_enough_data"
        assert {arm.calls for arm in analysis.arms} == {6}


async def test_pages_of_answers_cover_the_test_once(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    async with bench.service():
        made = await bench.create(
            name="t", prompts=questions(4), repeats=2, providers=["openai", "anthropic"]
        )
        await bench.completed(made.id)
        seen, offset = [], 0
        while offset is not None:
            asked = ops.ResultsQuery(workspace_id=1, test_id=made.id, offset=offset, limit=3)
            page = await bench.rpc.call(ops.RESULTS, asked)
            assert all(len(row.answers) == 2 for row in page.prompts)
            seen += [(row.prompt_index, row.repeat) for row in page.prompts]
            offset = page.next_offset
        assert seen == [(prompt, repeat) for prompt in range(4) for repeat in range(2)]
        beyond = ops.ResultsQuery(workspace_id=1, test_id=made.id, offset=8)
        assert (await bench.rpc.call(ops.RESULTS, beyond)).prompts == []


async def test_calls_are_reported_as_what_they_are(bench: Any) -> None:
    await bench.simulate("openai", "cohere")
    async with bench.service():
        made = await bench.create(name="t", prompt="Why?", providers=["openai", "cohere"], stream=False)
        await bench.completed(made.id)
    calls = bench.recorder.calls
    assert len(calls) == len({call.call_id for call in calls}) == 2
    for call in calls:
        assert (call.kind, call.test_id, call.state, call.status) == (
            CallKind.ABTEST,
            made.id,
            CallState.OK,
            200,
        )
        assert (call.stream, call.ttft_ms, len(call.attempts)) == (False, None, 1)
        assert call.cost_usd is not None
        assert call.requested_model == f"{call.provider}/{call.model}"


async def test_answers_are_scored_against_references_and_schemas(bench: Any) -> None:
    """Simulators answer the schema; nothing they say is the reference."""
    await bench.simulate("openai", "mistral")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    question = {"messages": [{"role": "user", "content": "Who?"}], "reference": "Nobody of that name"}
    async with bench.service():
        shaped = await bench.create(
            name="shaped",
            prompt="How many?",
            providers=["openai", "mistral"],
            params={"response_format": wanted},
        )
        asked = await bench.create(name="asked", prompt=question, providers=["openai", "mistral"])
        await bench.completed(shaped.id)
        await bench.completed(asked.id)
        for each in bench.recorder.results.values():
            assert each.scores["gate.not_empty@1"] == 1.0
            if each.test_id == shaped.id:
                assert (each.quality_score, each.scores["json.schema@1"]) == (1.0, 1.0)
            else:
                assert each.quality_score is not None
                assert each.quality_score < 0.5
        assert (await bench.get(asked.id)).metric == "quality"


async def test_a_job_that_comes_twice_gives_one_call_and_one_result(bench: Any) -> None:
    """The second copy has another message id, so the bus does not drop it; also while the first one is under way."""
    await bench.simulate("openai", "anthropic", latency=SLOW)
    async with bench.service():
        made = await bench.create(name="t", prompt="Why?", providers=["openai", "anthropic"])
        await bench.until(made.id, lambda test: test.jobs_done == 2)
        jobs = [await job_of(bench, made, arm) for arm in made.arms]
        again = await bench.create(name="again", prompt="Why?", providers=["openai", "anthropic"])
        jobs += [await job_of(bench, again, arm) for arm in again.arms]
        for job in jobs:
            await bench.client.jetstream().publish(
                job.subject, job.to_json(), headers={"Nats-Msg-Id": new_id()}
            )
        await bench.completed(again.id)
        await queue_is_empty(bench)
    assert await bench.requests() == 4
    assert len(bench.recorder.published) == len(set(bench.recorder.published)) == 4
    assert len(bench.recorder.calls) == len({call.call_id for call in bench.recorder.calls}) == 4


async def job_of(bench: Any, test: ops.Test, arm: ops.Arm) -> RunTestJob:
    rows = await query(
        bench.database,
        "SELECT event_id, created_at FROM ab_test_job j JOIN ab_test t ON t.id = ab_test_id"
        " WHERE ab_test_id = :id AND provider = :provider",
        id=test.id,
        provider=arm.provider,
    )
    return RunTestJob(
        event_id=rows[0]["event_id"],
        occurred_at=rows[0]["created_at"],
        test_id=test.id,
        prompt_index=0,
        provider=arm.provider,
        model=arm.model,
        messages=tuple(test.prompts[0].messages),
    )


async def queue_is_empty(bench: Any) -> None:
    async with asyncio.timeout(40):
        while (await bench.client.jetstream().stream_info("ABTEST_JOBS")).state.messages:
            await asyncio.sleep(0.05)


async def test_failures_count_against_the_arm_and_nobody_stands_in(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    await bench.simulators["anthropic"].fault("error_500")
    async with bench.service():
        made = await bench.create(name="t", prompts=questions(12), providers=["openai", "anthropic"])
        done = await bench.completed(made.id)
        assert (done.jobs_done, done.jobs_failed) == (24, 12)
        analysis = await bench.analysis(made.id)
    assert analysis.verdict.winner == made.arms[0].name
    arm = analysis.arms[1]
    assert (arm.failures, arm.failure_classes, arm.success.value) == (12, {"server_error": 12}, 0.0)
    requests = [len(await each.requests()) for each in bench.simulators.values()]
    assert requests == [12, 12]
    failed = [call for call in bench.recorder.calls if call.state is CallState.FAILED]
    assert {(call.provider, call.attempts[0].provider, call.status) for call in failed} == {
        (None, "anthropic", 500)
    }


async def test_a_provider_that_hangs_is_a_failure_after_the_tests_own_time_out(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    await bench.simulators["anthropic"].fault("slow_first_token", delay_s=30)
    async with bench.service():
        made = await bench.create(name="t", prompt="Why?", providers=["openai", "anthropic"], timeout_s=3)
        done = await bench.completed(made.id)
    assert done.jobs_failed == 1
    failed = next(each for each in bench.recorder.results.values() if each.provider == "anthropic")
    assert failed.error_class is not None
    assert failed.error_class.value.startswith("timeout_")
    assert failed.latency_ms == pytest.approx(3000, rel=0.5)  # longer than a claim, so it was renewed


async def test_a_cancelled_test_makes_no_more_calls(bench: Any) -> None:
    await bench.simulate("openai", "anthropic", latency=SLOW)
    async with bench.service(calls_at_once=4):
        made = await bench.create(name="t", prompts=questions(100), providers=["openai", "anthropic"])
        await bench.until(made.id, lambda test: test.jobs_done >= 4)
        one = ops.OneTest(workspace_id=1, test_id=made.id)
        cancelled = await bench.rpc.call(ops.CANCEL, one)
        assert (cancelled.status, cancelled.stop_reason) == ("cancelled", "cancelled by its owner")
        await queue_is_empty(bench)
        ended = await bench.get(made.id)
        assert 4 <= ended.jobs_done < 50
        assert await bench.requests() == ended.jobs_done
        analysis = await bench.analysis(made.id)
        assert analysis.verdict.kind == "stopped"
        assert (await bench.rpc.call(ops.CANCEL, one)).status == "cancelled"


async def test_the_cost_limit_is_not_overrun(bench: Any) -> None:
    """Answers are cut where the estimate expects it, so reserving by estimate keeps what is spent below the limit."""
    await bench.simulate("openai", "anthropic", latency=SLOW)
    fields = {"prompts": questions(20), "providers": ["openai", "anthropic"], "params": {"max_tokens": 10}}
    async with bench.service():
        free = await bench.create(name="free", **fields)
        spent = (await bench.completed(free.id)).actual_cost_usd
        with pytest.raises(RpcError, match="more than its max_cost_usd"):
            await bench.create(name="refused", max_cost_usd=free.estimated_cost_usd * 0.9, **fields)
        limited = await bench.create(name="limited", max_cost_usd=free.estimated_cost_usd, **fields)
        half = spent / 2
        change = "UPDATE ab_test SET max_cost_usd = :half WHERE id = :id RETURNING id"
        await query(bench.database, change, half=half, id=limited.id)
        await bench.until(limited.id, lambda test: test.status == "cancelled")
        await queue_is_empty(bench)
        ended = await bench.get(limited.id)
    assert ended.stop_reason.startswith("max_cost_usd of")
    assert 0 < ended.actual_cost_usd <= half
    assert 0 < ended.jobs_done < 40


async def test_concurrency_is_bounded_across_replicas(bench: Any) -> None:
    await bench.simulate("openai", "anthropic", latency=SLOW)
    await bench.process()
    async with bench.service():
        made = await bench.create(
            name="t", prompts=questions(8), providers=["openai", "anthropic"], max_concurrency=2
        )
        most = 0
        async with asyncio.timeout(60):
            while (await bench.get(made.id)).status == "running":
                rows = await query(
                    bench.database,
                    "SELECT count(*) AS n FROM ab_test_job WHERE done_at IS NULL AND claimed_until > now()",
                )
                most = max(most, rows[0]["n"])
                await asyncio.sleep(0.02)
    assert most == 2
    assert await bench.requests() == 16


async def test_workspaces_do_not_see_each_other(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    await query(bench.database, "INSERT INTO workspace (id, name) VALUES (2, 'other') RETURNING id")
    async with bench.service():
        mine = await bench.create(name="same name", prompt="Mine?", providers=["openai", "anthropic"])
        theirs = await bench.create(2, name="same name", prompt="Theirs?", providers=["openai", "anthropic"])
        await bench.completed(mine.id)
        for workspace_id, own, other in ((1, mine, theirs), (2, theirs, mine)):
            listed = await bench.rpc.call(ops.LIST, ops.ListTests(workspace_id=workspace_id))
            assert [test.id for test in listed.tests] == [own.id]
            foreign = ops.OneTest(workspace_id=workspace_id, test_id=other.id)
            rename = ops.RenameTest(**foreign.model_dump(), change=ops.RenameIn(name="x"))
            for operation, request in (
                (ops.GET, foreign),
                (ops.ANALYSIS, foreign),
                (ops.CANCEL, foreign),
                (ops.DELETE, foreign),
                (ops.RESULTS, ops.ResultsQuery(**foreign.model_dump())),
                (ops.RENAME, rename),
            ):
                with pytest.raises(RpcError) as refused:
                    await bench.rpc.call(operation, request)
                assert (refused.value.status, refused.value.code) == (404, "unknown_test")


async def test_tests_are_listed_renamed_and_deleted(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    async with bench.service():
        made = [
            await bench.create(name=f"t{i}", prompt="Why?", providers=["openai", "anthropic"])
            for i in range(3)
        ]
        for each in made:
            await bench.completed(each.id)
        page = await bench.rpc.call(ops.LIST, ops.ListTests(workspace_id=1, limit=2))
        assert [test.name for test in page.tests] == ["t2", "t1"]
        rest = await bench.rpc.call(ops.LIST, ops.ListTests(workspace_id=1, before=page.next_before))
        assert [test.name for test in rest.tests] == ["t0"]
        assert rest.next_before is None
        running = await bench.rpc.call(ops.LIST, ops.ListTests(workspace_id=1, status="running"))
        assert running.tests == []
        one = ops.OneTest(workspace_id=1, test_id=made[0].id)
        renamed = await bench.rpc.call(
            ops.RENAME, ops.RenameTest(**one.model_dump(), change=ops.RenameIn(name="better"))
        )
        assert renamed.name == "better"
        with pytest.raises(RpcError) as taken:
            await bench.rpc.call(
                ops.RENAME, ops.RenameTest(**one.model_dump(), change=ops.RenameIn(name="t1"))
            )
        assert taken.value.status == 409
        with pytest.raises(RpcError) as complete:
            await bench.rpc.call(ops.CANCEL, one)
        assert complete.value.status == 409
        await bench.rpc.call(ops.DELETE, one)
        with pytest.raises(RpcError) as gone:
            await bench.rpc.call(ops.GET, one)
        assert gone.value.status == 404


async def test_a_running_test_is_not_deleted_and_a_name_is_not_taken_twice(bench: Any) -> None:
    await bench.simulate("openai", "anthropic", latency='{"first_token": 20}')
    async with bench.service():
        fields = {"name": "t", "prompt": "Why?", "providers": ["openai", "anthropic"]}
        made = await bench.create(**fields)
        with pytest.raises(RpcError) as running:
            await bench.rpc.call(ops.DELETE, ops.OneTest(workspace_id=1, test_id=made.id))
        assert (running.value.status, running.value.code) == (409, "running")
        with pytest.raises(RpcError) as taken:
            await bench.create(**fields)
        assert (taken.value.status, taken.value.code) == (409, "name_taken")
        with pytest.raises(RpcError) as unknown:
            await bench.create(99, **fields)
        assert unknown.value.status == 409
        await bench.rpc.call(ops.CANCEL, ops.OneTest(workspace_id=1, test_id=made.id))
        for simulator in bench.simulators.values():
            simulator.kill()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"providers": ["openai", "openai"]}, "arms must differ"),
    ({"providers": ["openai", "nobody"]}, "neither a configured provider"),
    ({"params": {"temperature": "hot"}}, "params: 'temperature'"),
    ({"params": {"model": "x"}}, "params.model cannot be set"),
    ({"metric": "quality"}, "needs something to judge by"),
    (
        {"providers": ["openai", "anthropic/unheard-of"], "max_cost_usd": 1},
        "the price of anthropic/unheard-of is unknown",
    ),
]


async def test_bad_input_is_refused_and_leaves_nothing(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    async with bench.service():
        for fields, message in BAD:
            with pytest.raises(RpcError) as refused:
                await bench.create(
                    **{"name": "t", "prompt": "Why?", "providers": ["openai", "anthropic"], **fields}
                )
            assert (refused.value.status, refused.value.code) == (422, "invalid_test")
            assert message in refused.value.message
    assert await query(bench.database, "SELECT id FROM ab_test UNION ALL SELECT 1 FROM outbox") == []


async def test_the_service_says_when_comparison_is_away(bench: Any) -> None:
    """A test still runs; its results wait for comparison in their stream, and it is completed when comparison is back."""
    await bench.simulate("openai", "anthropic")
    await bench.recorder.go_away()
    async with bench.service():
        made = await bench.create(name="t", prompt="Why?", providers=["openai", "anthropic"])
        await bench.until(made.id, lambda test: test.jobs_done == 2)
        with pytest.raises(RpcError) as away:
            await bench.analysis(made.id)
        assert (away.value.status, away.value.code) == (503, "unavailable")
        assert (await bench.get(made.id)).status == "running"
        await bench.recorder.come_back()
        await bench.completed(made.id)


async def test_a_poisonous_job_becomes_a_dead_letter(bench: Any) -> None:
    await bench.simulate("openai", "anthropic")
    async with bench.service():
        await bench.client.jetstream().publish("abtest.jobs.1", b"not a job")
        await JetStreamPublisher(bench.client.jetstream()).publish(stranger())
        await queue_is_empty(bench)
        async with asyncio.timeout(20):
            while not (await bench.client.jetstream().stream_info("DLQ")).state.messages:
                await asyncio.sleep(0.05)
    assert (await bench.client.jetstream().stream_info("DLQ")).state.messages == 1
    assert await bench.requests() == 0


def stranger() -> RunTestJob:
    """A job of a test that does not exist."""
    return RunTestJob.model_validate(
        {
            "event_id": new_id(),
            "occurred_at": "2026-11-25T12:00:00Z",
            "test_id": 4711,
            "prompt_index": 0,
            "provider": "openai",
            "model": "gpt-5.4-mini",
            "messages": [{"role": "user", "content": "Why?"}],
        }
    )


async def test_a_test_costs_what_its_workspace_pays(bench: Any) -> None:
    await query(bench.database, "INSERT INTO workspace (id, name) VALUES (2, 'other') RETURNING id")
    await bench.simulate("openai", "google")
    catalog = Catalog(built_in(utc_now()), ("openai", "google"))
    paid = Pricing(input_usd_per_mtok=1e6, output_usd_per_mtok=1e6)
    own = [entry.model_copy(update={"pricing": paid}) for entry in catalog.entries.values()]
    publisher = SnapshotPublisher(bench.client, "catalog")
    await publisher.put("models", orjson.dumps(catalog.to_snapshot()))
    await publisher.put("workspace.2", orjson.dumps(own_snapshot(own)))
    fields = {"name": "t", "prompts": questions(1), "providers": ["openai", "google"]}
    async with bench.service():
        listed = await bench.create(**fields)

        async def dear() -> ops.Test | None:
            made: ops.Test = await bench.create(workspace_id=2, **fields | {"name": new_id()})
            return made if made.estimated_cost_usd > 100 * listed.estimated_cost_usd else None

        made = await bench.eventually(dear, 60)

        async def over() -> ops.Test | None:
            found: ops.Test = await bench.get(made.id, 2)
            return found if found.status == "completed" else None

        assert (await bench.eventually(over, 60)).actual_cost_usd > 1.0
        assert (await bench.completed(listed.id)).actual_cost_usd < 0.01
