"""What the health service answers."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

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
    ttft_p90_ms: float | None = None
    ttft_p95_ms: float | None
    ttft_p99_ms: float | None = None
    availability_percentage: float | None = Field(
        default=None,
        description="time healthy or degraded in the time whose state is known, maintenance left out; null for a model,"
        " and when nothing is known",
    )
    coverage_percentage: float | None = Field(
        default=None, description="share of the window whose state is known; null for a model"
    )


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


Resolution = Literal["1m", "5m", "1h", "1d"]


class HistoryRange(BaseModel):
    """Which part of the history: from ``since`` to ``until``, which is now unless it is given."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    resolution: Resolution | None = Field(
        default=None,
        description="also give figures in steps of this length (by the minute for the last 3 hours)",
    )
    model: str | None = Field(default=None, description="figures of this model alone")
    limit: int = Field(default=200, ge=1, le=5000, description="of the states")


class HistoryQuery(HistoryRange):
    """Whose history, and which part of it."""

    provider: str


class Interval(BaseModel):
    """A time during which a provider was in one state. ``ended_at`` null = until now."""

    status: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    reason: str


class HistoryPoint(Window):
    """A step of the history; ``window`` is its length."""

    started_at: AwareDatetime


class History(BaseModel):
    """States, newest first, and figures, oldest first."""

    provider: str
    intervals: list[Interval]
    points: list[HistoryPoint] = []


class ProbeIn(BaseModel):
    """How a provider is probed, and what that may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ProbeKind = Field(
        default="completion",
        description="cheap: the list of models; completion: the smallest chat; streaming: the same, to its first token",
    )
    interval_s: int = Field(default=300, ge=1, le=86_400)
    enabled: bool = True
    models: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(),
        max_length=20,
        description="each is probed at every tick; none: the cheapest the catalog knows",
    )
    daily_budget_usd: float | None = Field(
        default=None, ge=0, le=10_000, description="null: as the settings say"
    )
    monthly_budget_usd: float | None = Field(
        default=None, ge=0, le=100_000, description="null: as the settings say"
    )

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Self:
        if len(set(self.models)) < len(self.models):
            raise ValueError("models: each model may be named once")
        daily, monthly = self.daily_budget_usd, self.monthly_budget_usd
        if daily is not None and monthly is not None and daily > monthly:
            raise ValueError(
                f"daily_budget_usd: {daily:g} can never be spent within a monthly budget of {monthly:g};"
                " lower it, or raise monthly_budget_usd"
            )
        return self


class Probe(ProbeIn):
    """As it holds now, and where its budgets stand. Days and months are those of UTC."""

    provider: str
    region: str | None = None
    spent_today_usd: float | None = Field(default=None, description="null: not known now")
    spent_this_month_usd: float | None = None
    budget_spent: Literal["daily", "monthly"] | None = Field(
        default=None,
        description="the budget that is spent: until it is renewed, probes are of the cheap kind",
    )


class PutProbe(BaseModel):
    """Change how a provider is probed."""

    provider: str
    probe: ProbeIn


class Probes(BaseModel):
    """All schedules."""

    probes: list[Probe]


class RunProbeIn(BaseModel):
    """Which probe to run. Null = as the schedule says."""

    model_config = ConfigDict(extra="forbid")

    kind: ProbeKind | None = None
    model: str | None = Field(default=None, min_length=1, max_length=200)


class RunProbe(BaseModel):
    """Probe a provider now."""

    provider: str
    probe: RunProbeIn = RunProbeIn()


class ProbeResult(BaseModel):
    """What one probe found. A phase is null when it did not happen (the connection was there already) or did not end."""

    call_id: str
    provider: str
    model: str
    region: str | None
    kind: str
    started_at: AwareDatetime
    ok: bool
    error_class: str | None
    status: int | None
    latency_ms: float = Field(description="total")
    ttft_ms: float | None
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None = Field(description="from the beginning to the head of the answer")
    cost_usd: float | None = Field(description="null: unknown")


class ProbeResultsQuery(BaseModel):
    """Whose results."""

    provider: str
    limit: int = Field(default=100, ge=1, le=5000)


class ProbeResults(BaseModel):
    """The last results, newest first; they are kept for 8 days."""

    results: list[ProbeResult]


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
RUN_PROBE = Operation(SERVICE, "run_probe", RunProbe, ProbeResult, timeout_s=60)
PROBE_RESULTS = Operation(SERVICE, "probe_results", ProbeResultsQuery, ProbeResults)
SET_MAINTENANCE = Operation(SERVICE, "set_maintenance", SetMaintenance, Empty)
END_MAINTENANCE = Operation(SERVICE, "end_maintenance", OneProvider, Empty)
