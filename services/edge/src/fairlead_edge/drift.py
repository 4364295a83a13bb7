"""Tells the bus of what is new on vendors' wires: once per process and kind, however long it takes, beside all requests."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.events.edge import WireDriftSeen
from fairlead_common.ids import stamp
from fairlead_models.drift import DriftLog
from nats.aio.client import Client
from nats.errors import Error as NatsError

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0


class DriftReporter:
    """What waits to be told is bounded by what ``log`` counts."""

    def __init__(self, log: DriftLog, source: str) -> None:
        self._log = log
        self._source = source
        self._waiting: list[WireDriftSeen] = []

    async def run(self, client: Client) -> None:
        """For ever."""
        publisher = JetStreamPublisher(client.jetstream())
        while True:
            self._take()
            try:
                while self._waiting:
                    await publisher.publish(self._waiting[0])
                    del self._waiting[0]
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("drift waits to be told: %s: %s", type(error).__name__, error)
            await asyncio.sleep(LOOK_S)

    def _take(self) -> None:
        for drift, at_unix_s in self._log.take_fresh():
            logger.warning("%s sent what its adapter does not know: %s", drift.provider, drift.kind)
            event = WireDriftSeen(
                **stamp(),
                source=self._source,
                provider=drift.provider,
                kind=drift.kind,
                first_seen_at=datetime.fromtimestamp(at_unix_s, UTC),
            )
            self._waiting.append(event)
