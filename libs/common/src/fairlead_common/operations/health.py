"""What the health service answers."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.events.health import ProviderStatus

SERVICE = "health"
ProbeKind = Literal["cheap", "completion", "streaming"]


class Window(BaseModel):
    """Calls of one provider (or one of its models) in one window. Null = no calls, so nothing is known."""

    window: str
    model: str | None
    calls: int
    failures: int
    limited: int = Field(
        default=0, description="refused for our rate or quota: neither failures nor successes"
    )
    error_rate: float | None = Field(description="failures among the calls that were not limited")
    error_classes: dict[str, int]
    latency_p50_ms: float | None
    latency_p90_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None


class ProviderHealth(ProviderStatus):
    """One provider in the summary."""

    coverage_percentage: float = Field(description="share of the last 24 h whose state is known")


class Summary(BaseModel):
    """All configured providers."""

    providers: list[ProviderHealth]


class OneProvider(BaseModel):
    """Which provider."""

    provider: str


class ProviderDetail(BaseModel):
    """One provider with its windows."""

    health: ProviderHealth
    windows: list[Window]
    score_formula: str


class HistoryQuery(BaseModel):
    """Which part of the history."""

    provider: str
    since: AwareDatetime | None = None
    limit: int = Field(default=200, ge=1, le=5000)


class Interval(BaseModel):
    """A time during which a provider was in one state. ``ended_at`` null = until now."""

    status: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    reason: str


class History(BaseModel):
    """States, newest first."""

    provider: str
    intervals: list[Interval]


class ProbeIn(BaseModel):
    """How a provider is probed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ProbeKind = "completion"
    interval_s: int = Field(default=300, ge=1, le=86_400)
    enabled: bool = True
    model: str | None = Field(default=None, description="null: the cheapest the catalog knows")


class Probe(ProbeIn):
    """As it is stored."""

    provider: str


class PutProbe(BaseModel):
    """Change how a provider is probed."""

    provider: str
    probe: ProbeIn


class Probes(BaseModel):
    """All schedules."""

    probes: list[Probe]


class ProbeResult(BaseModel):
    """What one probe found."""

    provider: str
    kind: str
    ok: bool
    error_class: str | None
    latency_ms: float
    ttft_ms: float | None
    connect_ms: float | None


class MaintenanceIn(BaseModel):
    """A provider is not to be used or judged for a while. ``ends_at`` null = until it is ended by hand."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=3, max_length=300)
    ends_at: AwareDatetime | None = None


class SetMaintenance(BaseModel):
    """Begin maintenance."""

    provider: str
    maintenance: MaintenanceIn


SUMMARY = Operation(SERVICE, "summary", Empty, Summary)
PROVIDER = Operation(SERVICE, "provider", OneProvider, ProviderDetail)
HISTORY = Operation(SERVICE, "history", HistoryQuery, History)
PROBES = Operation(SERVICE, "probes", Empty, Probes)
PUT_PROBE = Operation(SERVICE, "put_probe", PutProbe, Probe)
RUN_PROBE = Operation(SERVICE, "run_probe", OneProvider, ProbeResult, timeout_s=60)
SET_MAINTENANCE = Operation(SERVICE, "set_maintenance", SetMaintenance, Empty)
END_MAINTENANCE = Operation(SERVICE, "end_maintenance", OneProvider, Empty)
