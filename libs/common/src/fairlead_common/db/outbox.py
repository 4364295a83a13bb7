"""The transactional outbox: an event is written in the same transaction as the rows it tells of, and sent afterwards.

So an event goes out exactly when its rows were committed, also when the process dies between the two: the relay sends
what is left at the next start, and the message id makes a second sending harmless.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nats.errors import Error as NatsError
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from fairlead_common.bus.redelivery import is_away
from fairlead_common.db.database import Database
from fairlead_common.events.event import Event

logger = logging.getLogger(__name__)

Send = Callable[[str, bytes, dict[str, str]], Awaitable[None]]
"""Sends (subject, payload, headers) and returns when JetStream has acknowledged."""

BATCH = 256
IDLE_S = 1.0


async def put(session: AsyncSession, owner: str, event: Event) -> None:
    """Leave ``event`` to the relay of ``owner`` (the service's name), in the caller's transaction."""
    connection = await session.connection()
    await connection.execute(
        text(
            "INSERT INTO outbox (owner, subject, msg_id, payload) VALUES (:owner, :subject, :msg_id, :payload)"
        ),
        {
            "owner": owner,
            "subject": event.subject,
            "msg_id": event.msg_id,
            "payload": event.to_json().decode(),
        },
    )


class OutboxRelay:
    """Sends the outbox of one owner, oldest first. Several replicas share the work through row locks."""

    def __init__(self, database: Database, owner: str, send: Send) -> None:
        self._database = database
        self._owner = owner
        self._send = send
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was committed: look now rather than at the next tick."""
        self._wake.set()

    async def run(self) -> None:
        """For ever; losses of the database or the bus are waited out."""
        while True:
            try:
                sent = await self.send_batch()
            except (NatsError, OSError, TimeoutError) as error:
                await self._pause(error)
            except Exception as error:
                if not is_away(error):
                    raise
                await self._pause(error)
            else:
                if sent < BATCH:
                    await self._idle()

    async def send_batch(self) -> int:
        """Send up to ``BATCH`` events; how many were sent."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            rows = await connection.execute(
                text(
                    "SELECT id, subject, msg_id, payload FROM outbox WHERE owner = :owner"
                    " ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED"
                ),
                {"owner": self._owner, "batch": BATCH},
            )
            found = rows.all()
            for _, subject, msg_id, payload in found:
                await self._send(subject, payload.encode(), {"Nats-Msg-Id": msg_id})
            if found:
                await connection.execute(
                    text("DELETE FROM outbox WHERE id = ANY(:ids)"), {"ids": [row[0] for row in found]}
                )
        return len(found)

    async def _pause(self, error: Exception) -> None:
        logger.warning(
            "outbox of %s: %s: %s; again in %.0f s", self._owner, type(error).__name__, error, IDLE_S
        )
        await asyncio.sleep(IDLE_S)

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
