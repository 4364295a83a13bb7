"""Incidents put together from states, alerts and switches that were planted, against times worked out by hand."""

from datetime import UTC, datetime, timedelta

from fairlead_common.events.alerts import AlertEvidence, AlertRaised, AlertStatus, Severity
from fairlead_common.operations.health import Interval
from fairlead_health.domain.incidents import Switch, incidents

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)


def at(minutes: float) -> datetime:
    return MIDNIGHT + timedelta(minutes=minutes)


def state(status: str, start: float, end: float | None) -> Interval:
    return Interval(
        status=status,
        started_at=at(start),
        ended_at=None if end is None else at(end),
        reason=f"because of {status}",
    )


def alert(name: str, start: float, end: float | None, severity: Severity = Severity.CRITICAL) -> AlertRaised:
    return AlertRaised(
        event_id=name,
        occurred_at=at(start),
        alert_id=f"{name}-{start:g}",
        fingerprint=name,
        sequence=1,
        status=AlertStatus.FIRING if end is None else AlertStatus.RESOLVED,
        severity=severity,
        alertname=name,
        provider="openai",
        labels={"acknowledged_by": "ann"},
        annotations={"summary": "it is down", "description": "3 failures", "runbook_url": "https://r"},
        starts_at=at(start),
        ends_at=None if end is None else at(end),
        last_evaluated_at=at(start),
        evidence=AlertEvidence(call_ids=("a", "b")),
    )


def test_a_quiet_day_has_none() -> None:
    assert incidents("openai", [state("healthy", 0, None)], [], [], NOON) == []
    assert incidents("openai", [state("maintenance", 0, 60), state("unknown", 60, 70)], [], [], NOON) == []


def test_an_outage_with_its_alert_and_switches_is_one_incident_with_a_time_line() -> None:
    intervals = [state("healthy", 0, 60), state("down", 60, 90), state("healthy", 90, None)]
    switches = [
        Switch(at(59.9), True, "anthropic", "breaker_open"),
        Switch(at(92), False, "anthropic", "well again"),
        Switch(at(300), True, "google", "operator"),
    ]
    (found,) = incidents("openai", intervals, [alert("down", 60, 90.5)], switches, NOON)
    assert (found.opened_at, found.resolved_at, found.duration_s) == (at(60), at(90.5), 1830.0)
    assert (found.worst_status, found.reason, found.evidence) == ("down", "because of down", ["a", "b"])
    assert [(entry.at, entry.kind) for entry in found.timeline] == [
        (at(59.9), "switched"),
        (at(60), "opened"),
        (at(60), "status"),
        (at(60), "alert_fired"),
        (at(90), "status"),
        (at(90.5), "alert_resolved"),
        (at(90.5), "resolved"),
        (at(92), "recovered"),
    ]
    assert found.timeline[0].text == "to anthropic: breaker_open"
    (told,) = found.alerts
    assert (told.alertname, told.status, told.acknowledged_by) == ("down", "resolved", "ann")


def test_what_comes_back_within_five_minutes_is_the_same_incident() -> None:
    flapping = [
        state("degraded", 10, 12),
        state("healthy", 12, 16),
        state("down", 16, 20),
        state("healthy", 20, 26),
        state("down", 26, 27),
    ]
    second, first = incidents("openai", flapping, [], [], NOON)
    assert (first.opened_at, first.resolved_at, first.worst_status) == (at(10), at(20), "down")
    assert (second.opened_at, second.resolved_at) == (at(26), at(27))


def test_one_that_is_not_over_lasts_until_now() -> None:
    (found,) = incidents("openai", [state("down", 700, None)], [], [], NOON)
    assert (found.resolved_at, found.duration_s) == (None, 1200.0)
    assert [entry.kind for entry in found.timeline] == ["opened", "status"]


def test_an_alert_of_a_provider_that_is_up_is_an_incident_unless_it_only_informs() -> None:
    slow, drift = alert("high_latency", 30, 45, Severity.WARNING), alert("wire_drift", 5, None, Severity.INFO)
    (found,) = incidents("openai", [state("healthy", 0, None)], [slow, drift], [], NOON)
    assert (found.opened_at, found.resolved_at, found.worst_status) == (at(30), at(45), "healthy")
    assert found.reason == "3 failures"
