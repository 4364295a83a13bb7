"""Sends the journal's segments to the bus as ``calls.completed`` frames, oldest first, for as long as it takes."""

import asyncio
import logging
from typing import Final

import orjson
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.event import token
from fairlead_common.ids import utc_now
from nats.aio.client import Client
from nats.errors import Error as NatsError

from fairlead_edge.outcomes.journal import Frame, Journal

logger = logging.getLogger(__name__)

FRAME_S: Final = 0.05
"""How long calls gather in one frame while the bus keeps up."""
RETRY_S: Final = 0.5
TIMEOUT_S: Final = 5.0


class Shipper:
    """Moves outcomes from the journal to JetStream; ``run`` it with a connected client."""

    def __init__(self, journal: Journal, source: str) -> None:
        self._journal = journal
        self._source = source
        self._subject = f"{CallsCompleted.subject_prefix}.{token(source)}"
        self.frames_sent = 0

    async def run(self, client: Client) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(FRAME_S)
            if self._journal.open_calls and not self._journal.pending:
                self._journal.rotate()
            try:
                await self._send_all(client)
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("outcomes wait: %s: %s", type(error).__name__, error)
                await asyncio.sleep(RETRY_S)

    async def flush(self, client: Client, timeout_s: float) -> None:
        """Send everything that is there, or give up after ``timeout_s``: what is left goes out at the next start."""
        self._journal.rotate()
        try:
            async with asyncio.timeout(timeout_s):
                await self._send_all(client)
        except (NatsError, OSError, TimeoutError) as error:
            logger.warning("%d segments stay on disk: %s", self._journal.pending, type(error).__name__)

    async def _send_all(self, client: Client) -> None:
        jetstream = client.jetstream(timeout=TIMEOUT_S)
        while (frame := self._journal.oldest()) is not None:
            headers = {"Nats-Msg-Id": frame.event_id}
            await jetstream.publish(self._subject, self.event(frame), headers=headers)
            self._journal.sent(frame.event_id)
            self.frames_sent += 1

    def event(self, frame: Frame) -> bytes:
        """The event as JSON, made from the calls' JSON without parsing it."""
        head = orjson.dumps(
            {
                "event_id": frame.event_id,
                "occurred_at": utc_now(),
                "schema_version": 1,
                "source": self._source,
            }
        )
        return head[:-1] + b',"calls":[' + frame.calls + b"]}"
