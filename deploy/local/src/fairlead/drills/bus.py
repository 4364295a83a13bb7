"""What Fairlead says on its bus during a drill: status, alerts, switches, and the gates that every edge is sent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from fairlead_common.bus.connection import connect
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

GATES = "$KV.failover.fleet"
SUBJECTS = ("provider.status.>", "alerts.>", "failover.switched.>", "failover.recovered.>", GATES)


@dataclass(frozen=True)
class Heard:
    """One message: when it arrived here (Unix seconds), and what it says."""

    at: float
    subject: str
    body: dict[str, Any]


@dataclass
class Listener:
    """Everything that was heard, in the order of arrival."""

    heard: list[Heard] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, message: Msg) -> None:
        """NATS: a message arrived."""
        if message.data:
            self.heard.append(Heard(time.time(), message.subject, orjson.loads(message.data)))
            self._news.set()

    async def next(self) -> None:
        """Wait until something more is heard."""
        self._news.clear()
        await self._news.wait()


async def _expected(_: Exception) -> None:
    """The bus is among the things that drills break."""


@asynccontextmanager
async def listening(nats_url: str) -> AsyncIterator[Listener]:
    """Hears for as long as the block lasts; it joins again by itself when the bus was away, and misses what came meanwhile.

    Raises:
        OSError, nats.errors.Error: the bus is not there at the beginning.
    """
    client = await connect(nats_url, "fairlead-drill", error_cb=_expected)
    listener = Listener()
    for subject in SUBJECTS:
        await client.subscribe(subject, cb=listener.hear)
    await client.flush()
    try:
        yield listener
    finally:
        with suppress(NatsError, OSError):
            await client.close()
