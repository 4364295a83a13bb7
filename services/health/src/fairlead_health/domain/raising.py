"""Telling people: all alert rules applied to what is known of one provider, and the alerts that are to be told of it.

``alerted`` is pure, so that a day can be judged in a test.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from fairlead_common.events.alerts import AlertEvidence, AlertRaised, AlertStatus

from fairlead_health.domain import alerts
from fairlead_health.domain.alerts import QUIET, AlertRecord, AlertRule, Breach, fingerprint, judge
from fairlead_health.domain.breaches import breach, figures_of
from fairlead_health.domain.status import StatusSettings, flapping
from fairlead_health.domain.watch import Watch


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


def _time(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
