"""Reading streams back on a real server."""

import asyncio
from datetime import UTC, datetime, timedelta

from fairlead_common.bus.reading import read_last, read_since
from nats.aio.client import Client

LONG_AGO = datetime.now(UTC) - timedelta(days=1)


async def test_the_last_of_each_subject(nats_client: Client) -> None:
    assert await read_last(nats_client, "STATUS", "provider.status.>") == []
    for i in range(300):
        await nats_client.jetstream().publish(f"provider.status.{i % 3}", str(i).encode())
    found = await read_last(nats_client, "STATUS", "provider.status.>")
    assert [message.data for message in found] == [b"297", b"298", b"299"]
    found = await read_last(nats_client, "STATUS", "provider.status.1")
    assert [message.subject for message in found] == ["provider.status.1"]


async def test_everything_since_a_time(nats_client: Client) -> None:
    assert await read_since(nats_client, "STATUS", "provider.status.>", LONG_AGO) == []
    for i in range(600):
        await nats_client.jetstream().publish(f"provider.status.{i % 2}", str(i).encode())
    found = await read_since(nats_client, "STATUS", "provider.status.1", LONG_AGO)
    assert [int(message.data) for message in found] == list(range(1, 600, 2))
    middle = found[100].metadata.timestamp
    assert await read_since(nats_client, "STATUS", "provider.status.1", middle + timedelta(days=1)) == []
    later = await read_since(nats_client, "STATUS", "provider.status.1", middle - timedelta(microseconds=5))
    assert [message.data for message in later] == [message.data for message in found[100:]]


async def test_what_is_deleted_while_it_is_read_is_not_waited_for(nats_client: Client) -> None:
    jetstream = nats_client.jetstream()
    for i in range(20):
        await jetstream.publish(f"provider.status.{i}", b"x")
        reading = asyncio.create_task(read_last(nats_client, "STATUS", "provider.status.>"))
        await jetstream.purge_stream("STATUS")
        assert len(await reading) <= 1
