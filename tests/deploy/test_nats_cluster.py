"""The three-node configuration on real servers: replicated, synced, and alive after the loss of any node."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.bus.permissions import inbox
from fairlead_common.bus.topology import STREAMS, TopologyError, apply
from nats.aio.client import Client
from nats.errors import Error as NatsError

from tests.deploy.nats import Node
from tests.support.waiting import until

NAMES = ("n1", "n2", "n3")


def routes(ports: Iterable[int], password: str = "pwroute") -> dict[str, str]:
    """The environment of a node that knows the others."""
    urls = [f"nats://route:{password}@127.0.0.1:{port}" for port in ports]
    return {"NATS_ROUTE_PASSWORD": password, "NATS_ROUTES": json.dumps(urls)}


@asynccontextmanager
async def running(folder: Path, *, advertise: bool = False) -> AsyncIterator[dict[str, Node]]:
    found = {name: Node("cluster.conf", folder, name) for name in NAMES}
    environment = routes(node.cluster for node in found.values())
    try:
        for node in found.values():
            node.environment |= environment
            node.advertise = advertise
            node.start()
        for node in found.values():
            await node.ready()
        yield found
    finally:
        for node in found.values():
            node.stop()


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[dict[str, Node]]:
    async with running(tmp_path) as found:
        yield found


async def join(nodes: dict[str, Node], user: str) -> Client:
    urls = ",".join(node.url(user) for node in nodes.values())
    return await connect(urls, user, inbox_prefix=inbox(user))


async def apply_topology(nodes: dict[str, Node]) -> None:
    """A cluster that has just been formed refuses until every node has joined."""
    client = await join(nodes, "setup")
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    await apply(client, replicas=3)
                except (TopologyError, NatsError):
                    await asyncio.sleep(0.1)
                else:
                    return
    finally:
        await client.close()


async def publish(client: Client, number: int) -> None:
    """As the edge's shipper does: again until it is acknowledged; the message id keeps it single."""
    async with asyncio.timeout(60):
        while True:
            try:
                headers = {"Nats-Msg-Id": f"frame-{number}"}
                await client.jetstream(timeout=1).publish("calls.completed.e1", b"{}", headers=headers)
            except (NatsError, OSError):
                await asyncio.sleep(0.1)
            else:
                return


async def test_a_cluster_survives_the_loss_of_a_streams_leader(nodes: dict[str, Node]) -> None:
    await apply_topology(nodes)
    edge = await join(nodes, "edge")
    health = await join(nodes, "health")
    ready = await health.jetstream().stream_info(STREAMS[-1].name)
    assert ready.config.num_replicas == 3
    for number in range(20):
        await publish(edge, number)

    info = await health.jetstream().consumer_info("CALLS", "health-calls")
    leader = info.cluster.leader if info.cluster else None
    assert leader in NAMES
    nodes[leader].stop()
    for number in range(20, 40):
        await publish(edge, number)

    frames = await health.jetstream(timeout=10).pull_subscribe_bind(durable="health-calls", stream="CALLS")
    seen: set[int] = set()
    async with asyncio.timeout(60):
        while len(seen) < 40:
            try:
                batch = await frames.fetch(40, timeout=2)
            except (NatsError, OSError):
                continue
            seen |= {message.metadata.sequence.stream for message in batch}
            for message in batch:
                await message.ack()
    assert seen == set(range(1, 41)), "every acknowledged frame, once"
    await edge.close()
    await health.close()


async def test_what_is_acknowledged_is_on_disk(nodes: dict[str, Node]) -> None:
    async with httpx.AsyncClient() as http:
        for node in nodes.values():
            found = (await http.get(f"http://127.0.0.1:{node.monitoring}/jsz")).json()
            assert found["config"]["sync_always"] is True


async def test_a_server_without_the_route_password_cannot_join(
    nodes: dict[str, Node], tmp_path: Path
) -> None:
    stranger = Node(
        "cluster.conf", tmp_path, "n4", routes((node.cluster for node in nodes.values()), "guessed")
    )
    stranger.start()
    first = nodes["n1"]
    try:
        await until(lambda: 'authentication error - User "route"' in first.log.read_text())
    finally:
        stranger.stop()
    async with httpx.AsyncClient() as http:
        found = (await http.get(f"http://127.0.0.1:{first.monitoring}/routez")).json()
    assert {route["remote_name"] for route in found["routes"]} == {"n2", "n3"}


async def test_a_client_keeps_its_user_on_servers_that_the_cluster_tells_it_of(tmp_path: Path) -> None:
    """Clusters of others do advertise; those addresses carry no user."""
    async with running(tmp_path, advertise=True) as nodes:
        client = await connect(nodes["n1"].url("ops"), "ops", inbox_prefix=inbox("ops"))
        await until(lambda: len(client.discovered_servers) >= 2)
        nodes["n1"].stop()
        await until(lambda: client.stats["reconnects"] == 1 and client.is_connected)
        assert not [line for node in nodes.values() for line in node.refused()]
        await client.close()
