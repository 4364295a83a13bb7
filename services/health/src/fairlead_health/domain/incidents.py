"""Incidents of one provider, put together from its states, its alerts and the switches away from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity
from fairlead_common.operations.health import Interval
from fairlead_common.operations.incidents import Entry, Incident, IncidentAlert

UNWELL: Final = ("down", "degraded")
JOINED: Final = timedelta(minutes=5)
"""What comes back within this time is the same incident."""
NEAR: Final = timedelta(minutes=1)
"""A switch this long before an incident began belongs to it: breakers may act before the state changes."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Traffic of the provider was moved to ``other``, or is all back from it."""

    at: datetime
    away: bool
    other: str
    cause: str


@dataclass(slots=True)
class _Open:
    """An incident that is being put together. ``end`` None = it is not over."""

    start: datetime
    end: datetime | None
    intervals: list[Interval] = field(default_factory=list)
    alerts: list[AlertRaised] = field(default_factory=list)

    def holds(self, at: datetime) -> bool:
        return self.end is None or at <= self.end + JOINED


def incidents(
    provider: str,
    intervals: Sequence[Interval],
    alerts: Iterable[AlertRaised],
    switches: Sequence[Switch],
    now: datetime,
) -> list[Incident]:
    """Newest first.

    Args:
        intervals: states of the provider, in any order.
        alerts: the last transition of each episode; those of severity info are no incident.
    """
    told = [each for each in alerts if each.severity is not Severity.INFO]
    spans: list[tuple[datetime, datetime | None, Interval | AlertRaised]] = [
        (each.started_at, each.ended_at, each) for each in intervals if each.status in UNWELL
    ]
    spans += [(each.starts_at, each.ends_at, each) for each in told]
    found: list[_Open] = []
    for start, end, each in sorted(spans, key=lambda span: span[0]):
        if not found or not found[-1].holds(start):
            found.append(_Open(start, end))
        current = found[-1]
        current.end = None if end is None or current.end is None else max(current.end, end)
        if isinstance(each, AlertRaised):
            current.alerts.append(each)
        else:
            current.intervals.append(each)
    return [_incident(provider, each, intervals, switches, now) for each in reversed(found)]


def _incident(
    provider: str, found: _Open, intervals: Iterable[Interval], switches: Iterable[Switch], now: datetime
) -> Incident:
    end = found.end or now
    statuses = [each.status for each in found.intervals]
    reasons = [each.reason for each in found.intervals]
    reasons += [each.annotations.get("description", each.alertname) for each in found.alerts]
    found_in = [alert.evidence for alert in found.alerts]
    failed = [call_id for each in found_in for call_id in (*each.call_ids, *each.probe_ids)]
    return Incident(
        id=f"{provider}:{int(found.start.timestamp())}",
        provider=provider,
        opened_at=found.start,
        resolved_at=found.end,
        duration_s=round((end - found.start).total_seconds(), 3),
        worst_status=next((status for status in UNWELL if status in statuses), "healthy"),
        reason=reasons[0],
        evidence=list(dict.fromkeys(failed)),
        alerts=[_alert(each) for each in found.alerts],
        timeline=_timeline(found, intervals, switches, end, reasons[0]),
    )


def _timeline(
    found: _Open, intervals: Iterable[Interval], switches: Iterable[Switch], end: datetime, reason: str
) -> list[Entry]:
    entries = [Entry(at=found.start, kind="opened", text=reason)]
    entries += [
        Entry(at=each.started_at, kind="status", text=f"{each.status}: {each.reason}")
        for each in intervals
        if found.start <= each.started_at <= end
    ]
    for alert in found.alerts:
        entries.append(Entry(at=alert.starts_at, kind="alert_fired", text=_summary(alert)))
        if alert.ends_at is not None:
            entries.append(Entry(at=alert.ends_at, kind="alert_resolved", text=_summary(alert)))
    for switch in switches:
        if found.start - NEAR <= switch.at <= end + JOINED:
            kind, text = ("switched", "to") if switch.away else ("recovered", "back from")
            entries.append(
                Entry.model_validate(
                    {"at": switch.at, "kind": kind, "text": f"{text} {switch.other}: {switch.cause}"}
                )
            )
    if found.end is not None:
        entries.append(Entry(at=found.end, kind="resolved", text="over"))
    return sorted(entries, key=lambda entry: entry.at)


def _summary(alert: AlertRaised) -> str:
    return f"{alert.alertname} ({alert.severity.value}): {alert.annotations.get('summary', '')}"


def _alert(alert: AlertRaised) -> IncidentAlert:
    by = alert.labels.get("acknowledged_by")
    return IncidentAlert(
        alert_id=alert.alert_id,
        alertname=alert.alertname,
        severity=alert.severity.value,
        status=alert.status.value if alert.ends_at is None else AlertStatus.RESOLVED.value,
        acknowledged_by=by,
        runbook_url=alert.annotations.get("runbook_url"),
    )
