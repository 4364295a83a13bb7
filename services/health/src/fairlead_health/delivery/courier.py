"""Delivers alerts: from the stream into groups, from due groups into the queue, and from there to the notifiers.

At least once: what was sent when a process died before it could note so is sent again, under the same dedup key. Each
notification of a group waits for the former one. What is given up becomes dead letters.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.notifiers import AnyNotifier, Attempt
from faststream.nats import NatsMessage
from sqlalchemy import RowMapping

from fairlead_health.delivery.groups import GroupStore
from fairlead_health.delivery.senders import Outcome, Sender
from fairlead_health.delivery.store import DeliveryStore, notification_of
from fairlead_health.domain.grouping import Group, Look, labels_of_group, look
from fairlead_health.domain.messages import Notification
from fairlead_health.domain.notifiers import wants
from fairlead_health.metrics import DeliveryMetrics
from fairlead_health.notifiers import NotifierBook

logger = logging.getLogger(__name__)

AT_ONCE: Final = 8
MAX_PAUSE_S: Final = 15.0
"""So late at most is noticed what another replica took from the bus and did not live to deliver."""
BUSY_S: Final = 1.0
"""While Postgres is away, or as many deliveries are made as can be."""
MAX_ATTEMPTS: Final = 12
"""With the delays below: given up after half an hour."""
MAX_DELAY_S: Final = 300.0


class Courier:
    """Any replica takes part."""

    def __init__(
        self,
        publisher: JetStreamPublisher,
        groups: GroupStore,
        store: DeliveryStore,
        book: NotifierBook,
        sender: Sender,
        metrics: DeliveryMetrics,
    ) -> None:
        self._publisher = publisher
        self._groups = groups
        self._store = store
        self._book = book
        self._sender = sender
        self._metrics = metrics
        self._news = asyncio.Event()
        self._in_flight = 0

    async def on_alert(self, body: bytes, message: NatsMessage) -> None:
        """An alert was told on the bus: note it for whom it concerns."""
        alert = AlertRaised.model_validate_json(body)
        wanting = {
            each.name: labels_of_group(each, alert)
            for each in await self._book.notifiers()
            if wants(each, alert)
        }
        if await self._groups.arrive(alert, wanting):
            self._news.set()

    async def regroup(self) -> None:
        """Other notifiers are in force: judge by them what waits."""
        await self._groups.look_again()
        self._news.set()

    async def run(self) -> None:
        """Deliver what is due, for ever. A receiver that hangs holds nobody else up, while fewer than ``AT_ONCE`` do."""
        async with asyncio.TaskGroup() as sending:
            while True:
                self._news.clear()
                try:
                    due_in_s = 0.0 if await self._work(sending) else await self._due_in_s()
                except Exception as error:
                    if not is_away(error):
                        raise
                    logger.warning("deliveries wait: %s", type(error).__name__)
                    due_in_s = BUSY_S
                await self._pause(due_in_s)

    async def attempt(self, notifier: AnyNotifier, told: Notification) -> tuple[Outcome, Attempt]:
        """Send now, and say what became of it."""
        at, began = datetime.now(UTC), time.perf_counter()
        outcome = await self._sender.send(notifier, told)
        return outcome, Attempt(
            at=at,
            ok=outcome.error is None,
            http_status=outcome.http_status,
            error=outcome.error,
            duration_ms=round((time.perf_counter() - began) * 1000, 2),
        )

    async def _work(self, sending: asyncio.TaskGroup) -> bool:
        """Judge a group and begin some deliveries, those that are due; whether there were any."""
        looked = await self._groups.look(self._judge)
        claimed = await self._store.claim(AT_ONCE - self._in_flight)
        notifiers = await self._in_use() if claimed else {}
        for each in claimed:
            self._in_flight += 1
            sending.create_task(self._sent(each, notifiers))
        return looked or bool(claimed)

    async def _due_in_s(self) -> float | None:
        """What is due while all hands are full waits for one of them."""
        due_in_s = await self._store.next_due_in_s()
        return BUSY_S if due_in_s is not None and self._in_flight == AT_ONCE else due_in_s

    async def _sent(self, claimed: RowMapping, notifiers: Mapping[str, AnyNotifier]) -> None:
        try:
            await self._deliver(claimed, notifiers)
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("a delivery is made again later: %s", type(error).__name__)
        finally:
            self._in_flight -= 1
            self._news.set()

    async def _judge(self, notifier: str, group: Group, now: float) -> Look:
        """By the notifiers as they are once the group is claimed: who changes them has it claimed again."""
        return look(group, (await self._in_use()).get(notifier), now)

    async def _in_use(self) -> dict[str, AnyNotifier]:
        return {each.name: each for each in await self._book.notifiers() if each.enabled}

    async def _pause(self, due_in_s: float | None) -> None:
        """Until something is due or there is news."""
        try:
            async with asyncio.timeout(pause_s(due_in_s)):
                await self._news.wait()
        except TimeoutError:
            return

    async def _deliver(self, claimed: RowMapping, notifiers: Mapping[str, AnyNotifier]) -> None:
        told = notification_of(claimed["payload"])
        notifier = notifiers.get(claimed["notifier"])
        if notifier is None:
            gone = "the notifier is gone or off"
            attempt = Attempt(at=datetime.now(UTC), ok=False, http_status=None, error=gone, duration_ms=0.0)
            await self._finish(claimed, attempt, "dead")
            return
        outcome, attempt = await self.attempt(notifier, told)
        tried = claimed["tried"] + 1
        if outcome.error is None:
            await self._finish(claimed, attempt, "delivered")
        elif outcome.retryable and tried < MAX_ATTEMPTS:
            logger.warning("alerts %s to %s: %s; again later", told.group_key, notifier.name, outcome.error)
            due_at = datetime.now(UTC) + timedelta(seconds=delay_s(tried))
            await self._finish(claimed, attempt, "waiting", due_at)
        else:
            logger.error("alerts %s to %s are given up: %s", told.group_key, notifier.name, outcome.error)
            await self._dead_letters(told, claimed["id"], outcome.error)
            await self._finish(claimed, attempt, "dead")

    async def _finish(
        self, claimed: RowMapping, attempt: Attempt, state: str, due_at: datetime | None = None
    ) -> None:
        self._metrics.attempts.labels(claimed["notifier"], state).inc()
        await self._store.finish(claimed, attempt, state, due_at)

    async def _dead_letters(self, told: Notification, delivery_id: int, error: str) -> None:
        said = error.replace("\r", " ").replace("\n", " ")[:500]
        for alert in told.alerts:
            letter_id = f"dlq:delivery:{delivery_id}:{alert.msg_id}"
            headers = {"Nats-Msg-Id": letter_id, "Fairlead-Error": said}
            await self._publisher.send(f"dlq.{alert.subject}", alert.to_json(), headers)


def pause_s(due_in_s: float | None) -> float:
    """How long to sleep when something is due in so many seconds; None = nothing waits."""
    return MAX_PAUSE_S if due_in_s is None else min(max(due_in_s, 0.0), MAX_PAUSE_S)


def delay_s(tried: int) -> float:
    """Pause after so many attempts: 1 s, doubling, at most 5 minutes."""
    return float(min(2.0 ** (tried - 1), MAX_DELAY_S))
