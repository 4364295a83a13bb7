"""Notifiers: what is refused, who is told of what, and what exactly is sent."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead_common.events.alerts import ActionTaken, AlertEvidence, AlertRaised, AlertStatus, Severity
from fairlead_health.domain.messages import Notification, alone, pagerduty, text, webhook
from fairlead_health.domain.notifiers import NOTIFIER, SecretMissing, read, redacted, resolved, wants

SECRETS = {"NOTIFIER_KEY": "s3cret", "NOTIFIER_HOST": "ops.example"}
LABELS = ("alertname", "provider", "severity", "region")
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
        (
            [{**HOOK, "group_by": ["provider", "regoin"]}],
            "notifiers[0].group_by[1]",
            "there are ..., alertname",
        ),
        ([{**HOOK, "group_by": ["...", "provider"]}], "notifiers[0].group_by", "give it alone"),
        ([{**HOOK, "group_by": ["provider", "provider"]}], "notifiers[0].group_by", "given twice"),
        ([{**HOOK, "group_wait_s": -1}], "notifiers[0].group_wait_s", "greater than or equal to 0"),
        ([{**HOOK, "group_wait_s": 3601}], "notifiers[0].group_wait_s", "less than or equal to 3600"),
        ([{**HOOK, "group_interval_s": 0}], "notifiers[0].group_interval_s", "greater than or equal to 1"),
        (
            [{**PAGER, "repeat_interval_s": 604_801}],
            "notifiers[0].repeat_interval_s",
            "less than or equal to",
        ),
        (
            [{**HOOK, "group_interval_s": 90, "repeat_interval_s": 60}],
            "notifiers[0].repeat_interval_s",
            "60 is shorter than group_interval_s, 90",
        ),
        ([{**HOOK, "severities": ["loud"]}], "notifiers[0].severities[0]", "'critical', 'warning' or 'info'"),
    ],
)
def test_a_notifier_is_refused_with_its_place_and_the_reason(
    raw: list[dict[str, Any]], where: str, reason: str
) -> None:
    _, problems = read(raw, ["openai"], ["down"], LABELS, SECRETS)
    assert where in [each.where for each in problems]
    assert reason in next(each.message for each in problems if each.where == where)
    assert not any(value in each.message for value in SECRETS.values() for each in problems)


def test_good_notifiers_are_accepted() -> None:
    header = {**HOOK, "headers": {"Authorization": "Bearer ${NOTIFIER_KEY}", "x-team": "platform"}}
    by_region = {**HOOK, "name": "r", "group_by": ["region"], "repeat_interval_s": None}
    alone = {**HOOK, "name": "a", "group_by": ["..."]}
    everything = {**HOOK, "name": "e", "group_by": []}
    found, problems = read(
        [header, PAGER, by_region, alone, everything], ["openai"], ["down"], LABELS, SECRETS
    )
    assert (len(found), problems) == (5, [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"severities": ["warning", "info"]}, False),
        ({"severities": ["critical"], "providers": ["openai"], "alertnames": ["down"]}, True),
        ({"providers": ["anthropic"]}, False),
        ({"alertnames": ["degraded"]}, False),
        ({"enabled": False}, False),
    ],
)
def test_who_is_told_of_what(given: dict[str, Any], expected: bool) -> None:
    assert wants(NOTIFIER.validate_python({**HOOK, **given}), ALERT) is expected


def test_references_are_resolved_and_secrets_never_shown() -> None:
    assert resolved("https://${NOTIFIER_HOST}/${NOTIFIER_KEY}", SECRETS) == "https://ops.example/s3cret"
    assert redacted("refused s3cret at ops.example", SECRETS) == "refused *** at ***"
    with pytest.raises(SecretMissing, match="NOTIFIER_GONE"):
        resolved("${NOTIFIER_GONE}", SECRETS)
    with pytest.raises(SecretMissing, match="PATH"):
        resolved("${PATH}", {**SECRETS, "PATH": "x"})


OTHER = ALERT.model_copy(
    update={
        "alert_id": "other",
        "fingerprint": "beef",
        "provider": "mistral",
        "labels": {**ALERT.labels, "provider": "mistral"},
        "annotations": {**ALERT.annotations, "summary": "mistral is down"},
        "starts_at": datetime(2026, 11, 25, 12, 1, tzinfo=UTC),
    }
)


def told(status: str, *alerts: AlertRaised) -> Notification:
    return Notification(
        group_key='{}:{alertname="down"}',
        group_labels={"alertname": "down"},
        dedup_key="group:episode",
        status=AlertStatus(status),
        alerts=alerts,
    )


def test_the_webhook_has_alertmanagers_format() -> None:
    body = webhook(told("firing", ALERT, OTHER), "ops")
    assert {key: body[key] for key in ("version", "groupKey", "status", "receiver", "truncatedAlerts")} == {
        "version": "4",
        "groupKey": '{}:{alertname="down"}',
        "status": "firing",
        "receiver": "ops",
        "truncatedAlerts": 0,
    }
    assert body["groupLabels"] == {"alertname": "down"}
    assert body["commonLabels"] == {"alertname": "down", "severity": "critical", "service": "health"}
    assert "summary" not in body["commonAnnotations"]
    assert body["commonAnnotations"]["runbook_url"] == "https://r/down.md"
    one, other = body["alerts"]
    assert (one["status"], one["fingerprint"], other["fingerprint"]) == ("firing", "f00d", "beef")
    assert (one["startsAt"], one["endsAt"]) == ("2026-11-25T12:00:00+00:00", "0001-01-01T00:00:00Z")
    assert one["annotations"]["value"] == "0.5"
    assert one["annotations"]["errors"] == "1 connect, 2 timeout"
    assert one["annotations"]["action_taken"] == "failover to anthropic: status_down"


def test_a_group_fires_in_the_webhook_while_one_of_its_alerts_does() -> None:
    body = webhook(told("firing", RESOLVED, OTHER), "ops")
    assert (body["status"], [each["status"] for each in body["alerts"]]) == ("firing", ["resolved", "firing"])
    assert body["alerts"][0]["endsAt"] == "2026-11-25T12:30:00+00:00"
    assert webhook(told("resolved", RESOLVED), "ops")["status"] == "resolved"


def test_pagerduty_triggers_acknowledges_and_resolves_one_incident() -> None:
    event = pagerduty(told("firing", ALERT), "key")
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == (
        "trigger",
        "group:episode",
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
        assert pagerduty(told(status, ALERT), "key") == {
            "routing_key": "key",
            "event_action": action,
            "dedup_key": "group:episode",
        }


def test_pagerduty_is_told_of_the_whole_group_and_its_worst_severity() -> None:
    warning = OTHER.model_copy(update={"severity": Severity.WARNING})
    payload = pagerduty(told("firing", RESOLVED, warning, ALERT), "key")["payload"]
    assert (payload["summary"], payload["source"], payload["severity"]) == (
        "2 alerts: mistral is down; openai is down",
        "fairlead",
        "critical",
    )
    details = payload["custom_details"]
    assert (details["num_firing"], details["num_resolved"]) == ("2", "1")
    assert details["firing"].splitlines() == [
        "[critical] openai is down, since 2026-11-25 12:00:00 UTC",
        "[warning] mistral is down, since 2026-11-25 12:01:00 UTC",
    ]


def test_an_alert_of_no_group_has_a_key_of_its_own() -> None:
    found = alone(ALERT)
    assert (found.group_key, found.dedup_key) == (
        '{}:{alertname="down", provider="openai"}',
        ALERT.dedup_key,
    )


def test_the_text_is_for_people() -> None:
    found = text(told("firing", ALERT))
    assert (found.title, found.kind) == ("[critical] openai is down", "failure")
    assert found.body.splitlines()[:2] == ["3 failures", "since 2026-11-25 12:00:00 UTC"]
    ended = text(told("resolved", RESOLVED))
    assert (ended.title, ended.kind) == ("[resolved] openai is down", "success")


def test_the_text_of_a_group_has_a_line_for_each_alert() -> None:
    found = text(told("firing", RESOLVED, OTHER))
    assert found.title == "[critical] mistral is down"
    assert found.body.splitlines() == [
        "[critical] mistral is down, since 2026-11-25 12:01:00 UTC",
        "resolved:",
        "[critical] openai is down, since 2026-11-25 12:00:00 UTC",
        "https://r/down.md",
    ]
    many = text(told("firing", *([ALERT] * 40)))
    assert many.title == "[critical] 40 alerts: openai is down; openai is down; openai is down; 37 more"
    assert "and 10 more" in many.body.splitlines()
