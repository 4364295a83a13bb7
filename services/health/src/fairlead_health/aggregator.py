"""The judge: every replica hears every call and probe and counts; one at a time decides states and alerts and tells.

A replica that stands by has counted all that the holder of the lease has, so it goes on from there. At a take-over the
states and alerts that were told last are read back, so nothing changes by itself, is told twice, or is forgotten.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from fairlead_common.bus.frames import FrameReader, Heard
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised, AlertStatus
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished, Status
from fairlead_common.ids import new_id, stamp
from fairlead_common.leases import Held, Lease
from fairlead_common.service import retrying
from fairlead_models.providers import ProviderSpec
from fairlead_models.transport.protocol import Transport
from nats.aio.client import Client
from nats.errors import Error as NatsError

from fairlead_health.actions import Actions
from fairlead_health.alert_store import AlertStore
from fairlead_health.changes import Changes
from fairlead_health.domain.alerts import AlertRecord
from fairlead_health.domain.pace import UNWELL, Pace, doubtful, interval_s
from fairlead_health.domain.raising import Surroundings, abandoned, alerted, orphaned
from fairlead_health.domain.status import (
    MaintenanceSet,
    Observation,
    PageRead,
    Record,
    Tick,
    Unwatched,
)
from fairlead_health.domain.status_page import Page
from fairlead_health.domain.watch import Watch, is_calm, observed, state_of
from fairlead_health.figures import Measurements
from fairlead_health.memory import Memory, recall
from fairlead_health.operator_settings import OperatorSettings
from fairlead_health.past import Past
from fairlead_health.plans import Plans
from fairlead_health.probes import Prober
from fairlead_health.rules import built_in
from fairlead_health.schedules import Schedules
from fairlead_health.settings import HealthSettings
from fairlead_health.status_pages import StatusPages
from fairlead_health.store import HealthStore
from fairlead_health.tally import Tally
from fairlead_health.telling import Teller
from fairlead_health.windows import WindowStore

logger = logging.getLogger(__name__)

JOB: Final = "health.aggregator"
TICK_S: Final = 0.5
LOOK_S: Final = 2.0
"""What operators have set is read this often, and at once when they say so: its beginning and end may come with time."""
MEASURE_S: Final = 10.0
"""Figures of longer windows are read this often; then those are judged too who are well and of whom nothing was heard."""
CATCH_UP_S: Final = 2.0
"""At most this long a new holder waits until it has heard what there was to hear."""


class Aggregator:
    """What this process knows of all providers; only the holder of the lease decides and tells."""

    def __init__(
        self,
        client: Client,
        store: HealthStore,
        alerts: AlertStore,
        windows: WindowStore,
        figures: Measurements,
        publisher: JetStreamPublisher,
        prober: Prober,
        specs: Sequence[ProviderSpec],
        transport: Transport,
        settings: HealthSettings,
        owner: str,
    ) -> None:
        self._client = client
        self._store = store
        self._alerts = alerts
        self._figures = figures
        self._publisher = publisher
        self._prober = prober
        self._providers = tuple(spec.name for spec in specs)
        urls = {spec.name: spec.status_page for spec in specs if spec.status_page is not None}
        self._pages = StatusPages(transport, urls, settings.status_page_interval_s, self._read_page)
        self._settings = settings
        self._rules = settings.status
        self._lease = Lease(client, JOB, owner)
        self._schedules = Schedules(client)
        self._frames = FrameReader(self._hear, self._rules.window_s)
        now = time.time()
        since = now - self._rules.window_s  # what was heard from then on counts
        self._watches = {
            spec.name: Watch(Record(spec.name, since=since), region=spec.region) for spec in specs
        }
        self._tally = Tally(self._watches, prober, self._rules)
        self._past = Past(store, windows, self._watches, datetime.fromtimestamp(since, UTC))
        self._changes = Changes(client)
        self._set = OperatorSettings(client, store, alerts, settings.probe_interval_s)
        dashboard = str(settings.dashboard_url) if settings.dashboard_url is not None else None
        self._actions = Actions(client)
        self._plans = Plans()
        self._around = Surroundings(
            pages=frozenset(rule.name for rule in built_in()),
            watched_from=now,
            runbooks_url=settings.runbooks_url,
            dashboard_url=dashboard,
            actions=self._actions.latest,
        )
        self._open: dict[str, AlertRaised] = {}
        self._teller: Teller | None = None
        self._judging = False
        self._told_at: dict[str, float] = {}
        self._due_at: dict[str, float] = {}
        """When each provider is to be judged again although nothing was heard of it; infinite = with the next figures."""
        self._pace = Pace(
            unwell_s=settings.probe_interval_unwell_s,
            changed_s=settings.probe_interval_changed_s,
            unrouted_s=settings.probe_interval_unrouted_s,
        )

    async def run(self) -> None:
        """Hear, compete for the lease, and judge, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._frames.follow(self._client))
            group.create_task(self._actions.follow())
            group.create_task(self._plans.follow(self._client))
            group.create_task(self._lease.run(self._judge))

    # hearing

    def _hear(self, heard: Sequence[Heard]) -> None:
        """Count everything first, then judge: what came together says nothing piece by piece."""
        now = time.time()
        touched = self._tally.count(heard, now)
        if self._judging:
            for provider in touched:
                self._observe(provider, Tick(), now)
                if doubtful(self._watches[provider].record, now, self._rules):
                    self._prober.probe_soon(provider)

    def _read_page(self, provider: str, page: Page) -> None:
        watch = self._watches[provider]
        self._watches[provider] = replace(watch, record=replace(watch.record, page=page))
        if self._judging:
            self._observe(provider, PageRead(page), page.read_at)

    # judging

    async def _judge(self, held: Held) -> None:
        self._teller = teller = Teller(self._client, self._publisher, self._store, self._alerts, self._lease)
        try:
            await retrying("reading back what was told", partial(self._begin, teller))
            async with asyncio.TaskGroup() as group:
                group.create_task(teller.publish())
                group.create_task(teller.save())
                group.create_task(self._look_around())
                group.create_task(self._measure())
                group.create_task(self._pages.follow())
                self._judging = True
                while True:
                    now = time.time()
                    for provider in self._providers:
                        if now >= self._due_at.get(provider, 0.0):
                            self._observe(provider, Tick(), now)
                        if now - self._told_at.get(provider, 0.0) >= self._settings.heartbeat_s:
                            self._tell(provider, None, now)
                    await asyncio.sleep(TICK_S)
        finally:
            self._judging, self._teller = False, None

    async def _begin(self, teller: Teller) -> None:
        """Go on from what was told last."""
        await self._schedules.read()
        memory = await recall(self._client, self._store, self._alerts)
        await self._set.book.recall()
        self._around = replace(self._around, rules=self._set.book.rules)
        self._told_at.clear()
        self._due_at.clear()
        await self._past.read()
        await self._catch_up()
        await self._pages.read_first()
        now = time.time()
        active = {}
        for identity, alert in memory.alerts.items():
            if alert.ends_at is None and alert.provider not in self._watches:
                teller.tell(abandoned(alert, now, new_id(), "the provider is no longer configured"))
            elif alert.ends_at is None:
                active[identity] = alert
        await teller.tidy(self._providers, active)
        self._open = active
        for provider, told in memory.untold.items():
            if provider in self._watches and (known := memory.states[provider]).sequence:
                teller.tell(_news(known, told.status if told is not None else Status.UNKNOWN))
        for provider in self._providers:
            self._resume(provider, memory, now)

    def _resume(self, provider: str, memory: Memory, now: float) -> None:
        self._watches[provider] = memory.resumed(self._watches[provider], now, self._rules.flap_window_s)
        seen_at = memory.seen_at.get(provider, now)
        if now - seen_at > self._settings.unwatched_s:
            self._observe(provider, Unwatched(seen_at), now)

    async def _catch_up(self) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._frames.caught_up.wait()
        except TimeoutError:
            logger.warning("judging although not all calls were heard yet")

    def _observe(self, provider: str, observation: Observation, now: float) -> None:
        before = self._watches[provider]
        watch = observed(before, observation, now, self._rules)
        self._watches[provider] = watch
        if watch.record.sequence != before.record.sequence:
            was, record = before.record.status, watch.record
            level = logging.WARNING if record.status in UNWELL else logging.INFO
            logger.log(level, "%s: %s -> %s: %s", provider, was, record.status, record.reason)
            self._tell(provider, was, now)
        around = replace(
            self._around,
            probe_interval_s=self._set.usual_interval_s(provider),
            probe_budget_spent=self._prober.budget_spent(provider),
        )
        watch, told = alerted(watch, now, self._rules, around, new_id)
        self._watches[provider] = watch
        self._due_at[provider] = math.inf if is_calm(watch) else now
        for alert in told:
            self._tell_alert(alert)

    def _tell(self, provider: str, previous: Status | None, now: float) -> None:
        self._told_at[provider] = now
        if self._teller is not None:
            self._teller.tell(_news(state_of(self._watches[provider], now, self._settings.scaling), previous))

    def _tell_alert(self, alert: AlertRaised) -> None:
        level = logging.WARNING if alert.status is AlertStatus.FIRING else logging.INFO
        logger.log(level, "alert %s of %s: %s", alert.alertname, alert.provider, alert.status)
        if alert.ends_at is None:
            self._open[alert.fingerprint] = alert
        else:
            self._open.pop(alert.fingerprint, None)
        if self._teller is not None:
            self._teller.tell(alert)

    # what people have set

    async def _look_around(self) -> None:
        """Read what people have set, and keep JetStream's schedules as they should be. Neither waits for the other."""
        async with self._changes.heard():
            while True:
                asking = self._changes.take()
                try:
                    await self._read_settings()
                    if asking:
                        self._due_at.clear()
                    await self._changes.answer(asking)
                    if not self._past.known:
                        await self._past.read()
                except Exception as error:
                    if not is_away(error):
                        raise
                    logger.warning("settings cannot be read: %s: %s", type(error).__name__, error)
                await self._keep_schedules(time.time())
                await self._changes.wait(LOOK_S)

    async def _keep_schedules(self, now: float) -> None:
        kept = self._providers if self._set.known else self._schedules.providers
        try:
            await self._schedules.keep({name: self._interval_s(name, now) for name in kept})
        except (NatsError, OSError, TimeoutError) as error:
            logger.warning("schedules wait: %s: %s", type(error).__name__, error)

    async def _read_settings(self) -> None:
        await self._set.read()
        self._around = replace(
            self._around,
            rules=self._set.book.rules,
            silences=tuple(self._set.silences),
            acknowledged=self._set.acknowledged,
        )
        self._end_orphans(time.time())
        for provider in self._providers:
            on = provider in self._set.maintained
            if on == self._watches[provider].record.maintenance:
                continue
            reason = f"maintenance: {self._set.maintained[provider]}" if on else "maintenance has ended"
            self._observe(provider, MaintenanceSet(on, reason), time.time())

    def _end_orphans(self, now: float) -> None:
        """End what no rule judges any more."""
        for alert in orphaned(self._open.values(), self._around.rules, self._providers):
            watch = self._watches[alert.provider]
            record = AlertRecord(alert.sequence + 1)
            self._watches[alert.provider] = replace(watch, alerts={**watch.alerts, alert.fingerprint: record})
            self._tell_alert(abandoned(alert, now, new_id(), "no rule that is on raises this alert any more"))

    async def _measure(self) -> None:
        """Read the figures that rules want beyond what is counted here, for ever."""
        while True:
            figures = await self._figures.read(self._around.rules, datetime.now(UTC))
            self._around = replace(self._around, figures=figures)
            self._due_at.clear()
            await asyncio.sleep(MEASURE_S)

    def _interval_s(self, provider: str, now: float) -> int | None:
        usual_s = self._set.usual_interval_s(provider)
        if usual_s is None:
            return None
        routed_at = self._tally.routed_at.get(provider, self._around.watched_from)
        record, named = self._watches[provider].record, provider in self._plans.named
        return interval_s(record, usual_s, routed_at, now, self._pace, named=named)


def _news(state: ProviderStatus, previous: Status | None) -> ProviderStatusPublished:
    """A heartbeat, or a change when the status was another one before."""
    return ProviderStatusPublished(**stamp(), state=state, previous=previous, changed=previous is not None)
