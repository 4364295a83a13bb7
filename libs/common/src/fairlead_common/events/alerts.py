"""Alerts for people: published by health and failover on ``alerts.<severity>.<provider>.<name>``."""

from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from fairlead_common.events.event import Event, token


class AlertStatus(StrEnum):
    """Where an alert stands."""

    FIRING = "firing"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    SUPPRESSED = "suppressed"


class Severity(StrEnum):
    """How soon a person must look: critical wakes, warning waits for office hours, info is for reading."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class AlertEvidence(BaseModel):
    """Pointers to what the alert is based on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    probe_ids: tuple[str, ...] = ()
    call_ids: tuple[str, ...] = ()
    trace_ids: tuple[str, ...] = ()
    error_classes: dict[str, int] = {}
    wire_drift: tuple[str, ...] = ()
    """What is new on a vendor's wire, as ``wire:where.name``."""


class ActionTaken(BaseModel):
    """What Fairlead did about it by itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    action: str
    """failover, none, ..."""
    from_target: str | None = None
    to_target: str | None = None
    reason: str | None = None
    version: int | None = None


class AlertRaised(Event):
    """One transition of one alert. Fields map one to one to the Alertmanager webhook (v4) and PagerDuty Events v2."""

    subject_prefix: ClassVar[str] = "alerts"

    alert_id: str
    """One per firing episode."""
    fingerprint: str
    """Hash of the sorted identity labels: the same for every episode of the same alert."""
    sequence: int
    """Monotonic per fingerprint."""
    status: AlertStatus
    severity: Severity
    alertname: str
    provider: str
    labels: dict[str, str]
    annotations: dict[str, str]
    """summary, description, runbook_url, dashboard_url."""
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    last_evaluated_at: AwareDatetime
    value: float | None = None
    threshold: float | None = None
    window: str | None = None
    sample_count: int | None = None
    evidence: AlertEvidence = AlertEvidence()
    action_taken: ActionTaken | None = None
    flap: bool = False
    inhibited_by: str | None = None

    @property
    def dedup_key(self) -> str:
        """PagerDuty's key: the episode."""
        return f"{self.fingerprint}:{self.alert_id}"

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.severity}.{token(self.provider)}.{token(self.alertname)}"

    @property
    def msg_id(self) -> str:
        return f"{self.fingerprint}:{self.sequence}"
