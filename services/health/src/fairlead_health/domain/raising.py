"""Telling people: all alert rules applied to what is known of one provider, and the alerts that are to be told of it.

``alerted`` is pure, so that a day can be judged in a test.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from fairlead_common.events.alerts import ActionTaken, AlertEvidence, AlertRaised, AlertStatus
from fairlead_common.operations.alert_rules import RUNBOOKS, AnyRule

from fairlead_health.domain.alerts import QUIET, AlertRecord, Breach, fingerprint, judge
from fairlead_health.domain.breaches import Seen, breach, recent
from fairlead_health.domain.drift import WIRE_DRIFT
from fairlead_health.domain.figures import UNMEASURED, Figures
from fairlead_health.domain.rules import Rules, applying
from fairlead_health.domain.silences import silenced
from fairlead_health.domain.status import Record, StatusSettings, flapping
from fairlead_health.domain.watch import Watch


class Acknowledgement(NamedTuple):
    """Who looks after an alert, and what he has to say."""

    by: str
    note: str = ""


class Action(NamedTuple):
    """What Fairlead did about a provider by itself, and when (Unix seconds)."""

    at: float
    taken: ActionTaken


ACTED_BEFORE_S = 60.0
"""Breakers may act this long before an alert begins, and because of the same thing."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What people have set, and what this process can know."""

    rules: Rules = ()
    pages: frozenset[str] = frozenset()
    """Names of the rules that have a runbook page of their own; others are sent to the page of their kind."""
    figures: Mapping[str, Figures] = field(default_factory=lambda: MappingProxyType({}))
    """By provider, over windows beyond what is kept in memory."""
    watched_from: float = 0.0
    """Unix time since which this process hears all calls."""
    probe_interval_s: int | None = None
    probe_budget_spent: str | None = None
    """The budget (daily, monthly) of the provider's probes that is spent, if one is; they are of the cheap kind then."""
    silences: tuple[Mapping[str, str], ...] = ()
    """Matchers of those that hold now: label to value."""
    acknowledged: Mapping[str, Acknowledgement] = field(default_factory=lambda: MappingProxyType({}))
    """By alert id."""
    actions: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    """By provider, the last one; grows while others are heard of."""
    runbooks_url: str = ""
    dashboard_url: str | None = None


def alerted(
    watch: Watch, now: float, settings: StatusSettings, around: Surroundings, make_id: Callable[[], str]
) -> tuple[Watch, list[AlertRaised]]:
    """The watch after all rules were applied, and what is to be told."""
    told, record = [], watch.record
    seen = Seen(
        record,
        recent(record, now),
        now,
        around.figures.get(record.provider, UNMEASURED),
        around.probe_interval_s,
        around.probe_budget_spent,
        around.watched_from,
    )
    for rule in applying(around.rules, record.provider):
        found = breach(rule, seen)
        identity = fingerprint(rule.name, record.provider)
        before = watch.alerts.get(identity, QUIET)
        inhibited = _inhibitor(watch, rule)
        acknowledgement = around.acknowledged.get(before.alert_id or "")
        action = _action(around.actions.get(record.provider), before.starts_at, now)
        after, transition = judge(
            before,
            rule,
            found,
            now,
            make_id() if before.alert_id is None and found.breached else "",
            silenced=silenced(around.silences, labels_of(rule, record.provider)),
            inhibited=inhibited is not None,
            acknowledged_by=acknowledgement.by if acknowledgement is not None else None,
            acted=action is not None,
        )
        if after is not before:
            watch = replace(watch, alerts=MappingProxyType({**watch.alerts, identity: after}))
        if transition is not None:
            episode = replace(before, sequence=after.sequence) if after.alert_id is None else after
            event = _event(watch, rule, found, episode, transition, now, around, action, make_id())
            flap = flapping(record, now, settings)
            told.append(event.model_copy(update={"inhibited_by": inhibited, "flap": flap}))
    return watch, told


def labels_of(rule: AnyRule, provider: str) -> dict[str, str]:
    """What silences and notifiers match."""
    own = {"alertname": rule.name, "provider": provider, "severity": rule.severity.value, "service": "health"}
    return {**rule.labels, **own}


def orphaned(alerts: Iterable[AlertRaised], rules: Rules, providers: Collection[str]) -> list[AlertRaised]:
    """Open alerts that nothing judges any more: their rule is gone or off, or their provider."""
    return [
        alert
        for alert in alerts
        if alert.ends_at is None
        and alert.alertname != WIRE_DRIFT
        and not (
            alert.provider in providers
            and any(rule.name == alert.alertname for rule in applying(rules, alert.provider))
        )
    ]


def abandoned(alert: AlertRaised, now: float, event_id: str, reason: str) -> AlertRaised:
    """The end of an open alert that nothing judges any more."""
    return alert.model_copy(
        update={
            "event_id": event_id,
            "occurred_at": _time(now),
            "sequence": alert.sequence + 1,
            "status": AlertStatus.RESOLVED,
            "ends_at": _time(now),
            "last_evaluated_at": _time(now),
            "annotations": {**alert.annotations, "description": reason},
        }
    )


def _inhibitor(watch: Watch, rule: AnyRule) -> str | None:
    """Fingerprint of the open alert that makes this one superfluous, or None."""
    for name in rule.inhibited_by:
        identity = fingerprint(name, watch.record.provider)
        if watch.alerts.get(identity, QUIET).alert_id is not None:
            return identity
    return None


def _event(
    watch: Watch,
    rule: AnyRule,
    found: Breach,
    episode: AlertRecord,
    transition: AlertStatus,
    now: float,
    around: Surroundings,
    action: ActionTaken | None,
    event_id: str,
) -> AlertRaised:
    record = watch.record
    labels = labels_of(rule, record.provider)
    if episode.acknowledged_by is not None:
        labels["acknowledged_by"] = episode.acknowledged_by
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
        annotations=_annotations(rule, record.provider, record.reason, episode, around),
        starts_at=_time(episode.starts_at if episode.starts_at is not None else now),
        ends_at=_time(now) if transition is AlertStatus.RESOLVED else None,
        last_evaluated_at=_time(now),
        value=found.value,
        threshold=found.threshold,
        window=found.window,
        sample_count=found.samples,
        evidence=_evidence(record, around.figures.get(record.provider, UNMEASURED)),
        action_taken=action,
    )


def _evidence(record: Record, figures: Figures) -> AlertEvidence:
    probes, calls = (record.failed.get(source, ()) for source in ("active", "passive"))
    traces = dict.fromkeys(each.trace_id for each in (*probes, *calls) if each.trace_id is not None)
    return AlertEvidence(
        probe_ids=tuple(each.call_id for each in probes),
        call_ids=tuple(each.call_id for each in calls),
        trace_ids=tuple(traces),
        error_classes=dict(figures.errors),
    )


def _action(action: Action | None, starts_at: float | None, now: float) -> ActionTaken | None:
    """The action, when it belongs to an episode that began at ``starts_at``."""
    began = starts_at if starts_at is not None else now
    return action.taken if action is not None and action.at >= began - ACTED_BEFORE_S else None


def _annotations(
    rule: AnyRule, provider: str, reason: str, episode: AlertRecord, around: Surroundings
) -> dict[str, str]:
    summary = rule.summary or f"{rule.name} of {{provider}}"
    page = rule.name if rule.name in around.pages else RUNBOOKS[rule.kind]
    found = {
        "summary": summary.replace("{provider}", provider),
        "description": reason,
        "runbook_url": str(rule.runbook_url or f"{around.runbooks_url}/{page}.md"),
    }
    if around.dashboard_url is not None:
        found["dashboard_url"] = around.dashboard_url
    acknowledgement = around.acknowledged.get(episode.alert_id or "")
    if acknowledgement is not None and acknowledgement.note:
        found["acknowledgement_note"] = acknowledgement.note
    return found


def _time(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
