"""Facts that health alone publishes: provider status and the ticks of its probe schedules."""

from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from fairlead_common.events.event import Event


class Status(StrEnum):
    """State of a provider as Fairlead judges it."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    MAINTENANCE = "maintenance"


class Evidence(BaseModel):
    """One reason for a state: what was seen, by whom, when."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    """active (a probe), passive (live traffic), operator, status_page."""
    detail: str
    observed_at: AwareDatetime
    sample_count: int | None = None
    value: float | None = None
    threshold: float | None = None
    ref: str | None = None
    """Id of the probe, call or trace."""


class ProviderStatus(BaseModel):
    """The state of one provider; also the value in the ``provider-status`` bucket under the provider's name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    status: Status
    since: AwareDatetime
    sequence: int
    """Grows by one with each change of status of this provider; never reused."""
    reason: str
    score: float | None = None
    """0 to 100; None = unknown."""
    avg_latency_ms: float | None = None
    error_rate: float | None = None
    """Share of failed calls in the status window, 0 to 1; None = no calls."""
    uptime_percentage: float | None = None
    """0 to 100 over 24 h of known time; None = nothing known."""
    coverage_percentage: float | None = None
    """Share of the last 24 h that is known, 0 to 100."""
    last_check: AwareDatetime | None = None
    evidence: tuple[Evidence, ...] = ()
    """The last of each source, newest first."""
    region: str | None = None
    """Where the provider's row says that it is."""


class ProviderStatusPublished(Event):
    """Sent at once on every change, and as a heartbeat in between (``changed`` tells)."""

    subject_prefix: ClassVar[str] = "provider.status"

    state: ProviderStatus
    previous: Status | None = None
    changed: bool

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.state.provider}"
