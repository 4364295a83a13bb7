"""What operators set holds when they are answered: the holder of the lease is told of it, and says when it has read it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

logger = logging.getLogger(__name__)

SUBJECT: Final = "rpc.health.aggregator.changed"
HOLDS_WITHIN_S: Final = 1.0


async def settle(client: Client) -> None:
    """Wait until the holder of the lease has read what was just written; at most a second.

    Where nobody says so in time, the lease is moving or the database was lost again: it holds with the next reading.
    """
    try:
        await client.request(SUBJECT, b"", timeout=HOLDS_WITHIN_S)
    except (NatsError, OSError, TimeoutError) as error:
        logger.info("what was set holds with the next reading: %s", type(error).__name__)


class Changes:
    """Those who wait for the holder to read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[Msg] = []
        self._heard = asyncio.Event()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Hear of changes meanwhile."""
        subscription = await self._client.subscribe(SUBJECT, cb=self._hear)
        try:
            yield
        finally:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    async def _hear(self, message: Msg) -> None:
        self._waiting.append(message)
        self._heard.set()

    def take(self) -> list[Msg]:
        """Those who have written before now; to be called before reading."""
        taken, self._waiting = self._waiting, []
        self._heard.clear()
        return taken

    async def answer(self, taken: Iterable[Msg]) -> None:
        """What they wrote was read."""
        for message in taken:
            with contextlib.suppress(NatsError, OSError):
                await message.respond(b"")

    async def wait(self, at_most_s: float) -> None:
        """Until somebody has written."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._heard.wait()
