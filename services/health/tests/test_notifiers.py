"""Notifiers: what is refused, who is told of what, and what exactly is sent."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead_common.events.alerts import ActionTaken, AlertEvidence, AlertRaised, AlertStatus, Severity
from fairlead_health.domain.messages import pagerduty, text, webhook
from fairlead_health.domain.notifiers import NOTIFIER, SecretMissing, read, redacted, resolved, wants

SECRETS = {"NOTIFIER_KEY": "s3cret", "NOTIFIER_HOST": "ops.example"}
HOOK = {"name": "ops", "kind": "webhook", "url": "https://ops.example/hook"}
PAGER = {"name": "pager", "kind": "pagerduty", "routing_key": "${NOTIFIER_KEY}"}
ALERT = AlertRaised(
    event_id="e",
    occurred_at=datetime(2026, 11, 25, 12, 0, 5, tzinfo=UTC),
    alert_id="episode",
    fingerprint="f00d",
    sequence=1,
    status=AlertStatus.FIRING,
    severity=Severity.CRITICAL,
    alertname="down",
    provider="openai",
    labels={"alertname": "down", "provider": "openai", "severity": "critical", "service": "health"},
    annotations={
        "summary": "openai is down",
        "description": "3 failures",
        "runbook_url": "https://r/down.md",
    },
    starts_at=datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
    last_evaluated_at=datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
    value=0.5,
    threshold=0.1,
    window="5m",
    sample_count=40,
    evidence=AlertEvidence(call_ids=("a", "b"), error_classes={"timeout": 2, "connect": 1}),
    action_taken=ActionTaken(action="failover", to_target="anthropic", reason="status_down"),
)
RESOLVED = ALERT.model_copy(
    update={
        "status": AlertStatus.RESOLVED,
        "sequence": 2,
        "ends_at": datetime(2026, 11, 25, 12, 30, tzinfo=UTC),
    }
)


@pytest.mark.parametrize(
    ("raw", "where", "reason"),
    [
        ([{**HOOK, "uri": "x"}], "notifiers[0].uri", "there is no such key"),
        ([{**HOOK, "kind": "fax"}], "notifiers[0]", "kind 'fax' is unknown"),
        ([{"name": "a", "kind": "webhook"}], "notifiers[0].url", "is missing"),
        ([{**HOOK, "url": "ftp://x"}], "notifiers[0].url", "pattern"),
        ([{**HOOK, "url": "https://me:pw@ops.example"}], "notifiers[0].url", "give a reference"),
        (
            [{**HOOK, "headers": {"Authorization": "Bearer x"}}],
            "notifiers[0].headers.Authorization",
            "secret",
        ),
        ([{**PAGER, "routing_key": "R0UT1NG"}], "notifiers[0].routing_key", "give a reference"),
        (
            [{**PAGER, "routing_key": "${OPENAI_API_KEY}"}],
            "notifiers[0].routing_key",
            "only variables NOTIFIER_",
        ),
        ([{**PAGER, "routing_key": "${NOTIFIER_X}"}], "notifiers[0].routing_key", "NOTIFIER_X is not set"),
        ([{"name": "s", "kind": "apprise", "url": "slack://a/b"}], "notifiers[0].url", "give a reference"),
        ([HOOK, HOOK], "notifiers[1].name", "given twice"),
        ([{**HOOK, "providers": ["opnai"]}], "notifiers[0].providers[0]", "there are openai"),
        ([{**HOOK, "alertnames": ["dwn"]}], "notifiers[0].alertnames[0]", "there are down"),
        ([{**HOOK, "severities": ["loud"]}], "notifiers[0].severities[0]", "'critical', 'warning' or 'info'"),
    ],
)
def test_a_notifier_is_refused_with_its_place_and_the_reason(
    raw: list[dict[str, Any]], where: str, reason: str
) -> None:
    _, problems = read(raw, ["openai"], ["down"], SECRETS)
    assert where in [each.where for each in problems]
    assert reason in next(each.message for each in problems if each.where == where)
    assert not any(value in each.message for value in SECRETS.values() for each in problems)


def test_good_notifiers_are_accepted() -> None:
    header = {**HOOK, "headers": {"Authorization": "Bearer ${NOTIFIER_KEY}", "x-team": "platform"}}
    found, problems = read([header, PAGER], ["openai"], ["down"], SECRETS)
    assert (len(found), problems) == (2, [])


@pytest.mark.parametrize(
    ("given", "status", "expected"),
    [
        ({}, "firing", True),
        ({}, "resolved", True),
        ({}, "suppressed", False),
        ({}, "acknowledged", False),
        ({"send_resolved": False}, "resolved", False),
        ({"severities": ["warning", "info"]}, "firing", False),
        ({"severities": ["critical"], "providers": ["openai"], "alertnames": ["down"]}, "firing", True),
        ({"providers": ["anthropic"]}, "firing", False),
        ({"alertnames": ["degraded"]}, "firing", False),
        ({"enabled": False}, "firing", False),
    ],
)
def test_who_is_told_of_what(given: dict[str, Any], status: str, expected: bool) -> None:
    alert = ALERT.model_copy(update={"status": AlertStatus(status)})
    assert wants(NOTIFIER.validate_python({**HOOK, **given}), alert) is expected


def test_an_acknowledgement_is_for_the_pager() -> None:
    acknowledged = ALERT.model_copy(update={"status": AlertStatus.ACKNOWLEDGED})
    assert wants(NOTIFIER.validate_python(PAGER), acknowledged)


def test_references_are_resolved_and_secrets_never_shown() -> None:
    assert resolved("https://${NOTIFIER_HOST}/${NOTIFIER_KEY}", SECRETS) == "https://ops.example/s3cret"
    assert redacted("refused s3cret at ops.example", SECRETS) == "refused *** at ***"
    with pytest.raises(SecretMissing, match="NOTIFIER_GONE"):
        resolved("${NOTIFIER_GONE}", SECRETS)
    with pytest.raises(SecretMissing, match="PATH"):
        resolved("${PATH}", {**SECRETS, "PATH": "x"})


def test_the_webhook_has_alertmanagers_format() -> None:
    body = webhook(ALERT, "ops")
    assert {key: body[key] for key in ("version", "groupKey", "status", "receiver", "truncatedAlerts")} == {
        "version": "4",
        "groupKey": '{}:{alertname="down", provider="openai"}',
        "status": "firing",
        "receiver": "ops",
        "truncatedAlerts": 0,
    }
    assert body["groupLabels"] == {"alertname": "down", "provider": "openai"}
    assert body["commonLabels"] == ALERT.labels
    (one,) = body["alerts"]
    assert (one["status"], one["fingerprint"]) == ("firing", "f00d")
    assert (one["startsAt"], one["endsAt"]) == ("2026-11-25T12:00:00+00:00", "0001-01-01T00:00:00Z")
    assert one["annotations"]["value"] == "0.5"
    assert one["annotations"]["errors"] == "1 connect, 2 timeout"
    assert one["annotations"]["action_taken"] == "failover to anthropic: status_down"
    (ended,) = webhook(RESOLVED, "ops")["alerts"]
    assert (ended["status"], ended["endsAt"]) == ("resolved", "2026-11-25T12:30:00+00:00")


def test_pagerduty_triggers_acknowledges_and_resolves_one_incident() -> None:
    event = pagerduty(ALERT, "key")
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == (
        "trigger",
        "f00d:episode",
        "key",
    )
    payload = event["payload"]
    assert (payload["summary"], payload["source"], payload["severity"], payload["class"]) == (
        "openai is down",
        "openai",
        "critical",
        "down",
    )
    assert event["links"] == [{"href": "https://r/down.md", "text": "Runbook"}]
    for status, action in (("acknowledged", "acknowledge"), ("resolved", "resolve")):
        alert = ALERT.model_copy(update={"status": AlertStatus(status)})
        assert pagerduty(alert, "key") == {
            "routing_key": "key",
            "event_action": action,
            "dedup_key": "f00d:episode",
        }


def test_the_text_is_for_people() -> None:
    found = text(ALERT)
    assert (found.title, found.kind) == ("[critical] openai is down", "failure")
    assert found.body.splitlines()[:2] == ["3 failures", "since 2026-11-25 12:00:00 UTC"]
    assert (text(RESOLVED).title, text(RESOLVED).kind) == ("[resolved] openai is down", "success")
