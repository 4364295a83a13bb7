"""Values of the ``failover`` bucket, from failover: ``policy.<workspace id>`` and ``fleet``."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from fairlead_common.decisions.plan import GateState


class Triggers(BaseModel):
    """What makes requests leave a target before the fleet's breaker does. Null = does not count."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    window_s: float = Field(default=60.0, ge=5, le=600)
    min_calls: int = Field(
        default=10, ge=1, le=1000, description="calls within the window, for rates and latencies"
    )
    error_rate: float | None = Field(default=None, gt=0, le=1)
    truncation_rate: float | None = Field(default=None, gt=0, le=1)
    latency_p95_ms: float | None = Field(default=None, gt=0)
    ttft_p95_ms: float | None = Field(default=None, gt=0)
    consecutive_failures: int | None = Field(default=None, ge=1, le=100)
    status: tuple[Literal["degraded", "down"], ...] = ()
    rate_limited: bool = False
    quota_exhausted: bool = False


class Recovery(BaseModel):
    """How traffic comes back after a trigger."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hold_s: float = Field(default=30.0, ge=1, le=3600, description="away at least; doubles with each relapse")
    max_hold_s: float = Field(default=600.0, ge=1, le=86400)
    steps: tuple[float, ...] = Field(default=(0.01, 0.1, 0.5), min_length=1, max_length=10)
    step_s: float = Field(default=1.0, gt=0, le=3600)

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if list(steps) != sorted(set(steps)) or not 0 < steps[0] <= steps[-1] < 1:
            raise ValueError("steps must rise, each between 0 and 1, for example [0.01, 0.1, 0.5]")
        return steps


class PolicyRule(BaseModel):
    """How some requests of a workspace fail over; the first rule that applies decides."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")
    enabled: bool = True
    routes: tuple[str, ...] = Field(default=(), description="names of routing rules; empty: any")
    conditions: dict[str, Any] = Field(
        default={}, description="as of a routing rule: when, models, stream, needs, metadata, ..."
    )
    primary: str | None = Field(
        default=None, description="provider, provider/model or class:<name>, goes first"
    )
    chain: tuple[str, ...] = Field(default=(), max_length=16, description="who stands in, in this order")
    triggers: Triggers = Triggers()
    recovery: Recovery = Recovery()


class PolicySnapshot(BaseModel):
    """How one workspace fails over. Without one: any equivalent may stand in."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    version: int
    enabled: bool = True
    """False: only what the caller named is tried."""
    primary_provider: str | None = None
    """Preferred wherever it can serve the request; None = the order of the rule alone."""
    fallback_providers: tuple[str, ...] = ()
    """Stand-ins, in order; empty = every provider with an equivalent, in the order of the rule."""
    conditions: dict[str, float | bool] = {}
    """Thresholds that trigger a failover; see the failover service's documentation."""
    rules: tuple[PolicyRule, ...] = ()
    """For some of the requests; what they do not say is as above."""


class FleetGate(BaseModel):
    """The fleet's breaker of a provider or of one model. The later fields let another replica go on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: GateState
    share: float = Field(ge=0, le=1)
    since: AwareDatetime
    retry_at: AwareDatetime | None = None
    reason: str
    sequence: int
    """Grows with each change of this gate."""
    cause: str = ""
    opened_at: AwareDatetime | None = None
    """Beginning of the outage; None = closed."""
    failing_since: AwareDatetime | None = None
    """End of the first failed call of the run that opened it; None = no call did."""
    hold: Literal["out", "drain", "pin"] | None = None
    """An operator's hand; it ends at ``hold_until`` even when nobody publishes that."""
    hold_until: AwareDatetime | None = None
    relapses: int = 0
    setbacks: int = 0
    models: tuple[str, ...] = ()
    """Of a provider's gate: the models' gates for which it speaks since it opened."""
    status: str = "unknown"
    """What health said last."""


class FleetSwitch(BaseModel):
    """Traffic of a provider was moved away, or is all back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["switched", "recovered"]
    cause: str
    at: AwareDatetime
    opened_at: AwareDatetime
    failing_since: AwareDatetime | None = None
    models: tuple[str, ...] = ()
    """Gates of models whose outages end with this one."""
    out: tuple[str, ...] = ()
    """Providers and models whose gates were open then: no stand-ins."""
    version: int
    """Of the snapshot that carried it first."""
    workspace_id: int | None = None
    """Only this workspace was moved, by a rule of its own; None = all."""
    evidence: str = ""
    """In words for people."""
    samples: int | None = None
    """Calls behind the evidence."""


class UnsavedGate(BaseModel):
    """A change that may not be in the database yet; whoever controls the fleet next must save it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    """provider, or provider/model."""
    gate: FleetGate
    switch: FleetSwitch | None = None


class TrialSpend(BaseModel):
    """What trials of half-open gates have cost on one day."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    day: int = 0
    """Since the Unix epoch, UTC."""
    usd: float = 0.0
    """As far as prices are known."""
    calls: int = 0


class FleetSnapshot(BaseModel):
    """All gates that are not simply closed, by provider or provider/model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    gates: dict[str, FleetGate] = {}
    closed: dict[str, FleetGate] = {}
    """Gates that were open once and are closed now; edges need not know."""
    unsaved: tuple[UnsavedGate, ...] = ()
    """Oldest first."""
    policies: dict[str, dict[str, FleetGate]] = {}
    """``<workspace id>/<rule>`` to provider/model to the gate that the rule's triggers have moved."""
    trials: TrialSpend = TrialSpend()
