"""The judge: every replica hears every call and probe and counts; one at a time decides states and alerts and tells.

A replica that stands by has counted all that the holder of the lease has, so it goes on from there. At a take-over the
states and alerts that were told last are read back, so nothing changes by itself, is told twice, or is forgotten.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from fairlead_common.bus.frames import FrameReader, Heard
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.calls import Attempt, Call, CallKind
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished, Status
from fairlead_common.ids import new_id, stamp
from fairlead_common.leases import Held, Lease
from fairlead_common.outcomes import Bucket
from fairlead_common.service import retrying
from fairlead_models.providers import ProviderSpec
from fairlead_models.transport.protocol import Transport
from nats.aio.client import Client
from nats.errors import Error as NatsError
from sqlalchemy import RowMapping

from fairlead_health.actions import Actions
from fairlead_health.alert_store import AlertStore
from fairlead_health.domain import alerts as rules
from fairlead_health.domain.pace import Pace, doubtful, interval_s
from fairlead_health.domain.raising import Surroundings, abandoned, alerted, orphaned
from fairlead_health.domain.score import Span
from fairlead_health.domain.status import (
    KEPT_S,
    CallSeen,
    MaintenanceSet,
    Observation,
    PageRead,
    Record,
    Tick,
    Unwatched,
    counted,
    resumed,
    seeded,
)
from fairlead_health.domain.status_page import Page
from fairlead_health.domain.watch import DAY_S, Watch, is_calm, observed, state_of
from fairlead_health.figures import Measurements
from fairlead_health.memory import Memory, recall
from fairlead_health.probes import Prober
from fairlead_health.rules import RuleBook, built_in
from fairlead_health.schedules import Schedules
from fairlead_health.settings import HealthSettings
from fairlead_health.status_pages import StatusPages
from fairlead_health.store import HealthStore
from fairlead_health.telling import Teller
from fairlead_health.windows import WindowStore, seconds_of

logger = logging.getLogger(__name__)

JOB: Final = "health.aggregator"
TICK_S: Final = 0.5
CALM_S: Final = 5.0
"""A provider that is well, and of which nothing was heard, is judged this often."""
LOOK_S: Final = 0.5
MEASURE_S: Final = 5.0
MINUTE: Final = timedelta(minutes=1)
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
        self._windows = windows
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
        dashboard = str(settings.dashboard_url) if settings.dashboard_url is not None else None
        self._book = RuleBook(client, alerts)
        self._actions = Actions(client)
        self._around = Surroundings(
            pages=frozenset(rule.name for rule in built_in()),
            watched_from=now,
            runbooks_url=settings.runbooks_url,
            dashboard_url=dashboard,
        )
        self._open: dict[str, AlertRaised] = {}
        self._probes: Mapping[str, RowMapping] = {}
        self._settings_known = False
        self._days_known = False
        self._figures_known = False
        self._teller: Teller | None = None
        self._judging = False
        self._told_at: dict[str, float] = {}
        self._judged_at: dict[str, float] = {}
        self._routed_at: dict[str, float] = {}
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
            group.create_task(self._lease.run(self._judge))

    # hearing

    def _hear(self, heard: Sequence[Heard]) -> None:
        """Count everything first, then judge: what came together says nothing piece by piece."""
        now = time.time()
        touched = set()
        for each in heard:
            for call, attempt, ended_at in each.attempts():
                if attempt.provider in self._watches and self._count(call, attempt, ended_at, now):
                    touched.add(attempt.provider)
        if self._judging:
            for provider in touched:
                self._observe(provider, Tick(), now)
                if doubtful(self._watches[provider].record, now, self._rules):
                    self._prober.probe_soon(provider)

    def _count(self, call: Call, attempt: Attempt, ended_at: float, now: float) -> bool:
        error = attempt.error_class
        if error is not None and error.bucket is Bucket.CALLER:
            return False
        if call.kind is CallKind.LIVE:
            self._routed_at[attempt.provider] = max(ended_at, self._routed_at.get(attempt.provider, 0.0))
            if error is None:
                self._prober.live_success(attempt.provider, max(0.0, now - ended_at))
        seen = CallSeen(
            ok=None if error is not None and not error.counts_against_provider else error is None,
            source="active" if call.kind is CallKind.PROBE else "passive",
            detail=f"{error.value if error else 'answered'}, call {call.call_id}",
            latency_ms=attempt.duration_ms if math.isfinite(attempt.duration_ms) else None,
            ended_at=ended_at,
            ref=call.call_id,
        )
        watch = self._watches[attempt.provider]
        self._watches[attempt.provider] = replace(watch, record=counted(watch.record, seen, now, self._rules))
        return True

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
                        if now - self._judged_at.get(provider, 0.0) >= CALM_S or not is_calm(
                            self._watches[provider]
                        ):
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
        await self._book.recall()
        self._around = replace(self._around, rules=self._book.rules)
        self._told_at.clear()
        self._days_known = False
        await self._know_days()
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
        watch, state = self._watches[provider], memory.states.get(provider)
        if state is not None:
            record = resumed(
                watch.record,
                state.status,
                state.since.timestamp(),
                state.sequence,
                state.reason,
                state.last_check.timestamp() if state.last_check is not None else None,
                tuple(span.end for span in watch.spans if span.end > now - self._rules.flap_window_s),
            )
            watch = replace(watch, record=record)
        found = {
            identity: rules.recalled(alert)
            for identity, alert in memory.alerts.items()
            if alert.provider == provider
        }
        self._watches[provider] = replace(watch, alerts=found)
        seen_at = memory.seen_at.get(provider, now)
        if now - seen_at > self._settings.unwatched_s:
            self._observe(provider, Unwatched(seen_at), now)

    async def _catch_up(self) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._frames.caught_up.wait()
        except TimeoutError:
            logger.warning("judging although not all calls were heard yet")

    async def _know_days(self) -> None:
        """The states of the last day, when the database is there."""
        since = datetime.now(UTC) - timedelta(seconds=DAY_S)
        try:
            async with asyncio.timeout(CATCH_UP_S):
                for provider, rows in _by_provider(await self._store.histories(since)).items():
                    if provider in self._watches:
                        self._watches[provider] = _with_days(self._watches[provider], rows)
                await self._know_figures()
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("the states of the last day are not known yet: %s", type(error).__name__)
            return
        self._days_known = True

    async def _know_figures(self) -> None:
        """The minutes before this process heard anything, once."""
        if self._figures_known:
            return
        heard_from = datetime.fromtimestamp(self._around.watched_from - self._rules.window_s, UTC)
        found = await self._windows.all_minutes(heard_from - timedelta(seconds=KEPT_S))
        for provider, rows in _by_provider(found).items():
            if provider in self._watches:
                earlier = seconds_of(row for row in rows if row["at"] <= heard_from - MINUTE)
                watch = self._watches[provider]
                self._watches[provider] = replace(watch, record=seeded(watch.record, earlier))
        self._figures_known = True

    def _observe(self, provider: str, observation: Observation, now: float) -> None:
        self._judged_at[provider] = now
        before = self._watches[provider]
        watch = observed(before, observation, now, self._rules)
        self._watches[provider] = watch
        if watch.record.sequence != before.record.sequence:
            was, record = before.record.status, watch.record
            logger.warning("%s: %s -> %s: %s", provider, was, record.status, record.reason)
            self._tell(provider, was, now)
        around = replace(
            self._around,
            probe_interval_s=self._usual_interval_s(provider),
            probe_budget_spent=self._prober.budget_spent(provider),
        )
        self._watches[provider], told = alerted(watch, now, self._rules, around, new_id)
        for alert in told:
            self._tell_alert(alert)

    def _tell(self, provider: str, previous: Status | None, now: float) -> None:
        self._told_at[provider] = now
        if self._teller is not None:
            self._teller.tell(_news(state_of(self._watches[provider], now, self._settings.scaling), previous))

    def _tell_alert(self, alert: AlertRaised) -> None:
        logger.warning("alert %s of %s: %s", alert.alertname, alert.provider, alert.status)
        if alert.ends_at is None:
            self._open[alert.fingerprint] = alert
        else:
            self._open.pop(alert.fingerprint, None)
        if self._teller is not None:
            self._teller.tell(alert)

    # what people have set

    async def _look_around(self) -> None:
        """Read what people have set, and keep JetStream's schedules as they should be. Neither waits for the other."""
        while True:
            try:
                await self._read_settings()
                if not self._days_known:
                    await self._know_days()
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("settings cannot be read: %s: %s", type(error).__name__, error)
            kept, now = self._providers if self._settings_known else self._schedules.providers, time.time()
            try:
                await self._schedules.keep({name: self._interval_s(name, now) for name in kept})
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("schedules wait: %s: %s", type(error).__name__, error)
            await asyncio.sleep(LOOK_S)

    async def _read_settings(self) -> None:
        async with asyncio.timeout(CATCH_UP_S):
            maintained = {row["provider"]: row["reason"] for row in await self._store.maintenances()}
            silences = await self._alerts.holding()
            acknowledged = await self._alerts.acknowledged()
            await self._book.refresh()
            self._probes = {row["provider"]: row for row in await self._store.probes()}
        self._settings_known = True
        self._around = replace(
            self._around,
            rules=self._book.rules,
            silences=tuple(silences),
            acknowledged=acknowledged,
            actions=dict(self._actions.latest),
        )
        self._end_orphans(time.time())
        for provider in self._providers:
            on = provider in maintained
            if on == self._watches[provider].record.maintenance:
                continue
            reason = f"maintenance: {maintained[provider]}" if on else "maintenance has ended"
            self._observe(provider, MaintenanceSet(on, reason), time.time())

    def _end_orphans(self, now: float) -> None:
        """End what no rule judges any more."""
        for alert in orphaned(self._open.values(), self._around.rules, self._providers):
            watch = self._watches[alert.provider]
            record = rules.AlertRecord(alert.sequence + 1)
            self._watches[alert.provider] = replace(watch, alerts={**watch.alerts, alert.fingerprint: record})
            self._tell_alert(abandoned(alert, now, new_id(), "no rule that is on raises this alert any more"))

    async def _measure(self) -> None:
        """Read the figures that rules want beyond what is counted here, for ever."""
        while True:
            figures = await self._figures.read(self._around.rules, datetime.now(UTC))
            self._around = replace(self._around, figures=figures)
            await asyncio.sleep(MEASURE_S)

    def _usual_interval_s(self, provider: str) -> int | None:
        """How often the provider is to be probed while it is well; None = not at all."""
        row = self._probes.get(provider)
        if row is None:
            return self._settings.probe_interval_s
        usual_s: int = row["interval_s"]
        return usual_s if row["enabled"] else None

    def _interval_s(self, provider: str, now: float) -> int | None:
        usual_s = self._usual_interval_s(provider)
        if usual_s is None:
            return None
        routed_at = self._routed_at.get(provider, self._around.watched_from)
        return interval_s(self._watches[provider].record, usual_s, routed_at, now, self._pace)


def _news(state: ProviderStatus, previous: Status | None) -> ProviderStatusPublished:
    """A heartbeat, or a change when the status was another one before."""
    return ProviderStatusPublished(**stamp(), state=state, previous=previous, changed=previous is not None)


def _by_provider(rows: Iterable[RowMapping]) -> dict[str, list[RowMapping]]:
    found: dict[str, list[RowMapping]] = {}
    for row in rows:
        found.setdefault(row["provider"], []).append(row)
    return found


def _with_days(watch: Watch, rows: Sequence[RowMapping]) -> Watch:
    """What is saved (newest first), and after it what only this process knows yet."""
    saved = [
        Span(row["status"], row["started_at"].timestamp(), row["ended_at"].timestamp())
        for row in reversed(rows)
        if row["ended_at"] is not None
    ]
    end = saved[-1].end if saved else 0.0
    return replace(watch, spans=(*saved, *(span for span in watch.spans if span.start >= end)))
