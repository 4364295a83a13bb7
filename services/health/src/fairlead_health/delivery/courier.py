"""Delivers alerts: from the stream into the queue in one transaction per alert, and from the queue to the notifiers.

At least once: what was sent when a process died before it could note so is sent again, under the same dedup key. Each
transition of an alert waits for the former one. What is given up becomes a dead letter.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.notifiers import AnyNotifier, Attempt
from faststream.nats import NatsMessage
from sqlalchemy import RowMapping

from fairlead_health.delivery.senders import Outcome, Sender
from fairlead_health.delivery.store import DeliveryStore
from fairlead_health.domain.notifiers import Notifiers, wants
from fairlead_health.metrics import DeliveryMetrics
from fairlead_health.notifiers import NotifierBook

logger = logging.getLogger(__name__)

AT_ONCE: Final = 8
LOOK_S: Final = 1.0
MAX_ATTEMPTS: Final = 12
"""With the delays below: given up after half an hour."""
MAX_DELAY_S: Final = 300.0


class Courier:
    """Any replica takes part."""

    def __init__(
        self,
        publisher: JetStreamPublisher,
        store: DeliveryStore,
        book: NotifierBook,
        sender: Sender,
        metrics: DeliveryMetrics,
    ) -> None:
        self._publisher = publisher
        self._store = store
        self._book = book
        self._sender = sender
        self._metrics = metrics
        self._due = asyncio.Event()

    async def on_alert(self, body: bytes, message: NatsMessage) -> None:
        """An alert was told on the bus: queue it for whom it concerns."""
        alert = AlertRaised.model_validate_json(body)
        names = [each.name for each in await self._book.notifiers() if wants(each, alert)]
        if names and await self._store.enqueue(alert, names):
            self._due.set()

    async def run(self) -> None:
        """Deliver what is due, for ever."""
        while True:
            try:
                claimed = await self._store.claim(AT_ONCE)
                notifiers = await self._book.notifiers() if claimed else ()
                await asyncio.gather(*(self._deliver(each, notifiers) for each in claimed))
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("deliveries wait: %s", type(error).__name__)
                claimed = []
            if not claimed:
                await self._pause()

    async def attempt(self, notifier: AnyNotifier, alert: AlertRaised) -> tuple[Outcome, Attempt]:
        """Send now, and say what became of it."""
        at, began = datetime.now(UTC), time.perf_counter()
        outcome = await self._sender.send(notifier, alert)
        return outcome, Attempt(
            at=at,
            ok=outcome.error is None,
            http_status=outcome.http_status,
            error=outcome.error,
            duration_ms=round((time.perf_counter() - began) * 1000, 2),
        )

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._due.wait()
        except TimeoutError:
            return
        self._due.clear()

    async def _deliver(self, claimed: RowMapping, notifiers: Notifiers) -> None:
        alert = AlertRaised.model_validate(claimed["payload"])
        notifier = next(
            (each for each in notifiers if each.name == claimed["notifier"] and each.enabled), None
        )
        if notifier is None:
            gone = "the notifier is gone or off"
            attempt = Attempt(at=datetime.now(UTC), ok=False, http_status=None, error=gone, duration_ms=0.0)
            await self._finish(claimed, attempt, "dead")
            return
        outcome, attempt = await self.attempt(notifier, alert)
        tried = claimed["tried"] + 1
        if outcome.error is None:
            await self._finish(claimed, attempt, "delivered")
        elif outcome.retryable and tried < MAX_ATTEMPTS:
            logger.warning("alert %s to %s: %s; again later", alert.alertname, notifier.name, outcome.error)
            due_at = datetime.now(UTC) + timedelta(seconds=delay_s(tried))
            await self._finish(claimed, attempt, "waiting", due_at)
        else:
            logger.error("alert %s to %s is given up: %s", alert.alertname, notifier.name, outcome.error)
            await self._dead_letter(alert, claimed["id"], outcome.error)
            await self._finish(claimed, attempt, "dead")

    async def _finish(
        self, claimed: RowMapping, attempt: Attempt, state: str, due_at: datetime | None = None
    ) -> None:
        self._metrics.attempts.labels(claimed["notifier"], state).inc()
        await self._store.finish(claimed, attempt, state, due_at)

    async def _dead_letter(self, alert: AlertRaised, delivery_id: int, error: str) -> None:
        headers = {
            "Nats-Msg-Id": f"dlq:delivery:{delivery_id}",
            "Fairlead-Error": error.replace("\r", " ").replace("\n", " ")[:500],
        }
        await self._publisher.send(f"dlq.{alert.subject}", alert.to_json(), headers)


def delay_s(tried: int) -> float:
    """Pause after so many attempts: 1 s, doubling, at most 5 minutes."""
    return float(min(2.0 ** (tried - 1), MAX_DELAY_S))
