"""A whole service on a real bus and database: requests, events, redelivery, a killed server, an orderly stop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import PoisonMessage
from fairlead_common.bus.rpc import Operation, RpcClient, RpcError, RpcUnavailable, answer
from fairlead_common.bus.subscribing import consume, consume_batches
from fairlead_common.bus.topology import COMPARISON_CALLS, HEALTH_CALLS
from fairlead_common.db.database import Database
from fairlead_common.db.revision import REVISION, SchemaTooOld, check_revision
from fairlead_common.db.upgrade import head
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.ids import stamp
from fairlead_common.leases import Held, Lease
from fairlead_common.service import Runtime, run
from fairlead_common.settings import Settings
from fairlead_common.snapshots.publisher import SnapshotPublisher
from faststream.nats import NatsMessage
from nats.aio.client import Client
from pydantic import BaseModel, SecretStr

from tests.support.servers import NatsServer, free_port
from tests.support.waiting import until


class Question(BaseModel):
    number: int


class Answer(BaseModel):
    doubled: int


DOUBLE = Operation("toy", "double", Question, Answer, timeout_s=5)


@dataclass
class Toy:
    """A service that doubles numbers and remembers the frames it saw."""

    single: list[str] = field(default_factory=list)
    batched: list[str] = field(default_factory=list)
    fail_once: set[str] = field(default_factory=set)
    poison: set[str] = field(default_factory=set)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    lease_of: str | None = None

    async def wire(self, runtime: Runtime) -> None:
        answer(runtime.broker, DOUBLE, self.double)
        consume(runtime.broker, HEALTH_CALLS, self.on_frame)
        consume_batches(runtime.broker, COMPARISON_CALLS, self.on_batch)
        runtime.spawn(self.serve)
        if self.lease_of is not None:
            runtime.spawn(partial(Lease(runtime.client, self.lease_of, runtime.owner).run, self.hold))

    async def serve(self) -> None:
        self.up.set()
        await asyncio.Event().wait()

    async def hold(self, held: Held) -> None:
        await asyncio.Event().wait()

    async def double(self, question: Question) -> Answer:
        if question.number < 0:
            raise RpcError(409, "negative", "the number must not be negative")
        if question.number == 13:
            raise ZeroDivisionError
        return Answer(doubled=2 * question.number)

    async def on_frame(self, body: bytes, message: NatsMessage) -> None:
        frame = CallsCompleted.model_validate_json(body)
        if frame.source in self.poison:
            raise PoisonMessage("poisoned on purpose")
        if frame.source in self.fail_once:
            self.fail_once.discard(frame.source)
            raise RuntimeError("failed on purpose")
        self.single.append(frame.source)

    async def on_batch(self, bodies: list[bytes], message: NatsMessage) -> None:
        self.batched += [CallsCompleted.model_validate_json(body).source for body in bodies]


@asynccontextmanager
async def running(toy: Toy, nats_url: str, dsn: str) -> AsyncIterator[Settings]:
    settings = Settings(nats_url=SecretStr(nats_url), postgres_dsn=SecretStr(dsn), http_port=free_port())
    stop = asyncio.Event()
    task = asyncio.create_task(run("toy", settings, toy.wire, stop))
    try:
        up = asyncio.create_task(toy.up.wait())
        await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if task.done():
            task.result()
        yield settings
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


def frame(source: str) -> CallsCompleted:
    return CallsCompleted(**stamp(), source=source, calls=())


@pytest.fixture
def toy() -> Toy:
    return Toy()


async def test_a_service_that_needs_newer_tables_waits_for_them_and_says_so(
    toy: Toy, nats_url: str, postgres_dsn: str
) -> None:
    database = Database(postgres_dsn)
    await database.fetch("UPDATE alembic_version SET version_num = '0001'")
    settings = Settings(
        nats_url=SecretStr(nats_url), postgres_dsn=SecretStr(postgres_dsn), http_port=free_port()
    )
    stop = asyncio.Event()
    task = asyncio.create_task(run("toy", settings, toy.wire, stop))
    reason = f"the database has revision 0001, and {REVISION} is needed; run the setup step"
    said = ""
    async with asyncio.timeout(30), httpx.AsyncClient() as http:
        while reason not in said:
            with contextlib.suppress(httpx.TransportError):  # it is not there yet
                said = (await http.get(f"http://127.0.0.1:{settings.http_port}/readyz")).text
    assert not toy.up.is_set()
    await database.fetch("UPDATE alembic_version SET version_num = :now", now=REVISION)
    await asyncio.wait_for(toy.up.wait(), 30)
    stop.set()
    await asyncio.wait_for(task, 30)
    await database.close()


async def test_tables_that_are_newer_or_cannot_be_asked_for_are_not_waited_for(postgres_dsn: str) -> None:
    database = Database(postgres_dsn)
    await database.fetch("UPDATE alembic_version SET version_num = '9999'")
    await check_revision(database)
    await database.fetch("DROP TABLE alembic_version")
    with pytest.raises(SchemaTooOld, match="the database has no tables of ours"):
        await check_revision(database)
    await database.close()
    nobody = Database(f"postgresql://x:y@127.0.0.1:{free_port()}/z")
    await check_revision(nobody)
    await nobody.close()


def test_the_newest_revision_is_the_one_that_setup_upgrades_to() -> None:
    assert head() == REVISION


async def test_requests_are_answered_refused_and_survive_bugs(
    toy: Toy, nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    rpc = RpcClient(nats_client)
    with pytest.raises(RpcUnavailable, match="toy"):
        await rpc.call(DOUBLE, Question(number=1))
    async with running(toy, nats_url, postgres_dsn):
        assert (await rpc.call(DOUBLE, Question(number=21))).doubled == 42
        with pytest.raises(RpcError, match="must not be negative") as refused:
            await rpc.call(DOUBLE, Question(number=-1))
        assert (refused.value.status, refused.value.code) == (409, "negative")
        with pytest.raises(RpcError) as bug:
            await rpc.call(DOUBLE, Question(number=13))
        assert bug.value.status == 500
        reply = await nats_client.request(DOUBLE.subject, b'{"number": "x"}')
        assert b'"status":422' in reply.data
        assert b"number" in reply.data


async def test_readiness_tells_what_is_missing(toy: Toy, nats_server: NatsServer, postgres_dsn: str) -> None:
    async with running(toy, nats_server.url, postgres_dsn) as settings, httpx.AsyncClient() as http:
        base = f"http://127.0.0.1:{settings.http_port}"

        async def ready() -> httpx.Response:
            return await http.get(f"{base}/readyz")

        found = await ready()
        assert found.json() == {"ready": True, "checks": {"bus": "ok", "database": "ok"}}
        assert (await http.get(f"{base}/livez")).status_code == 200
        assert "python_gc_objects" in (await http.get(f"{base}/metrics")).text
        nats_server.kill()
        found = await ready()
        assert found.status_code == 503
        assert found.json()["checks"]["bus"] != "ok"
        assert (await http.get(f"{base}/livez")).status_code == 200
        nats_server.start()
        await nats_server.ready()
        async with asyncio.timeout(30):
            while (await ready()).status_code != 200:
                await asyncio.sleep(0.05)


async def test_a_failing_handler_gets_the_message_again(
    toy: Toy, nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    toy.fail_once.add("shaky")
    publisher = JetStreamPublisher(nats_client.jetstream())
    async with running(toy, nats_url, postgres_dsn):
        await publisher.publish(frame("shaky"))
        await until(lambda: toy.single == ["shaky"])
        await until(lambda: toy.batched == ["shaky"])


async def test_poison_becomes_a_dead_letter_and_blocks_nobody(
    toy: Toy, nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    toy.poison.add("bad")
    publisher = JetStreamPublisher(nats_client.jetstream())
    async with running(toy, nats_url, postgres_dsn):
        await publisher.publish(frame("bad"))
        await publisher.publish(frame("good"))
        await until(lambda: toy.single == ["good"])
        letter = await _last(nats_client, "DLQ", "dlq.calls.completed.bad")
        assert letter["Fairlead-Error"] == "PoisonMessage: poisoned on purpose"
        assert letter["Fairlead-Deliveries"] == "1"


async def _last(client: Client, stream: str, subject: str) -> dict[str, str]:
    async with asyncio.timeout(20):
        while True:
            try:
                found = await client.jetstream().get_last_msg(stream, subject)
            except Exception:  # noqa: BLE001 - not there yet
                await asyncio.sleep(0.02)
                continue
            return dict(found.headers or {})


async def test_subscribers_go_on_after_the_server_was_killed(
    toy: Toy, nats_server: NatsServer, postgres_dsn: str
) -> None:
    async with running(toy, nats_server.url, postgres_dsn):
        nats_server.kill()
        nats_server.start()
        await nats_server.ready()
        client = await connect(nats_server.url, "publisher")
        await JetStreamPublisher(client.jetstream()).publish(frame("after"))
        await until(lambda: toy.single == ["after"] and toy.batched == ["after"])
        rpc = RpcClient(client)
        assert (await rpc.call(DOUBLE, Question(number=2))).doubled == 4
        await client.close()


async def test_a_service_that_stops_gives_its_leases_back_at_once(
    toy: Toy, nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    toy.lease_of = "toy.job"
    leases = SnapshotPublisher(nats_client, "leases")
    async with running(toy, nats_url, postgres_dsn):
        async with asyncio.timeout(20):
            while await leases.read("toy.job") is None:
                await asyncio.sleep(0.02)
    found = await leases.read("toy.job")
    assert found is not None
    assert found[1] == b""


async def test_the_same_event_twice_is_stored_once(nats_client: Client) -> None:
    publisher, event = JetStreamPublisher(nats_client.jetstream()), frame("twice")
    await publisher.publish(event)
    await publisher.publish(event)
    assert (await nats_client.jetstream().stream_info("CALLS")).state.messages == 1
