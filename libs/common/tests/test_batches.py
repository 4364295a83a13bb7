"""Batches on a real server: whatever trickles in is handed on at once, and nothing is forgotten until it times out."""

import asyncio

from fairlead_common.bus.subscribing import HANDLING, consume_batches
from fairlead_common.bus.topology import COMPARISON_CALLS
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client

from tests.support.waiting import until


async def test_messages_that_trickle_in_all_arrive(nats_url: str, nats_client: Client) -> None:
    seen: list[int] = []

    async def note(bodies: list[bytes], message: NatsMessage) -> None:
        seen.extend(int(body) for body in bodies)

    broker = NatsBroker(nats_url, logger=None, **HANDLING)
    consume_batches(broker, COMPARISON_CALLS, note, wait_s=0.05)
    await broker.start()
    try:
        for number in range(100):
            await nats_client.jetstream().publish("calls.completed.edge", str(number).encode())
            await asyncio.sleep(0.03)
        await until(lambda: len(seen) >= 100)  # one that was forgotten would come again after 60 s
    finally:
        await broker.stop()
    assert sorted(seen) == list(range(100))
