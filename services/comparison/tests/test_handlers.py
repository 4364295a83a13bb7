"""Frames and results on a real bus and database: once each, whatever is delivered again, broken, or away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fairlead_common.bus.connection import CONNECT_OPTIONS
from fairlead_common.bus.redelivery import RedeliveryPolicy
from fairlead_common.bus.rpc import RpcClient
from fairlead_common.bus.subscribing import HANDLING, BatchHandler, consume_batches
from fairlead_common.bus.topology import COMPARISON_CALLS
from fairlead_common.db.database import Database
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.events.event import Event
from fairlead_common.ids import new_id, stamp, utc_now
from fairlead_common.operations import ab_results
from fairlead_common.outcomes import ErrorClass
from fairlead_comparison.handlers import CallHandler
from fairlead_comparison.metrics import ComparisonMetrics
from fairlead_comparison.store.observations import ObservationStore
from fairlead_comparison.store.sums import ALL_IN_ONE, SumStore, Window
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from services.comparison.tests.running import all_written, running, written
from services.comparison.tests.traffic import call, days_ago, failed, frame
from tests.support.postgres_proxy import postgres_proxy
from tests.support.waiting import until


async def send(client: Client, event: Event | bytes, subject: str | None = None) -> None:
    """Publish as if for the first time: without the message id by which JetStream knows a repetition."""
    data = event if isinstance(event, bytes) else event.to_json()
    to = subject or (event.subject if isinstance(event, Event) else "calls.completed.edge-1")
    await client.jetstream().publish(to, data)


@asynccontextmanager
async def dead_letters(client: Client) -> AsyncIterator[list[Msg]]:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    subscription = await client.subscribe("dlq.>", cb=hear)
    yield heard
    await subscription.unsubscribe()


async def attempts_counted(database: Database) -> int:
    window = Window(days_ago(40), utc_now() + timedelta(days=2))
    return sum(part.sums.attempts for part in await SumStore(database).parts(window, ALL_IN_ONE))


async def test_frames_that_come_again_count_once(
    nats_url: str, postgres_dsn: str, nats_client: Client, database: Database
) -> None:
    one, other = frame(*(call() for _ in range(10))), frame(*(call() for _ in range(10)))
    overlap = frame(*one.calls[5:], *other.calls[:5], call())
    async with running(nats_url, postgres_dsn):
        for event in (one, other, one, overlap, other, one):
            await send(nats_client, event)
        last = frame(call())
        await send(nats_client, last)
        await all_written(postgres_dsn, 22)
        await until_acknowledged(nats_client)
    assert await written(postgres_dsn) == 22
    assert await attempts_counted(database) == 22


async def until_acknowledged(client: Client) -> None:
    async with asyncio.timeout(30):
        while True:
            info = await client.jetstream().consumer_info("CALLS", COMPARISON_CALLS.name)
            if not info.num_pending and not info.num_ack_pending:
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def consuming(nats_url: str, handler: BatchHandler) -> AsyncIterator[None]:
    broker = NatsBroker(nats_url, logger=None, middlewares=(RedeliveryPolicy,), **HANDLING, **CONNECT_OPTIONS)
    consume_batches(broker, COMPARISON_CALLS, handler, size=3, wait_s=0.1)
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


async def test_a_process_that_dies_between_commit_and_acknowledgement_loses_and_doubles_nothing(
    nats_url: str, postgres_dsn: str, nats_client: Client, database: Database
) -> None:
    handler = CallHandler(
        ObservationStore(database), ComparisonMetrics(CollectorRegistry()), timedelta(days=30), utc_now
    )
    deliveries: list[int] = []

    async def die_once(bodies: list[bytes], message: NatsMessage) -> None:
        await handler.on_frames(bodies, message)
        deliveries.append(len(bodies))
        if len(deliveries) <= 2:
            raise ConnectionError("gone before the acknowledgement")

    for _ in range(7):
        await send(nats_client, frame(call(), call(failed())))
    async with consuming(nats_url, die_once):
        await until(lambda: sum(deliveries) >= 7 and len(deliveries) > 2)
        await until_acknowledged(nats_client)
    assert sum(deliveries) > 7
    assert await written(postgres_dsn) == 14
    assert await attempts_counted(database) == 14


async def test_poison_beside_good_frames_goes_to_the_dead_letters_alone(
    nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    good = [frame(call(), call()) for _ in range(4)]
    broken = frame(call(), call()).to_json()[:-20]
    unknown = frame(call()).to_json().replace(b'"state":"ok"', b'"state":"splendid"')
    partly = frame(call(), call(call_id="no uuid"), call(at=days_ago(31)))
    async with dead_letters(nats_client) as letters:
        for data in (good[0], broken, good[1], unknown, b"", good[2], partly, good[3]):
            await send(nats_client, data, "calls.completed.edge-1")
        async with running(nats_url, postgres_dsn):
            await all_written(postgres_dsn, 9)
            await until(lambda: len(letters) == 4)
            await until_acknowledged(nats_client)
            await send(nats_client, frame(call()))
            await all_written(postgres_dsn, 10)
    reasons = [(each.headers or {})["Fairlead-Error"] for each in letters]
    assert [each.data for each in letters] == [broken, unknown, b"", partly.to_json()]
    assert "state" in reasons[1]
    assert "call no uuid: call_id is not a UUID" in reasons[3]
    assert "older than what is kept" in reasons[3]
    assert {each.subject for each in letters} == {"dlq.calls.completed.edge-1"}


async def test_what_only_postgres_refuses_takes_nobody_along(
    nats_url: str, postgres_dsn: str, nats_client: Client, database: Database
) -> None:
    async with database.copying() as connection:
        await connection.execute("ALTER TABLE call_observation ADD CHECK (requested_model <> 'refused')")
    events = [frame(call()), frame(call(), call(requested_model="refused")), frame(call())]
    async with dead_letters(nats_client) as letters:
        for event in events:
            await send(nats_client, event)
        async with running(nats_url, postgres_dsn):
            await all_written(postgres_dsn, 2)
            await until(lambda: len(letters) == 1)
            await until_acknowledged(nats_client)
    assert letters[0].data == events[1].to_json()
    assert await written(postgres_dsn) == 2


async def test_frames_wait_while_postgres_is_away(
    nats_url: str, postgres_dsn: str, nats_client: Client, database: Database
) -> None:
    async with (
        postgres_proxy(postgres_dsn) as proxy,
        dead_letters(nats_client) as letters,
        running(nats_url, proxy.dsn),
    ):
        await send(nats_client, frame(call()))
        await all_written(postgres_dsn, 1)
        await proxy.cut()
        for _ in range(5):
            await send(nats_client, frame(call(), call()))
        async with asyncio.timeout(30):
            while (
                await nats_client.jetstream().consumer_info("CALLS", COMPARISON_CALLS.name)
            ).num_redelivered == 0:
                await asyncio.sleep(0.05)
        await proxy.mend()
        await all_written(postgres_dsn, 11)
        await until_acknowledged(nats_client)
        assert not letters
    assert await written(postgres_dsn) == 11
    assert await attempts_counted(database) == 11


async def test_results_of_tests_are_kept_once_and_given_out(
    nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    answered = TestResultRecorded(
        **stamp(),
        test_id=5,
        prompt_index=1,
        provider="openai",
        model="gpt-5.4-mini",
        response="with a \0 in it",
        latency_ms=400.0,
        cost_usd=0.25,
        quality_score=0.75,
        scores={"reference_match.v1": 0.75},
    )
    refused = answered.model_copy(
        update={
            "event_id": new_id(),
            "prompt_index": 0,
            "response": None,
            "error_class": ErrorClass.OVERLOADED,
            "quality_score": None,
        }
    )
    elsewhere = answered.model_copy(update={"event_id": new_id(), "test_id": 6})
    async with running(nats_url, postgres_dsn):
        for event in (answered, refused, answered, elsewhere, answered):
            await send(nats_client, event)
        rpc = RpcClient(nats_client)
        async with asyncio.timeout(30):
            while not (await rpc.call(ab_results.RESULTS, ab_results.OfTest(test_id=6))).results:
                await asyncio.sleep(0.02)
        found = (await rpc.call(ab_results.RESULTS, ab_results.OfTest(test_id=5))).results
    assert [(each.prompt_index, each.error_class, each.quality_score) for each in found] == [
        (0, "overloaded", None),
        (1, None, 0.75),
    ]
    assert (found[1].response, found[1].cost, found[1].scores) == (
        "with a \ufffd in it",
        0.25,
        {"reference_match.v1": 0.75},
    )


async def test_the_handler_counts_what_it_did(database: Database, nats_url: str, nats_client: Client) -> None:
    registry = CollectorRegistry()
    handler = CallHandler(
        ObservationStore(database), ComparisonMetrics(registry), timedelta(days=30), utc_now
    )
    same = call(failed(), failed("mistral"))
    for event in (frame(same, call()), frame(same)):
        await send(nats_client, event)
    await send(nats_client, b"{}")

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"fairlead_comparison_{name}")

    async with consuming(nats_url, handler.on_frames):
        await until(lambda: value("dead_letters_total") == 1 and value("calls_total") == 2)
        await until_acknowledged(nats_client)
    assert (value("attempts_total"), value("repeated_calls_total")) == (3, 1)
    lag = value("lag_seconds")
    assert lag is not None
    assert 0 <= lag < 120


async def test_an_empty_frame_is_nothing(nats_url: str, postgres_dsn: str, nats_client: Client) -> None:
    async with running(nats_url, postgres_dsn):
        await send(nats_client, frame())
        await until_acknowledged(nats_client)
    assert await written(postgres_dsn) == 0
