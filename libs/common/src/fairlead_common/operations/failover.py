"""What the failover service answers."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation

SERVICE = "failover"


class FailoverConditions(BaseModel):
    """What makes a workspace leave a provider, beside its being down or its breaker being open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_degraded: bool | None = Field(default=None, description="leave a provider that is only degraded")
    max_error_rate: float | None = Field(
        default=None, ge=0, le=1, description="measured share of failed calls"
    )
    max_latency_ms: float | None = Field(default=None, gt=0, description="measured p95 latency")


class FailoverConfigIn(BaseModel):
    """A workspace's failover configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_provider: str | None = Field(default=None, description="preferred where a name leaves a choice")
    fallback_providers: list[str] = Field(default=[], description="stand-ins in order; empty: any equivalent")
    failover_conditions: FailoverConditions = FailoverConditions()
    enabled: bool = True


class FailoverConfig(FailoverConfigIn):
    """As it is stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    version: int
    updated_at: AwareDatetime | None = None


class PutConfig(BaseModel):
    """Create or replace."""

    workspace_id: int
    config: FailoverConfigIn


class OfWorkspace(BaseModel):
    """Which workspace."""

    workspace_id: int


class GateOut(BaseModel):
    """The fleet's breaker of one provider."""

    provider: str
    state: str
    share: float = Field(description="share of its traffic that it gets, 0 to 1")
    since: AwareDatetime
    reason: str
    sequence: int
    status: str = Field(description="what health says of it")


class FailoverState(BaseModel):
    """All providers that were ever seen; one that is missing is closed."""

    controller: str | None = Field(description="the replica that decides now")
    gates: list[GateOut]


class SwitchIn(BaseModel):
    """An operator takes a provider out, or brings it back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    reason: str = Field(min_length=3, max_length=300)


class EventOut(BaseModel):
    """One line of the failover log."""

    event_id: str
    workspace_id: int
    kind: str
    from_target: str
    to_target: str
    cause: str
    occurred_at: AwareDatetime
    down_s: float | None


class EventsQuery(BaseModel):
    """Which events: newest first."""

    workspace_id: int
    provider: str | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class Events(BaseModel):
    """The failover log."""

    events: list[EventOut]


class Analytics(BaseModel):
    """Failovers of the last 30 days. Null = none to measure."""

    switched: int
    recovered: int
    open_now: int
    mean_time_to_recover_s: float | None
    longest_s: float | None
    by_provider: dict[str, int]


GET_CONFIG = Operation(SERVICE, "get_config", OfWorkspace, FailoverConfig)
PUT_CONFIG = Operation(SERVICE, "put_config", PutConfig, FailoverConfig)
DELETE_CONFIG = Operation(SERVICE, "delete_config", OfWorkspace, Empty)
STATE = Operation(SERVICE, "state", Empty, FailoverState)
OPEN = Operation(SERVICE, "open", SwitchIn, FailoverState)
RECOVER = Operation(SERVICE, "recover", SwitchIn, FailoverState)
EVENTS = Operation(SERVICE, "events", EventsQuery, Events)
ANALYTICS = Operation(SERVICE, "analytics", OfWorkspace, Analytics)
