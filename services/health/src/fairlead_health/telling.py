"""Telling what was decided: first on the bus for all who wait for it, then in the bucket, then in the database.

In this order, so that the stream always has everything: the database being away delays the record and never the news,
and what was not saved when a process died is read back from the stream by the next holder of the lease. A ``Teller``
lives for one term of the lease; what it has not told when the term ends was never decided.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher, event_headers
from fairlead_common.bus.reading import read_last, read_since
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished
from fairlead_common.leases import Lease
from fairlead_common.service import retrying
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from sqlalchemy import RowMapping

from fairlead_health.alert_store import AlertStore
from fairlead_health.memory import alerts_in, states_in
from fairlead_health.store import HealthStore

logger = logging.getLogger(__name__)

AGAIN_S: Final = 0.1
SAVE_AGAIN_S: Final = 1.0
SAVE_HEARTBEAT_S: Final = 15.0
"""States that have not changed are saved this often."""
SAVE_TOGETHER_S: Final = 5.0
"""They wait this long for each other; what has changed waits for nothing."""
PUT_HEARTBEAT_S: Final = 60.0
"""States of which nothing was seen are put into the bucket this often."""
OVERLAP: Final = timedelta(minutes=1)
"""By how much the clocks of bus and database may differ."""

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)

News = ProviderStatusPublished | AlertRaised


class Teller:
    """Tells in order, each thing until it is told."""

    def __init__(
        self,
        client: Client,
        publisher: JetStreamPublisher,
        store: HealthStore,
        alerts: AlertStore,
        lease: Lease,
    ) -> None:
        self._client = client
        self._publisher = publisher
        self._store = store
        self._alerts = alerts
        self._lease = lease
        self._states = SnapshotPublisher(client, "provider-status")
        self._active = SnapshotPublisher(client, "alerts-active")
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self._unsaved: dict[tuple[str, str | int], News] = {}
        self._kept_at: dict[str, float] = {}
        self._put: dict[str, tuple[ProviderStatus, float]] = {}
        """What was put into the bucket last, and when."""
        self._to_save = asyncio.Event()

    def tell(self, news: News) -> None:
        """Tell it after what was to be told before."""
        self._news.put_nowait(news)

    async def tidy(self, providers: tuple[str, ...], active: Mapping[str, AlertRaised]) -> None:
        """Make the buckets hold the states of these providers and these open alerts, by fingerprint, and no others."""
        for key in set(await self._states.keys()) - set(providers):
            await self._states.delete(key)
        for key in set(await self._active.keys()) - set(active):
            await self._active.delete(key)
        for key, alert in active.items():
            await self._active.put(key, alert)

    async def publish(self) -> None:
        """Put everything on the bus, for ever."""
        while True:
            news = await self._news.get()
            await self._insist("news", partial(self._publish, news), AGAIN_S)
            if self._is_to_be_saved(news):
                self._unsaved[_key(news)] = news  # where a later heartbeat takes the place of an earlier one
                if not _is_heartbeat(news):
                    self._to_save.set()

    def _is_to_be_saved(self, news: News) -> bool:
        """Heartbeats only now and then: the bus has them all."""
        if isinstance(news, AlertRaised):
            return True
        now, provider = time.monotonic(), news.state.provider
        if not news.changed and now - self._kept_at.get(provider, -math.inf) < SAVE_HEARTBEAT_S:
            return False
        self._kept_at[provider] = now
        return True

    async def save(self) -> None:
        """Put everything into the database, for ever: first what others have told and could not save."""
        await retrying("what was told before", self._catch_up)
        while True:
            await self._pause()
            while self._unsaved:
                await self._insist("records", self._save_some, SAVE_AGAIN_S)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAVE_TOGETHER_S):
                await self._to_save.wait()
        self._to_save.clear()

    async def _insist(self, what: str, attempt: Callable[[], Awaitable[None]], again_s: float) -> None:
        """Until it works; never while somebody else may hold the lease already."""
        while True:
            try:
                if self._lease.sure:
                    await attempt()
                    return
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("%s wait: %s: %s", what, type(error).__name__, error)
            await asyncio.sleep(again_s)

    async def _publish(self, news: News) -> None:
        if _is_heartbeat(news):  # nobody waits for it to be stored: the next one comes soon
            await self._client.publish(news.subject, news.to_json(), headers=event_headers(news))
        else:
            await self._publisher.publish(news)
        match news:
            case ProviderStatusPublished():
                await self._put_state(news.state)
            case AlertRaised() if news.ends_at is None:
                await self._active.put(news.fingerprint, news)
            case AlertRaised():
                await self._active.delete(news.fingerprint)

    async def _put_state(self, state: ProviderStatus) -> None:
        """Put a state into the bucket, unless time alone has changed its figures a little."""
        now, (known, put_at) = time.monotonic(), self._put.get(state.provider, (None, -math.inf))
        if _figureless(state) != known or now - put_at >= PUT_HEARTBEAT_S:
            await self._states.put(state.provider, state)
            self._put[state.provider] = (_figureless(state), now)

    async def _save_some(self) -> None:
        """Save the first that is unsaved of each provider together, or else an alert."""
        states: dict[str, ProviderStatusPublished] = {}
        for news in self._unsaved.values():
            if isinstance(news, ProviderStatusPublished):
                states.setdefault(news.state.provider, news)
        if states:
            await self._store.save_states([news.state for news in states.values()])
            saved: Iterable[News] = states.values()
        else:
            alert = next(news for news in self._unsaved.values() if isinstance(news, AlertRaised))
            await self._alerts.save_alert(alert)
            saved = (alert,)
        for each in saved:
            if self._unsaved[_key(each)] is each:
                del self._unsaved[_key(each)]

    async def _catch_up(self) -> None:
        """Save every change that the streams have and the database has not."""
        subject = f"{ProviderStatusPublished.subject_prefix}.>"
        saved = {row["provider"]: row for row in await self._store.states()}
        for event, _ in states_in(await read_last(self._client, "STATUS", subject)).values():
            row = saved.get(event.state.provider)
            if row is None or row["sequence"] < event.state.sequence:
                await self._save_missed_states(event.subject, row)
        known = {alert.fingerprint: alert.sequence for alert in await self._alerts.last_alerts()}
        last = alerts_in(await read_last(self._client, "ALERTS", f"{AlertRaised.subject_prefix}.>"))
        for alert in last.values():
            if alert.sequence > known.get(alert.fingerprint, 0):
                for message in await read_since(self._client, "ALERTS", alert.subject, LONG_AGO):
                    await self._alerts.save_alert(AlertRaised.model_validate_json(message.data))

    async def _save_missed_states(self, subject: str, row: RowMapping | None) -> None:
        since, sequence = (LONG_AGO, -1) if row is None else (row["since"] - OVERLAP, row["sequence"])
        for message in await read_since(self._client, "STATUS", subject, since):
            missed = ProviderStatusPublished.model_validate_json(message.data)
            if missed.state.sequence > sequence:  # also the first state ever, 0, which is no change
                await self._store.save_states([missed.state])
                sequence = missed.state.sequence


def _is_heartbeat(news: News) -> bool:
    return isinstance(news, ProviderStatusPublished) and not news.changed


def _figureless(state: ProviderStatus) -> ProviderStatus:
    """The state without the shares of the last day, which creep with time."""
    return state.model_copy(update={"uptime_percentage": None, "coverage_percentage": None})


def _key(news: News) -> tuple[str, str | int]:
    match news:
        case ProviderStatusPublished():
            return news.state.provider, news.state.sequence
        case AlertRaised():
            return news.fingerprint, news.alert_id
