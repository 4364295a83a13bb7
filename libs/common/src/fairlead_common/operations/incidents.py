"""Incidents: when a provider was not well, and what happened meanwhile."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.operations.health import SERVICE


class IncidentsQuery(BaseModel):
    """Which incidents, newest first."""

    provider: str | None = None
    since: AwareDatetime | None = Field(default=None, description="null: 30 days ago")
    limit: int = Field(default=100, ge=1, le=1000)


class Entry(BaseModel):
    """Something that happened."""

    at: AwareDatetime
    kind: Literal["opened", "status", "alert_fired", "alert_resolved", "switched", "recovered", "resolved"]
    text: str


class IncidentAlert(BaseModel):
    """One alert of an incident."""

    alert_id: str
    alertname: str
    severity: str
    status: str
    acknowledged_by: str | None
    runbook_url: str | None


class Incident(BaseModel):
    """A time in which a provider was down or degraded, or an alert (other than info) was open for it.

    What comes back within five minutes is the same incident.
    """

    id: str
    provider: str
    opened_at: AwareDatetime
    resolved_at: AwareDatetime | None = Field(description="null: it is not over")
    duration_s: float = Field(description="until now while it is not over")
    worst_status: str
    reason: str = Field(description="what was said first")
    evidence: list[str] = Field(description="ids of calls and probes that failed")
    alerts: list[IncidentAlert]
    timeline: list[Entry]


class Incidents(BaseModel):
    """Newest first."""

    incidents: list[Incident]


INCIDENTS = Operation(SERVICE, "incidents", IncidentsQuery, Incidents, timeout_s=15)
