"""All that is known of one provider, and what is to be told of it: its states over a day, its published state, its alerts.

``Watch`` changes by ``observed`` and ``alerted`` alone; both are pure, so that a day can be judged in a test.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from fairlead_common.events.alerts import AlertEvidence, AlertRaised, AlertStatus
from fairlead_common.events.health import Evidence, ProviderStatus

from fairlead_health.domain import alerts
from fairlead_health.domain.alerts import QUIET, AlertRecord, AlertRule, Breach, fingerprint, judge
from fairlead_health.domain.breaches import breach, figures_of
from fairlead_health.domain.score import Availability, Span, availability, score
from fairlead_health.domain.status import (
    KEPT_S,
    Observation,
    Record,
    StatusSettings,
    flapping,
    observe,
    window,
)

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Watch:
    """One provider. ``spans`` are its former states of the last day; ``alerts`` where each of its alerts stands."""

    record: Record
    spans: tuple[Span, ...] = ()
    alerts: Mapping[str, AlertRecord] = field(default_factory=lambda: MappingProxyType({}))
    """By fingerprint."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What people have set, and what this process can know."""

    watched_from: float = 0.0
    """Unix time since which this process hears all calls."""
    probe_interval_s: int | None = None
    silences: tuple[tuple[str | None, str | None], ...] = ()
    """(provider, alert name); None = all."""
    acknowledged: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Alert id to who looks after it."""
    runbooks_url: str = ""
    dashboard_url: str | None = None


def observed(watch: Watch, observation: Observation, now: float, settings: StatusSettings) -> Watch:
    """The watch after ``observation``; the record's sequence has grown when the status changed."""
    before = watch.record
    after = observe(before, observation, now, settings)
    return with_record(watch, after, now)


def with_record(watch: Watch, after: Record, now: float) -> Watch:
    """The watch with another record; a state that has ended becomes one of the spans."""
    before = watch.record
    if after.sequence == before.sequence:
        return replace(watch, record=after)
    ended = Span(before.status.value, before.since, after.since)
    spans = (span for span in (*watch.spans, ended) if span.end > now - DAY_S)
    return replace(watch, record=after, spans=tuple(spans))


def available(watch: Watch, now: float) -> Availability:
    """Over the last day."""
    current = Span(watch.record.status.value, watch.record.since, now)
    return availability((*watch.spans, current), now, DAY_S)


def state_of(watch: Watch, now: float) -> ProviderStatus:
    """The provider's state as it is published."""
    record = watch.record
    calls, failures, latency_ms = window(record, now, KEPT_S)
    errors = failures / calls if calls else None
    found = available(watch, now)
    return ProviderStatus(
        provider=record.provider,
        status=record.status,
        since=_time(record.since),
        sequence=record.sequence,
        reason=record.reason,
        score=score(found.uptime, latency_ms, errors),
        avg_latency_ms=None if latency_ms is None else round(latency_ms, 2),
        error_rate=errors,
        uptime_percentage=None if found.uptime is None else round(100 * found.uptime, 4),
        coverage_percentage=round(100 * min(1.0, found.coverage), 4),
        last_check=None if record.last_check is None else _time(record.last_check),
        evidence=_evidence(record, calls, errors),
    )


def alerted(
    watch: Watch, now: float, settings: StatusSettings, around: Surroundings, make_id: Callable[[], str]
) -> tuple[Watch, list[AlertRaised]]:
    """The watch after all rules were applied, and what is to be told."""
    told, record = [], watch.record
    figures = figures_of(record, now)
    for rule in alerts.RULES:
        found = breach(rule, record, figures, now, settings, around.probe_interval_s, around.watched_from)
        identity = fingerprint(rule.name, record.provider)
        before = watch.alerts.get(identity, QUIET)
        inhibited = _inhibitor(watch, rule)
        after, transition = judge(
            before,
            rule,
            found,
            now,
            make_id() if before.alert_id is None and found.breached else "",
            silenced=_silenced(around.silences, record.provider, rule.name),
            inhibited=inhibited is not None,
            acknowledged_by=around.acknowledged.get(before.alert_id or ""),
        )
        if after is not before:
            watch = replace(watch, alerts=MappingProxyType({**watch.alerts, identity: after}))
        if transition is not None:
            episode = replace(before, sequence=after.sequence) if after.alert_id is None else after
            event = _event(watch, rule, found, episode, transition, now, around, make_id())
            flap = flapping(record, now, settings)
            told.append(event.model_copy(update={"inhibited_by": inhibited, "flap": flap}))
    return watch, told


def abandoned(alert: AlertRaised, now: float, event_id: str) -> AlertRaised:
    """The end of an open alert of a provider that is no longer configured."""
    return alert.model_copy(
        update={
            "event_id": event_id,
            "occurred_at": _time(now),
            "sequence": alert.sequence + 1,
            "status": AlertStatus.RESOLVED,
            "ends_at": _time(now),
            "last_evaluated_at": _time(now),
            "annotations": {**alert.annotations, "description": "the provider is no longer configured"},
        }
    )


def _inhibitor(watch: Watch, rule: AlertRule) -> str | None:
    """Fingerprint of the open alert that makes this one superfluous, or None."""
    if rule.inhibited_by is None:
        return None
    identity = fingerprint(rule.inhibited_by, watch.record.provider)
    return identity if watch.alerts.get(identity, QUIET).alert_id is not None else None


def _silenced(silences: Iterable[tuple[str | None, str | None]], provider: str, name: str) -> bool:
    return any(p in (None, provider) and n in (None, name) for p, n in silences)


def _event(
    watch: Watch,
    rule: AlertRule,
    found: Breach,
    episode: AlertRecord,
    transition: AlertStatus,
    now: float,
    around: Surroundings,
    event_id: str,
) -> AlertRaised:
    record = watch.record
    labels = {"alertname": rule.name, "provider": record.provider, "service": "health"}
    if episode.acknowledged_by is not None:
        labels["acknowledged_by"] = episode.acknowledged_by
    annotations = {
        "summary": rule.summary.format(provider=record.provider),
        "description": record.reason,
        "runbook_url": f"{around.runbooks_url}/{rule.name}.md",
    }
    if around.dashboard_url is not None:
        annotations["dashboard_url"] = around.dashboard_url
    return AlertRaised(
        event_id=event_id,
        occurred_at=_time(now),
        alert_id=episode.alert_id or event_id,
        fingerprint=fingerprint(rule.name, record.provider),
        sequence=episode.sequence,
        status=transition,
        severity=rule.severity,
        alertname=rule.name,
        provider=record.provider,
        labels=labels,
        annotations=annotations,
        starts_at=_time(episode.starts_at if episode.starts_at is not None else now),
        ends_at=_time(now) if transition is AlertStatus.RESOLVED else None,
        last_evaluated_at=_time(now),
        value=found.value,
        threshold=rule.threshold,
        window=rule.window,
        sample_count=found.samples,
        evidence=AlertEvidence(call_ids=tuple(filter(None, record.failed_refs))),
    )


def _evidence(record: Record, calls: int, errors: float | None) -> tuple[Evidence, ...]:
    if record.last_check is None:
        return ()
    return (
        Evidence(
            source=record.last_source or "none",
            detail=record.last_detail or record.reason,
            observed_at=_time(record.last_check),
            sample_count=calls,
            value=errors,
            ref=record.failed_refs[-1] or None if record.failed_refs else None,
        ),
    )


def _time(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
