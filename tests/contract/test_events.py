"""Each event type against its golden file: what is on the wire today must be readable for ever.

A change that only adds optional fields keeps these green. To add a type, add an example below and write its file with
``python -m tests.contract.test_events``.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fairlead_common.events.abtest import RunTestJob, TestResultRecorded
from fairlead_common.events.alerts import ActionTaken, AlertEvidence, AlertRaised, AlertStatus, Severity
from fairlead_common.events.calls import (
    Attempt,
    Call,
    CallKind,
    CallsCompleted,
    Considered,
    Decision,
    LeftOut,
)
from fairlead_common.events.comparison import (
    ModelPerformance,
    ProviderPerformance,
    ProviderPerformancePublished,
    ReportPublished,
)
from fairlead_common.events.edge import WireDriftSeen
from fairlead_common.events.event import Event
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.events.health import Evidence, ProviderStatus, ProviderStatusPublished, Status
from fairlead_common.outcomes import CallState, ErrorClass

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ID = "0193592e-7c00-7000-8000-000000000001"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

FAILED = Attempt(
    provider="openai",
    model="gpt-5.4-mini",
    offset_ms=0.1,
    duration_ms=12.0,
    error_class=ErrorClass.OVERLOADED,
    status=503,
)
SERVED = Attempt(
    provider="anthropic",
    model="claude-haiku-4-5",
    offset_ms=12.4,
    duration_ms=402.0,
    ttft_ms=180.0,
    status=200,
    reason="failover",
    input_tokens=11,
    output_tokens=42,
    cost_usd=0.000221,
    finish_reason="stop",
)
DECISION = Decision(
    strategy="balanced",
    rule_version=3,
    draw=0.25,
    probability=1.0,
    tokens=11,
    needs=("tools",),
    metadata={"team": "search"},
    considered=1,
    candidates=(Considered(target="openai/gpt-5.4-mini", score=0.71, latency_ms=410.0, quality=0.8),),
    left_out=1,
    excluded=(LeftOut(target="google/gemini-3-flash", reason="the provider is down"),),
)
CALL = Call(
    call_id=ID,
    kind=CallKind.LIVE,
    requested_model="openai/gpt-5.4-mini",
    stream=True,
    started_at=NOW,
    state=CallState.OK,
    status=200,
    provider="anthropic",
    model="claude-haiku-4-5",
    failover=True,
    duration_ms=415.0,
    ttft_ms=193.0,
    overhead_ms=0.6,
    input_tokens=11,
    output_tokens=42,
    cost_usd=0.000221,
    attempts=(FAILED, SERVED),
    decision=DECISION,
)
STATE = ProviderStatus(
    provider="openai",
    status=Status.DOWN,
    since=NOW,
    sequence=4,
    reason="5 failures in a row",
    score=12.5,
    error_rate=1.0,
    last_check=NOW,
    evidence=(Evidence(source="passive", detail="5 failures in a row", observed_at=NOW, sample_count=5),),
)
PERFORMANCE = ProviderPerformance(
    provider="openai",
    window_s=300,
    window_end=NOW,
    models=(
        ModelPerformance(provider="openai", model="gpt-5.4-mini", calls=120, failures=1, error_rate=1 / 120),
    ),
)

EXAMPLES: tuple[Event, ...] = (
    CallsCompleted(event_id=ID, occurred_at=NOW, traceparent=TRACE, source="edge-1", calls=(CALL,)),
    ProviderStatusPublished(event_id=ID, occurred_at=NOW, state=STATE, previous=Status.HEALTHY, changed=True),
    AlertRaised(
        event_id=ID,
        occurred_at=NOW,
        alert_id=ID,
        fingerprint="9f2c",
        sequence=1,
        status=AlertStatus.FIRING,
        severity=Severity.CRITICAL,
        alertname="down",
        provider="openai",
        labels={"provider": "openai"},
        annotations={"summary": "openai is down"},
        starts_at=NOW,
        last_evaluated_at=NOW,
        value=5,
        threshold=5,
        evidence=AlertEvidence(call_ids=(ID,), error_classes={"connect": 5}),
        action_taken=ActionTaken(action="failover", from_target="openai", to_target="anthropic"),
    ),
    FailoverSwitched(
        event_id=ID,
        occurred_at=NOW,
        workspace_id=1,
        from_target="openai",
        to_target="anthropic",
        cause="status_down",
        version=7,
    ),
    FailoverRecovered(
        event_id=ID,
        occurred_at=NOW,
        workspace_id=1,
        from_target="anthropic",
        to_target="openai",
        down_s=42.0,
        version=9,
    ),
    ProviderPerformancePublished(event_id=ID, occurred_at=NOW, performance=PERFORMANCE),
    WireDriftSeen(
        event_id=ID,
        occurred_at=NOW,
        source="edge-1",
        provider="openai",
        kind="openai:usage.new_tokens",
        first_seen_at=NOW,
    ),
    ReportPublished(
        event_id=ID,
        occurred_at=NOW,
        report_id=3,
        period="daily",
        starts_at=NOW,
        ends_at=NOW,
        title="22 November 2026",
    ),
    RunTestJob(
        event_id=ID,
        occurred_at=NOW,
        test_id=5,
        prompt_index=0,
        provider="openai",
        model="gpt-5.4-mini",
        messages=({"role": "user", "content": "Say hello."},),
    ),
    TestResultRecorded(
        event_id=ID,
        occurred_at=NOW,
        test_id=5,
        prompt_index=0,
        provider="openai",
        model="gpt-5.4-mini",
        response="Hello.",
        latency_ms=400.0,
        quality_score=1.0,
        scores={"reference_match.v1": 1.0},
    ),
)


def path_of(event: Event) -> Path:
    return GOLDEN / f"{type(event).__name__}.json"


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_the_wire_form_is_what_it_was(event: Event) -> None:
    stored = json.loads(path_of(event).read_text())
    assert stored["subject"] == event.subject
    assert stored["msg_id"] == event.msg_id
    read = type(event).model_validate(stored["payload"])
    assert read == event


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_unknown_fields_of_a_newer_publisher_are_ignored(event: Event) -> None:
    payload = json.loads(event.to_json()) | {"field_from_the_future": 1}
    assert type(event).model_validate(payload) == event


def _all_types(of: type[Event]) -> set[type[Event]]:
    return {leaf for sub in of.__subclasses__() for leaf in (_all_types(sub) or {sub})}


def test_every_event_type_has_an_example() -> None:
    published = {kind for kind in _all_types(Event) if kind.__module__.startswith("fairlead_common.events")}
    assert published == {type(event) for event in EXAMPLES}


if __name__ == "__main__":
    for example in EXAMPLES:
        content = {
            "subject": example.subject,
            "msg_id": example.msg_id,
            "payload": json.loads(example.to_json()),
        }
        path_of(example).write_text(json.dumps(content, indent=2) + "\n")
