"""What notifiers send: an alert as Alertmanager's webhook (v4), as a PagerDuty event (v2), and as a text for people."""

import json
from typing import Any, Final, NamedTuple

from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity

NEVER: Final = "0001-01-01T00:00:00Z"
"""Alertmanager's end of an alert that has not ended."""

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


def webhook(alert: AlertRaised, receiver: str) -> Json:
    """The body that Alertmanager would POST for a group of this one alert."""
    status = "resolved" if alert.status is AlertStatus.RESOLVED else "firing"
    group = {"alertname": alert.alertname, "provider": alert.provider}
    matchers = ", ".join(f"{name}={json.dumps(value)}" for name, value in group.items())
    annotations = {**alert.annotations, **_facts(alert)}
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{matchers}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": alert.labels,
        "commonAnnotations": annotations,
        "externalURL": alert.annotations.get("dashboard_url", ""),
        "alerts": [
            {
                "status": status,
                "labels": alert.labels,
                "annotations": annotations,
                "startsAt": alert.starts_at.isoformat(),
                "endsAt": alert.ends_at.isoformat() if alert.ends_at is not None else NEVER,
                "generatorURL": alert.annotations.get("dashboard_url", ""),
                "fingerprint": alert.fingerprint,
            }
        ],
    }


def pagerduty(alert: AlertRaised, routing_key: str) -> Json:
    """An event of the Events API v2; the dedup key is that of the episode, so a repeated one changes nothing."""
    event: Json = {
        "routing_key": routing_key,
        "event_action": PAGERDUTY_ACTIONS[alert.status],
        "dedup_key": alert.dedup_key,
    }
    if alert.status is AlertStatus.ACKNOWLEDGED or alert.status is AlertStatus.RESOLVED:
        return event
    links = [
        {"href": alert.annotations[key], "text": text}
        for key, text in (("runbook_url", "Runbook"), ("dashboard_url", "Dashboard"))
        if key in alert.annotations
    ]
    payload = {
        "summary": alert.annotations.get("summary", alert.alertname)[:1024],
        "source": alert.provider,
        "severity": PAGERDUTY_SEVERITIES[alert.severity],
        "timestamp": alert.starts_at.isoformat(),
        "component": alert.labels.get("service", "fairlead"),
        "group": alert.provider,
        "class": alert.alertname,
        "custom_details": {**alert.labels, **alert.annotations, **_facts(alert)},
    }
    return {**event, "client": "Fairlead", "payload": payload, "links": links}


class Text(NamedTuple):
    """For people. ``kind``: failure, warning, info or success."""

    title: str
    body: str
    kind: str


def text(alert: AlertRaised) -> Text:
    """A few lines that say what, since when, why, and where to read on."""
    summary = alert.annotations.get("summary", alert.alertname)
    lines = [alert.annotations.get("description", ""), f"since {alert.starts_at:%Y-%m-%d %H:%M:%S %Z}"]
    if alert.ends_at is not None:
        lines.append(f"until {alert.ends_at:%Y-%m-%d %H:%M:%S %Z}")
    lines += [f"{name}: {value}" for name, value in _facts(alert).items()]
    lines += [alert.annotations[key] for key in ("runbook_url", "dashboard_url") if key in alert.annotations]
    body = "\n".join(filter(None, lines))
    if alert.status is AlertStatus.RESOLVED:
        return Text(f"[resolved] {summary}", body, "success")
    kinds = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}
    return Text(f"[{alert.severity.value}] {summary}", body, kinds[alert.severity])


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
