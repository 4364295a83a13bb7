"""Nothing is lost and nothing doubled, whatever dies: workers, the bus, connections to the database, the queue itself."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from fairlead_common.bus.topology import ABTEST_JOBS, STREAMS, consumer_config, stream_config
from fairlead_common.db.database import Database
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.outcomes import ErrorClass
from nats.aio.client import Client
from sqlalchemy import text

SLOW = '{"first_token": 0.25, "between_tokens": 0, "whole": 0.25}'
ARMS = ["openai", "anthropic"]


async def hand_over_quickly(client: Client) -> None:
    """Redeliver after 3 s without a sign of life rather than 30."""
    durable = replace(ABTEST_JOBS, ack_wait_s=3.0)
    request = {"stream_name": durable.stream, "config": consumer_config(durable), "action": ""}
    subject = f"$JS.API.CONSUMER.CREATE.{durable.stream}.{durable.name}.{durable.filter_subject}"
    reply = json.loads((await client.request(subject, json.dumps(request).encode())).data)
    assert "error" not in reply


async def run_sql(database: Database, sql: str, **values: Any) -> list[Any]:
    async with database.transaction() as session:
        result = await (await session.connection()).execute(text(sql), values)
        return list(result.mappings()) if result.returns_rows else []


async def everything_once(bench: Any, jobs: int) -> None:
    """Each job has one result on the stream, one row at comparison, and one call."""
    results = [TestResultRecorded.model_validate_json(each) for each in await bench.stored("ABTEST_RESULTS")]
    assert len(results) == len({each.event_id for each in results}) == jobs
    frames = [CallsCompleted.model_validate_json(each) for each in await bench.stored("CALLS")]
    calls = [call.call_id for frame in frames for call in frame.calls]
    assert len(calls) == len(set(calls)) == jobs
    rows = await run_sql(
        bench.database, "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM ab_test_result"
    )
    assert (rows[0]["n"], rows[0]["ids"]) == (jobs, jobs)


def prompts(count: int) -> list[str]:
    return [f"Question {i}?" for i in range(count)]


async def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(bench: Any) -> None:
    await hand_over_quickly(bench.client)
    await bench.simulate(*ARMS, latency=SLOW)
    await bench.comparison()
    first = await bench.process(calls_at_once=4)
    made = await bench.create(name="t", prompts=prompts(20), providers=ARMS)
    await bench.until(made.id, lambda test: test.jobs_done >= 8)
    first.kill()
    await first.wait()
    await bench.process(calls_at_once=4)
    done = await bench.completed(made.id)
    assert (done.jobs_done, done.jobs_failed) == (40, 0)
    await everything_once(bench, 40)
    assert 40 <= await bench.requests() <= 44  # only the calls that died with the worker were made again


MOMENTS = {
    "writing": "SELECT 1 AS found FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    " AND application_name = 'fairlead-abtest' AND query LIKE 'INSERT INTO outbox%' UNION SELECT 1 FROM ab_test",
    "committed": "SELECT 1 AS found FROM ab_test WHERE name = 'committed'",
    "under way": "SELECT 1 AS found FROM ab_test t JOIN ab_test_job j ON j.ab_test_id = t.id"
    " WHERE t.name = 'under way' AND j.done_at IS NOT NULL",
}
"""When the kill comes: as soon as the query finds something."""


async def test_a_creation_that_is_killed_leaves_a_whole_test_or_none(bench: Any) -> None:
    await hand_over_quickly(bench.client)
    await bench.simulate(*ARMS)
    await bench.comparison()
    for name, found in MOMENTS.items():
        process = await bench.process()
        creating = asyncio.create_task(bench.create(name=name, prompts=prompts(40), providers=ARMS))
        async with asyncio.timeout(30):
            while not await run_sql(bench.database, found):
                await asyncio.sleep(0.001)
        process.kill()
        await process.wait()
        creating.cancel()
    await bench.process()
    tests = await run_sql(bench.database, "SELECT id, name, jobs FROM ab_test ORDER BY id")
    assert {"committed", "under way"} <= {each["name"] for each in tests}
    for each in tests:
        count = "SELECT count(*) AS n FROM ab_test_job WHERE ab_test_id = :id"
        assert (await run_sql(bench.database, count, id=each["id"]))[0]["n"] == each["jobs"] == 80
        await bench.completed(each["id"])
    await everything_once(bench, 80 * len(tests))


async def test_the_bus_is_killed_in_the_middle(bench: Any) -> None:
    await hand_over_quickly(bench.client)
    await bench.simulate(*ARMS, latency=SLOW)
    await bench.comparison()
    await bench.process(calls_at_once=4)
    made = await bench.create(name="t", prompts=prompts(15), providers=ARMS)
    await bench.until(made.id, lambda test: test.jobs_done >= 4)
    bench.nats.kill()
    await asyncio.to_thread(bench.nats.start)
    await bench.nats.ready()
    await bench.completed(made.id)
    await everything_once(bench, 30)


async def test_the_database_drops_every_connection_again_and_again(bench: Any) -> None:
    await hand_over_quickly(bench.client)
    await bench.simulate(*ARMS, latency=SLOW)
    await bench.comparison()
    await bench.process(calls_at_once=4)
    made = await bench.create(name="t", prompts=prompts(15), providers=ARMS)
    for milestone in (3, 8, 14, 20):
        await bench.until(made.id, lambda test, least=milestone: test.jobs_done >= least)
        await run_sql(
            bench.database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'fairlead-abtest'",
        )
    await bench.completed(made.id)
    await everything_once(bench, 30)


async def test_jobs_that_vanish_from_the_queue_are_sent_again(bench: Any) -> None:
    """The stream's memory of message ids is shortened to a second, or the resent jobs would be taken for copies."""
    jobs = next(stream for stream in STREAMS if stream.name == "ABTEST_JOBS")
    config = {**stream_config(jobs, 1), "duplicate_window": 1_000_000_000}
    await bench.client.request("$JS.API.STREAM.UPDATE.ABTEST_JOBS", json.dumps(config).encode())
    await bench.simulate(*ARMS, latency=SLOW)
    async with bench.service(resend_every_s=0.5):
        made = await bench.create(name="t", prompts=prompts(5), providers=ARMS, max_concurrency=1)
        await bench.until(made.id, lambda test: test.jobs_done >= 2)
        await bench.client.jetstream().purge_stream("ABTEST_JOBS")
        done = await bench.completed(made.id)
    assert (done.jobs_done, done.jobs_failed) == (10, 0)
    assert len(bench.recorder.published) == len(set(bench.recorder.published)) == 10


async def test_a_job_over_which_workers_died_again_and_again_is_given_up(bench: Any) -> None:
    await bench.simulate(*ARMS, latency=SLOW)
    async with bench.service():
        made = await bench.create(name="t", prompts=prompts(5), providers=ARMS, max_concurrency=1)
        deadly = "UPDATE ab_test_job SET claims = 5 WHERE prompt_index = 4 AND provider = 'openai' RETURNING event_id"
        event_id = (await run_sql(bench.database, deadly))[0]["event_id"]
        done = await bench.completed(made.id)
        analysis = await bench.analysis(made.id)
    assert (done.jobs_done, done.jobs_failed) == (10, 1)
    assert bench.recorder.results[event_id].error_class is ErrorClass.CALLER_GONE
    assert len(bench.recorder.calls) == 9
    assert [arm.failures for arm in analysis.arms] == [0, 0]
    assert any("given up" in note for note in analysis.notes)
