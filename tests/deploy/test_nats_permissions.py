"""The accounts on a real server: each user can do what its service does, and is refused what belongs to others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.bus.frames import FrameReader, Heard
from fairlead_common.bus.permissions import USERS, accounts, inbox
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.reading import read_last
from fairlead_common.bus.rpc import Empty, Operation, RpcClient, RpcUnavailable, answer
from fairlead_common.bus.subscribing import HANDLING
from fairlead_common.bus.topology import BUCKETS, DURABLES, apply
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.ids import stamp
from fairlead_common.leases import Held, Lease
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from faststream.nats import NatsBroker

from tests.deploy.nats import CONFIGURATION, Node, User
from tests.support.waiting import until

FACTS: dict[str, set[str]] = {
    "calls.completed.replica-1": {"edge", "health", "abtest", "failover"},
    "provider.status.openai": {"health"},
    "provider.performance.openai": {"comparison"},
    "failover.switched.1": {"failover"},
    "failover.recovered.1": {"failover"},
    "alerts.critical.openai.down": {"health", "failover"},
    "abtest.jobs.7": {"abtest"},
    "abtest.results.7": {"abtest"},
    "reports.published.daily": {"comparison"},
    "probes.due.openai": set(),
}
BUCKET_OWNERS: dict[str, set[str]] = {
    "access": {"edge"},
    "budgets": {"edge"},
    "catalog": {"edge"},
    "provider-status": {"health"},
    "alerts-active": {"health"},
    "alerting": {"health"},
    "failover": {"failover"},
    "routes": {"routing"},
    "quality": {"routing"},
    "predictor": {"routing"},
    "performance": {"comparison"},
    "spend": {"comparison"},
    "leases": set(),  # each service has keys of its own there
}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    found = Node("server.conf", tmp_path, "n1")
    found.start()
    try:
        await found.ready()
        client = await connect(found.url("setup"), "setup", inbox_prefix=inbox("setup"))
        await apply(client)
        await client.close()
        yield found
    finally:
        found.stop()


@asynccontextmanager
async def user(node: Node, name: str) -> AsyncIterator[User]:
    found = await User(name).connect(node)
    try:
        yield found
    finally:
        await found.client.close()


def test_the_committed_accounts_are_those_of_the_table() -> None:
    committed = (CONFIGURATION / "accounts.conf").read_text()
    assert committed.endswith(accounts()), (
        "run: python -m fairlead_common.bus.permissions > deploy/nats/accounts.conf"
    )


async def test_a_user_publishes_its_own_facts_only(node: Node) -> None:
    found: dict[str, set[str]] = {subject: set() for subject in FACTS}
    for name in USERS:
        async with user(node, name) as each:
            for subject in FACTS:
                if await each.may_publish(subject):
                    found[subject].add(name)
    assert found == FACTS


async def test_a_user_writes_its_own_buckets_only(node: Node) -> None:
    found: dict[str, set[str]] = {bucket.name: set() for bucket in BUCKETS}
    for name in USERS:
        async with user(node, name) as each:
            for bucket in found:
                if await each.may_publish(f"$KV.{bucket}.key"):
                    found[bucket].add(name)
    assert found == BUCKET_OWNERS


async def test_a_user_hears_no_foreign_answers(node: Node) -> None:
    for name in USERS:
        async with user(node, name) as each:
            assert await each.may_subscribe(f"{inbox(name)}.x")
            heard = [other for other in USERS if await each.may_subscribe(f"{inbox(other)}.y")]
            assert heard == [name]
            assert not await each.may_subscribe("_INBOX.>")
            assert not await each.may_subscribe(">")
            assert not await each.may_publish("_INBOX.edge.x")


async def test_only_setup_can_change_the_topology(node: Node) -> None:
    for name in USERS:
        async with user(node, name) as each:
            assert await each.may_publish("$JS.API.STREAM.UPDATE.CALLS") == (name == "setup")
            assert await each.may_publish("$JS.API.STREAM.CREATE.X") == (name == "setup")
            assert not await each.may_publish("$JS.API.STREAM.DELETE.CALLS")
            assert not await each.may_publish("$JS.API.STREAM.PURGE.CALLS")
            for durable in DURABLES:
                where = f"{durable.stream}.{durable.name}"
                creation = f"$JS.API.CONSUMER.CREATE.{where}.{durable.filter_subject}"
                assert await each.may_publish(creation) == (name == "setup")
                assert not await each.may_publish(f"$JS.API.CONSUMER.DELETE.{where}")


@pytest.mark.parametrize(
    ("publisher", "bucket", "follower"),
    [
        ("routing", "routes", "edge"),
        ("health", "provider-status", "failover"),
        ("failover", "failover", "dashboard"),
    ],
)
async def test_a_snapshot_travels(node: Node, publisher: str, bucket: str, follower: str) -> None:
    following = SnapshotFollower(bucket, bytes)
    async with user(node, publisher) as writes, user(node, follower) as reads:
        job = asyncio.create_task(following.follow(reads.client))
        await SnapshotPublisher(writes.client, bucket).put("key", b"value")
        await until(lambda: following.get("key") == b"value")
        job.cancel()
        assert await SnapshotPublisher(writes.client, bucket).read("key") == (1, b"value")
        assert [*writes.denied, *reads.denied] == []


async def test_keys_are_for_the_edge_alone(node: Node) -> None:
    for name in USERS:
        async with user(node, name) as each:
            allowed = await each.may_publish("$JS.API.DIRECT.GET.KV_access.$KV.access.keys")
            assert allowed == (name == "edge")


@pytest.mark.parametrize("name", ["edge", "health", "failover", "routing"])
async def test_a_service_holds_its_leases(node: Node, name: str) -> None:
    taken = asyncio.Event()

    async def work(held: Held) -> None:
        taken.set()
        await asyncio.Event().wait()

    async with user(node, name) as each:
        job = asyncio.create_task(Lease(each.client, f"{name}.job", "me").run(work))
        await asyncio.wait_for(taken.wait(), 10)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        assert not each.denied
        assert not await each.may_publish("$KV.leases.somebody.job")


async def test_an_operation_is_asked_and_answered(node: Node) -> None:
    operation = Operation("routing", "nothing", Empty, Empty)

    async def nothing(request: Empty) -> Empty:
        return request

    broker = NatsBroker(node.url("routing"), inbox_prefix=inbox("routing"), logger=None, **HANDLING)
    answer(broker, operation, nothing)
    await broker.start()
    try:
        async with user(node, "edge") as edge, user(node, "health") as health:
            await _ask(edge, operation)
            assert not edge.denied
            assert not await health.may_publish(operation.subject)
            assert not await edge.may_subscribe(operation.subject)
    finally:
        await broker.stop()
    assert not [line for line in node.violations() if '"routing"' in line]


async def _ask(edge: User, operation: Operation[Empty, Empty]) -> None:
    """Ask until the subscription is known to the server."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(RpcUnavailable):
                assert await RpcClient(edge.client).call(operation, Empty()) == Empty()
                return


async def test_a_durable_is_read_by_its_service_alone(node: Node) -> None:
    for name in USERS:
        async with user(node, name) as each:
            for durable in DURABLES:
                fetch = f"$JS.API.CONSUMER.MSG.NEXT.{durable.stream}.{durable.name}"
                assert await each.may_publish(fetch) == (name == durable.name.partition("-")[0])


async def test_a_recurring_schedule_fires_and_ends(node: Node) -> None:
    async with user(node, "health") as health:
        jetstream = health.client.jetstream()
        headers = {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "probes.due.openai"}
        await jetstream.publish("probes.schedule.openai", b"", headers=headers)
        ticks = await jetstream.pull_subscribe("probes.due.>", durable="health-probes", stream="PROBES")
        (tick,) = await ticks.fetch(1, timeout=10)
        await tick.ack_sync()
        await jetstream.purge_stream("PROBES", subject="probes.schedule.openai")
        assert not health.denied


@pytest.mark.parametrize("name", ["health", "failover"])
async def test_a_judge_reads_calls_back_without_taking_them_from_others(node: Node, name: str) -> None:
    heard: list[Heard] = []
    async with user(node, "edge") as edge, user(node, name) as judge:
        event = CallsCompleted(**stamp(), source="replica-1", calls=())
        await JetStreamPublisher(edge.client.jetstream()).publish(event)
        job = asyncio.create_task(FrameReader(heard.extend).follow(judge.client))
        await until(lambda: [each.frame.event_id for each in heard] == [event.event_id])
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        assert not judge.denied
        assert len(await read_last(judge.client, "STATUS", "provider.status.>")) == 0
        assert not judge.denied
        for verb in ("MSG.NEXT", "DELETE", "CREATE"):
            assert not await judge.may_publish(f"$JS.API.CONSUMER.{verb}.CALLS.comparison-calls")


async def test_people_hear_alerts_and_read_dead_letters(node: Node) -> None:
    async with user(node, "ops") as ops, user(node, "health") as health:
        alerts = await ops.client.subscribe("alerts.>")
        await ops.client.flush()
        await health.client.jetstream().publish("alerts.critical.openai.down", b"{}")
        await health.client.jetstream().publish("dlq.calls.completed.replica-1", b"lost")
        assert (await alerts.next_msg(timeout=30)).subject == "alerts.critical.openai.down"
        letters = await ops.client.jetstream().pull_subscribe("dlq.>", stream="DLQ")
        (letter,) = await letters.fetch(1, timeout=30)
        assert letter.data == b"lost"
        assert not ops.denied


@pytest.mark.parametrize("options", [b"{}", b'{"user":"edge","pass":"wrong"}', b'{"user":"edge","pass":""}'])
async def test_nobody_comes_in_without_a_password(node: Node, options: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    assert (await reader.readline()).startswith(b"INFO ")
    writer.write(b"CONNECT " + options + b"\r\nPING\r\n")
    assert b"Authorization Violation" in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()
