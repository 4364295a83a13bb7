"""What notifiers send of a group of alerts: Alertmanager's webhook (v4), a PagerDuty event (v2), and a text for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity
from pydantic import BaseModel, ConfigDict, Field

from fairlead_health.domain.grouping import IDENTITY, group_key, labelled

NEVER: Final = "0001-01-01T00:00:00Z"
"""Alertmanager's end of an alert that has not ended."""

HEADLINED: Final = 3
LISTED: Final = 30
"""More are counted: a page is read on a phone, and receivers limit its size."""

Json = dict[str, Any]

PAGERDUTY_ACTIONS: Final = {
    AlertStatus.FIRING: "trigger",
    AlertStatus.SUPPRESSED: "trigger",
    AlertStatus.ACKNOWLEDGED: "acknowledge",
    AlertStatus.RESOLVED: "resolve",
}
PAGERDUTY_SEVERITIES: Final = {
    Severity.CRITICAL: "critical",
    Severity.WARNING: "warning",
    Severity.INFO: "info",
}


class Notification(BaseModel):
    """What one notifier is told of a group. ``status``: of the group; an alert's own may differ."""

    model_config = ConfigDict(frozen=True)

    group_key: str
    group_labels: dict[str, str]
    dedup_key: str
    status: AlertStatus
    alerts: tuple[AlertRaised, ...] = Field(min_length=1)

    @property
    def firing(self) -> list[AlertRaised]:
        """Those that have not ended."""
        return [each for each in self.alerts if each.status is not AlertStatus.RESOLVED]

    @property
    def ended(self) -> list[AlertRaised]:
        """Those that have ended."""
        return [each for each in self.alerts if each.status is AlertStatus.RESOLVED]


def alone(alert: AlertRaised) -> Notification:
    """A notification of one alert that belongs to no group."""
    labels = labelled(alert, IDENTITY)
    return Notification(
        group_key=group_key(labels),
        group_labels=labels,
        dedup_key=alert.dedup_key,
        status=alert.status,
        alerts=(alert,),
    )


def webhook(told: Notification, receiver: str) -> Json:
    """The body that Alertmanager would POST for the group."""
    annotations = [{**each.annotations, **_facts(each)} for each in told.alerts]
    return {
        "version": "4",
        "groupKey": told.group_key,
        "truncatedAlerts": 0,
        "status": "resolved" if told.status is AlertStatus.RESOLVED else "firing",
        "receiver": receiver,
        "groupLabels": told.group_labels,
        "commonLabels": common([each.labels for each in told.alerts]),
        "commonAnnotations": common(annotations),
        "externalURL": told.alerts[0].annotations.get("dashboard_url", ""),
        "alerts": [
            {
                "status": "resolved" if alert.status is AlertStatus.RESOLVED else "firing",
                "labels": alert.labels,
                "annotations": noted,
                "startsAt": alert.starts_at.isoformat(),
                "endsAt": alert.ends_at.isoformat() if alert.ends_at is not None else NEVER,
                "generatorURL": alert.annotations.get("dashboard_url", ""),
                "fingerprint": alert.fingerprint,
            }
            for alert, noted in zip(told.alerts, annotations, strict=True)
        ],
    }


def pagerduty(told: Notification, routing_key: str) -> Json:
    """An event of the Events API v2: one incident per group; a repeated event changes nothing."""
    event: Json = {
        "routing_key": routing_key,
        "event_action": PAGERDUTY_ACTIONS[told.status],
        "dedup_key": told.dedup_key,
    }
    if told.status is AlertStatus.ACKNOWLEDGED or told.status is AlertStatus.RESOLVED:
        return event
    alerts = told.firing or told.ended
    worst, labels = _worst(alerts), common([each.labels for each in alerts])
    annotations = common([{**each.annotations, **_facts(each)} for each in alerts])
    links = [
        {"href": annotations[key], "text": text}
        for key, text in (("runbook_url", "Runbook"), ("dashboard_url", "Dashboard"))
        if key in annotations
    ]
    payload = {
        "summary": _headline(alerts)[:1024],
        "source": labels.get("provider", "fairlead"),
        "severity": PAGERDUTY_SEVERITIES[worst],
        "timestamp": min(each.starts_at for each in alerts).isoformat(),
        "component": labels.get("service", "fairlead"),
        "group": labels.get("provider", told.group_key),
        "class": labels.get("alertname", "several"),
        "custom_details": {
            **labels,
            **annotations,
            "num_firing": str(len(told.firing)),
            "num_resolved": str(len(told.ended)),
            "firing": "\n".join(_listed(told.firing)),
            "resolved": "\n".join(_listed(told.ended)),
        },
    }
    return {**event, "client": "Fairlead", "payload": payload, "links": links}


class Text(NamedTuple):
    """For people. ``kind``: failure, warning, info or success."""

    title: str
    body: str
    kind: str


def text(told: Notification) -> Text:
    """What, since when, why, and where to read on: in full of one alert, a line for each of several."""
    alerts = told.firing or told.ended
    body = _full(alerts[0]) if len(told.alerts) == 1 else _overview(told)
    if told.status is AlertStatus.RESOLVED:
        return Text(f"[resolved] {_headline(alerts)}", body, "success")
    worst = _worst(alerts)
    kinds = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}
    return Text(f"[{worst.value}] {_headline(alerts)}", body, kinds[worst])


def common(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    first, *others = each
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}


def _worst(alerts: Iterable[AlertRaised]) -> Severity:
    return min((each.severity for each in alerts), key=list(Severity).index)


def _summary(alert: AlertRaised) -> str:
    return alert.annotations.get("summary", alert.alertname)


def _headline(alerts: Sequence[AlertRaised]) -> str:
    """The summary of one; of several their number, and as many as a screen shows."""
    if len(alerts) == 1:
        return _summary(alerts[0])
    shown = "; ".join(_summary(each) for each in alerts[:HEADLINED])
    more = len(alerts) - HEADLINED
    return f"{len(alerts)} alerts: {shown}" + (f"; {more} more" if more > 0 else "")


def _listed(alerts: Sequence[AlertRaised]) -> list[str]:
    """A line for each, the worst and oldest first."""
    ordered = sorted(alerts, key=lambda a: (list(Severity).index(a.severity), a.starts_at, a.fingerprint))
    lines = [
        f"[{each.severity.value}] {_summary(each)}, since {each.starts_at:%Y-%m-%d %H:%M:%S %Z}"
        for each in ordered[:LISTED]
    ]
    more = len(alerts) - LISTED
    return [*lines, f"and {more} more"] if more > 0 else lines


def _overview(told: Notification) -> str:
    lines = _listed(told.firing)
    if told.firing and told.ended:
        lines.append("resolved:")
    lines += _listed(told.ended)
    return "\n".join([*lines, *_links(common([each.annotations for each in told.alerts]))])


def _full(alert: AlertRaised) -> str:
    lines = [alert.annotations.get("description", ""), f"since {alert.starts_at:%Y-%m-%d %H:%M:%S %Z}"]
    if alert.ends_at is not None:
        lines.append(f"until {alert.ends_at:%Y-%m-%d %H:%M:%S %Z}")
    lines += [f"{name}: {value}" for name, value in _facts(alert).items()]
    return "\n".join(filter(None, [*lines, *_links(alert.annotations)]))


def _links(annotations: Mapping[str, str]) -> list[str]:
    return [annotations[key] for key in ("runbook_url", "dashboard_url") if key in annotations]


def _facts(alert: AlertRaised) -> dict[str, str]:
    """The figures and the evidence, as texts."""
    action = alert.action_taken
    found = {
        "value": None if alert.value is None else f"{alert.value:g}",
        "threshold": None if alert.threshold is None else f"{alert.threshold:g}",
        "window": alert.window,
        "sample_count": None if alert.sample_count is None else str(alert.sample_count),
        "errors": ", ".join(f"{count} {name}" for name, count in sorted(alert.evidence.error_classes.items()))
        or None,
        "calls": ", ".join(alert.evidence.call_ids) or None,
        "probes": ", ".join(alert.evidence.probe_ids) or None,
        "traces": ", ".join(alert.evidence.trace_ids) or None,
        "action_taken": None if action is None else f"{action.action} to {action.to_target}: {action.reason}",
    }
    return {name: value for name, value in found.items() if value is not None}
