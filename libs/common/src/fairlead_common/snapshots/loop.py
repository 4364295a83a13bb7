"""Keeping snapshots equal to their source: one replica publishes, at once after a change, and every few seconds anyway."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError

from fairlead_common.bus.redelivery import is_away
from fairlead_common.leases import Held, Lease

logger = logging.getLogger(__name__)

EVERY_S: Final = 5.0
"""Looked at anew this often in any case, which bounds how long a lost poke can matter."""


class SnapshotLoop:
    """Calls ``publish`` while holding the lease of ``job``.

    Args:
        job: name of the lease, for example ``routing.tables``.
        publish: reads the source and puts what differs; may fail while something is away.
    """

    def __init__(
        self, job: str, owner: str, publish: Callable[[], Awaitable[None]], every_s: float = EVERY_S
    ) -> None:
        self._job = job
        self._owner = owner
        self._publish = publish
        self._every_s = every_s
        self._poked = asyncio.Event()

    @property
    def subject(self) -> str:
        """Core NATS subject by which replicas tell each other that something changed."""
        return f"rpc.{self._job}.changed"

    async def poke(self, client: Client) -> None:
        """Something changed: whoever holds the lease publishes now."""
        self._poked.set()
        with contextlib.suppress(NatsError, OSError):
            await client.publish(self.subject, b"")

    async def run(self, client: Client) -> None:
        """Compete for the job and do it, for ever."""
        await client.subscribe(self.subject, cb=self._hear)
        await Lease(client, self._job, self._owner).run(self._work)

    async def _hear(self, _: object) -> None:
        self._poked.set()

    async def _work(self, held: Held) -> None:
        while True:
            self._poked.clear()
            try:
                await self._publish()
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("%s: snapshots wait: %s: %s", held.job, type(error).__name__, error)
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("%s: snapshots wait for the database: %s", held.job, type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._poked.wait()
