"""The judge: one replica at a time hears every call and probe, decides states and alerts, and tells everybody.

What is decided is published first and saved afterwards, in order: the database being away delays the record, never the
news. After a take-over the saved states and the last published ones are read back, so nothing changes by itself.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertEvidence, AlertRaised, AlertStatus
from fairlead_common.events.calls import CallKind, CallsCompleted
from fairlead_common.events.health import Evidence, ProviderStatus, ProviderStatusPublished, Status
from fairlead_common.ids import new_id, stamp
from fairlead_common.leases import Held, Lease
from fairlead_common.service import retrying
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from fairlead_health.domain import alerts as rules
from fairlead_health.domain.score import Span, availability, score
from fairlead_health.domain.status import (
    CallSeen,
    MaintenanceSet,
    Observation,
    Record,
    StatusSettings,
    Tick,
    observe,
    window,
)
from fairlead_health.probes import Prober, schedule
from fairlead_health.settings import HealthSettings
from fairlead_health.store import HealthStore

logger = logging.getLogger(__name__)

JOB: Final = "health.aggregator"
TICK_S: Final = 0.5
DAY_S: Final = 86_400.0
WINDOW_S: Final = 300.0

Effect = Callable[[], Awaitable[None]]


class Aggregator:
    """States of all providers in this process; only the holder of the lease decides and tells."""

    def __init__(
        self,
        client: Client,
        store: HealthStore,
        publisher: JetStreamPublisher,
        prober: Prober,
        providers: tuple[str, ...],
        settings: HealthSettings,
        owner: str,
    ) -> None:
        self._client = client
        self._store = store
        self._publisher = publisher
        self._prober = prober
        self._providers = providers
        self._settings = settings
        self._rules = StatusSettings()
        self._lease = Lease(client, JOB, owner)
        self._states = SnapshotPublisher(client, "provider-status")
        self._active = SnapshotPublisher(client, "alerts-active")
        self._records = {provider: Record(provider, since=time.time()) for provider in providers}
        self._alerts: dict[str, rules.AlertRecord] = {}
        self._spans: dict[str, list[Span]] = {provider: [] for provider in providers}
        self._silences: list[tuple[str | None, str | None]] = []
        self._news: deque[Effect] = deque()
        self._saves: deque[Effect] = deque()
        self._scheduled: dict[str, int | None] = {}
        self._published_at: dict[str, float] = {}

    async def run(self) -> None:
        """Compete for the lease and judge, for ever; every replica notes which providers live traffic proves."""
        await self._client.subscribe(f"{CallsCompleted.subject_prefix}.>", cb=self._note)
        await self._lease.run(self._judge)

    async def _note(self, message: Msg) -> None:
        frame = _frame(message)
        for call in frame.calls if frame else ():
            if call.kind is CallKind.LIVE and call.provider is not None:
                self._prober.live_success(call.provider)

    async def _judge(self, held: Held) -> None:
        await retrying("loading states", self._load)
        subscription = await self._client.subscribe(f"{CallsCompleted.subject_prefix}.>", cb=self._hear)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._drain(self._news, 0.1))
                group.create_task(self._drain(self._saves, 1.0))
                group.create_task(self._look_around())
                while True:
                    now = time.time()
                    for provider in self._providers:
                        self._observe(provider, Tick(), now)
                        self._evaluate(provider, now)
                        if now - self._published_at.get(provider, 0) >= self._settings.heartbeat_s:
                            self._tell(provider, None, now)
                    await asyncio.sleep(TICK_S)
        finally:
            try:
                await subscription.unsubscribe()
            except NatsError:
                logger.info("the subscription was gone already")

    async def _load(self) -> None:
        saved = {row["provider"]: row for row in await self._store.states()}
        for provider in self._providers:
            record = Record(provider, since=time.time())
            row, published = saved.get(provider), await self._states.read(provider)
            if row is not None:
                record = replace(record, **_record_fields(row))
            if published is not None:
                state = ProviderStatus.model_validate_json(published[1])
                if state.sequence > record.sequence:
                    record = replace(record, **_record_fields(state.model_dump()))
            self._records[provider] = replace(record, maintenance=record.status is Status.MAINTENANCE)
            intervals = await self._store.history(provider, None, 500)
            self._spans[provider] = [
                Span(each["status"], each["started_at"].timestamp(), each["ended_at"].timestamp())
                for each in reversed(intervals)
                if each["ended_at"] is not None
            ]
        for alert in await self._store.last_alerts():
            firing = alert.ends_at is None
            self._alerts[alert.fingerprint] = rules.AlertRecord(
                alert.sequence,
                alert.alert_id if firing else None,
                alert.starts_at.timestamp() if firing else None,
                alert.starts_at.timestamp() if firing else None,
            )
        self._published_at.clear()
        self._scheduled.clear()

    async def _hear(self, message: Msg) -> None:
        frame = _frame(message)
        now = time.time()
        for call in frame.calls if frame else ():
            source = "active" if call.kind is CallKind.PROBE else "passive"
            for attempt in call.attempts:
                error = attempt.error_class
                if attempt.provider not in self._records or (
                    error is not None and not error.counts_against_provider
                ):
                    continue
                detail = f"{error.value if error else 'answered'}, call {call.call_id}"
                seen = CallSeen(error is None, source, detail, attempt.duration_ms if error is None else None)
                self._observe(attempt.provider, seen, now)

    def _observe(self, provider: str, observation: Observation, now: float) -> None:
        before = self._records[provider]
        after = observe(before, observation, now, self._rules)
        self._records[provider] = after
        if after.sequence == before.sequence:
            return
        logger.warning("%s: %s -> %s: %s", provider, before.status, after.status, after.reason)
        if before.since:
            self._spans[provider].append(Span(before.status.value, before.since, now))
            self._spans[provider] = [span for span in self._spans[provider] if span.end > now - DAY_S]
        self._tell(provider, before.status, now)
        self._evaluate(provider, now)

    # telling

    def state_of(self, provider: str, now: float) -> ProviderStatus:
        """The provider's state as it is published."""
        record = self._records[provider]
        calls, failures, latency_ms = window(record, now, WINDOW_S)
        errors = failures / calls if calls else None
        found = availability(
            [*self._spans[provider], Span(record.status.value, record.since, now)], now, DAY_S
        )
        points = score(
            found.uptime, latency_ms, errors if errors is not None else (0.0 if found.uptime else None)
        )
        evidence = Evidence(
            source=record.last_source or "none",
            detail=record.last_detail or record.reason,
            observed_at=_time(record.last_check or record.since),
            sample_count=calls,
            value=errors,
        )
        return ProviderStatus(
            provider=provider,
            status=record.status,
            since=_time(record.since),
            sequence=record.sequence,
            reason=record.reason,
            score=points,
            avg_latency_ms=None if latency_ms is None else round(latency_ms, 2),
            error_rate=errors,
            uptime_percentage=None if found.uptime is None else round(100 * found.uptime, 4),
            last_check=None if record.last_check is None else _time(record.last_check),
            evidence=(evidence,) if record.last_check is not None else (),
        )

    def _tell(self, provider: str, previous: Status | None, now: float) -> None:
        self._published_at[provider] = now
        state = self.state_of(provider, now)
        event = ProviderStatusPublished(
            **stamp(), state=state, previous=previous, changed=previous is not None
        )
        self._news.append(partial(self._put_state, state))
        self._news.append(partial(self._publisher.publish, event))
        self._saves.append(partial(self._store.save_state, state))

    async def _put_state(self, state: ProviderStatus) -> None:
        await self._states.put(state.provider, state)

    def _evaluate(self, provider: str, now: float) -> None:
        for rule in rules.RULES:
            identity = rules.fingerprint(rule.name, provider)
            before = self._alerts.get(identity, rules.QUIET)
            breach = self._breach(rule, provider, now)
            after, transition = rules.judge(before, rule, breach, now, new_id())
            self._alerts[identity] = after
            if transition is not None:
                self._raise(rule, provider, identity, before, after, transition, breach, now)

    def _breach(self, rule: rules.AlertRule, provider: str, now: float) -> rules.Breach:
        record = self._records[provider]
        calls, failures, latency_ms = window(record, now, WINDOW_S)
        if rule is rules.DOWN:
            known = record.status is not Status.UNKNOWN
            return rules.Breach(record.status is Status.DOWN if known else None, samples=calls)
        if rule is rules.DEGRADED:
            return rules.Breach(record.status is Status.DEGRADED, samples=calls)
        if rule is rules.PROBES_LOST:
            return self._probes_lost(provider)
        if calls < self._rules.min_calls or rule.threshold is None:
            return rules.Breach(None if calls else False, samples=calls)
        if rule is rules.HIGH_ERROR_RATE:
            return rules.Breach(failures / calls > rule.threshold, failures / calls, calls)
        return rules.Breach(None if latency_ms is None else latency_ms > rule.threshold, latency_ms, calls)

    def _probes_lost(self, provider: str) -> rules.Breach:
        """Only this replica's ticks are seen; silence of all of them for three intervals is worth a look."""
        interval_s, last = self._scheduled.get(provider), self._prober.last_tick.get(provider)
        if interval_s is None or last is None:
            return rules.Breach(None)
        return rules.Breach(time.monotonic() - last > 3 * interval_s + 60, time.monotonic() - last)

    def _raise(
        self,
        rule: rules.AlertRule,
        provider: str,
        identity: str,
        before: rules.AlertRecord,
        after: rules.AlertRecord,
        transition: AlertStatus,
        breach: rules.Breach,
        now: float,
    ) -> None:
        resolved = transition is AlertStatus.RESOLVED
        started = before.starts_at if resolved else after.starts_at
        inhibitor = rules.fingerprint(rule.inhibited_by, provider) if rule.inhibited_by else None
        inhibited = inhibitor if inhibitor and self._alerts.get(inhibitor, rules.QUIET).alert_id else None
        silenced = any(p in (None, provider) and n in (None, rule.name) for p, n in self._silences)
        record = self._records[provider]
        status = AlertStatus.SUPPRESSED if (inhibited or silenced) and not resolved else transition
        alert = AlertRaised(
            **stamp(_time(now)),
            alert_id=(before.alert_id if resolved else after.alert_id) or new_id(),
            fingerprint=identity,
            sequence=after.sequence,
            status=status,
            severity=rule.severity,
            alertname=rule.name,
            provider=provider,
            labels={"alertname": rule.name, "provider": provider, "service": "health"},
            annotations={
                "summary": rule.summary.format(provider=provider),
                "description": record.reason,
                "runbook_url": f"{self._settings.runbooks_url}/{rule.name}.md",
                **(
                    {"dashboard_url": str(self._settings.dashboard_url)}
                    if self._settings.dashboard_url
                    else {}
                ),
            },
            starts_at=_time(started or now),
            ends_at=_time(now) if resolved else None,
            last_evaluated_at=_time(now),
            value=breach.value,
            threshold=rule.threshold,
            window=rule.window,
            sample_count=breach.samples,
            evidence=AlertEvidence(),
            inhibited_by=inhibited,
        )
        self._news.append(partial(self._publisher.publish, alert))
        self._news.append(partial(self._put_alert, alert))
        self._saves.append(partial(self._store.save_alert, alert))

    async def _put_alert(self, alert: AlertRaised) -> None:
        if alert.ends_at is None:
            await self._active.put(alert.fingerprint, alert)
        else:
            await self._active.delete(alert.fingerprint)

    # background

    async def _drain(self, effects: deque[Effect], retry_s: float) -> None:
        """Carry out effects in order; one that cannot be is tried again until it can."""
        while True:
            if not effects:
                await asyncio.sleep(0.01)
                continue
            try:
                await effects[0]()
            except Exception as error:
                if not is_away(error) and not isinstance(error, NatsError):
                    raise
                logger.warning("news or records wait: %s: %s", type(error).__name__, error)
                await asyncio.sleep(retry_s)
                continue
            effects.popleft()

    async def _look_around(self) -> None:
        """Read maintenance, silences and schedules, and keep JetStream's schedules as they should be."""
        while True:
            try:
                await self._read_settings()
            except Exception as error:
                if not is_away(error) and not isinstance(error, NatsError):
                    raise
                logger.warning("schedules wait: %s: %s", type(error).__name__, error)
            await asyncio.sleep(TICK_S)

    async def _read_settings(self) -> None:
        maintained = {row["provider"]: row["reason"] for row in await self._store.maintenances()}
        self._silences = [(row["provider"], row["alertname"]) for row in await self._store.silences()]
        set_by_hand = {row["provider"]: row for row in await self._store.probes()}
        for provider in self._providers:
            on = provider in maintained
            reason = f"maintenance: {maintained[provider]}" if on else "maintenance has ended"
            self._observe(provider, MaintenanceSet(on, reason), time.time())
            wanted = self._interval(provider, set_by_hand)
            if self._scheduled.get(provider, -1) != wanted:
                await schedule(self._client, provider, wanted)
                self._scheduled[provider] = wanted

    def _interval(self, provider: str, set_by_hand: dict[str, object]) -> int | None:
        row = set_by_hand.get(provider)
        if row is not None and not row["enabled"]:  # type: ignore[index]  # a row mapping
            return None
        usual: int = row["interval_s"] if row is not None else self._settings.probe_interval_s  # type: ignore[index]
        status = self._records[provider].status
        if status in (Status.DOWN, Status.DEGRADED, Status.UNKNOWN):
            return min(usual, self._settings.probe_interval_unwell_s)
        return usual


def _frame(message: Msg) -> CallsCompleted | None:
    try:
        return CallsCompleted.model_validate_json(message.data)
    except ValidationError:
        logger.warning("a frame on %s cannot be read", message.subject)
        return None


def _record_fields(row: object) -> dict[str, object]:
    """Fields of a ``Record`` from a row or a published state."""
    found = dict(row)  # type: ignore[call-overload]  # a row mapping or a dict
    check = found["last_check"]
    return {
        "status": Status(found["status"]),
        "since": found["since"].timestamp(),
        "sequence": found["sequence"],
        "reason": found["reason"],
        "last_check": check.timestamp() if check else None,
    }


def _time(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
