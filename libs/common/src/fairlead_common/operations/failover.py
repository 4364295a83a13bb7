"""What the failover service answers."""

from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.operations.calls import Rescue
from fairlead_common.snapshots.failover import PolicyRule, Recovery, Triggers

SERVICE = "failover"
MAX_HOLD_S: Final = 30 * 86400.0
DEFAULT_HOLD_S: Final = 3600.0


class FailoverConditions(BaseModel):
    """What makes a workspace leave a provider, beside its being down or its breaker being open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_degraded: bool | None = Field(default=None, description="leave a provider that is only degraded")
    max_error_rate: float | None = Field(
        default=None, ge=0, le=1, description="measured share of failed calls"
    )
    max_latency_ms: float | None = Field(default=None, gt=0, description="measured p95 latency")


class TriggersIn(Triggers):
    """See ``Triggers``; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RecoveryIn(Recovery):
    """See ``Recovery``; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyRuleIn(PolicyRule):
    """See ``PolicyRule``; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    triggers: TriggersIn = TriggersIn()
    recovery: RecoveryIn = RecoveryIn()


class FailoverConfigIn(BaseModel):
    """A workspace's failover configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_provider: str | None = Field(default=None, description="preferred where a name leaves a choice")
    fallback_providers: list[str] = Field(default=[], description="stand-ins in order; empty: any equivalent")
    failover_conditions: FailoverConditions = FailoverConditions()
    enabled: bool = True
    rules: list[PolicyRuleIn] = Field(
        default=[],
        max_length=100,
        description="for some routes, models or metadata; the first that applies decides",
    )


class FailoverConfig(FailoverConfigIn):
    """As it is stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    version: int
    updated_at: AwareDatetime | None = None
    warnings: list[str] = Field(default=[], description="what works, but perhaps not as meant")


class PutConfig(BaseModel):
    """Create or replace."""

    workspace_id: int
    config: FailoverConfigIn
    changed_by: str | None = Field(default=None, description="id of the key")


class ConfigVersion(BaseModel):
    """The configuration as it was from ``changed_at`` on."""

    version: int
    action: Literal["changed", "deleted"]
    changed_by: str | None = Field(description="id of the key; null: unknown")
    changed_at: AwareDatetime
    config: FailoverConfigIn


class ConfigVersions(BaseModel):
    """Newest first."""

    versions: list[ConfigVersion]


class RestoreConfig(BaseModel):
    """Make a former version the configuration again, as a new version."""

    workspace_id: int
    version: int = Field(ge=1)
    changed_by: str | None = None


class DeleteConfig(BaseModel):
    """Back to the defaults."""

    workspace_id: int
    changed_by: str | None = None


class OfWorkspace(BaseModel):
    """Which workspace."""

    workspace_id: int


class GateOut(BaseModel):
    """The fleet's breaker of one provider, or of one model at a provider."""

    provider: str
    model: str | None = Field(default=None, description="null: the whole provider")
    state: str
    share: float = Field(description="share of its traffic that it gets, 0 to 1")
    since: AwareDatetime
    retry_at: AwareDatetime | None = Field(default=None, description="when an open gate is tried again")
    cause: str | None = Field(default=None, description="of the last opening, while not closed")
    reason: str
    sequence: int
    status: str = Field(description="what health says of the provider")
    hold: str | None = Field(default=None, description="out, drain or pin: an operator's hand")
    hold_until: AwareDatetime | None = None


class FailoverState(BaseModel):
    """All gates that ever moved; one that is missing is closed."""

    controller: str | None = Field(description="the replica that decides now")
    gates: list[GateOut]
    warnings: list[str] = Field(
        default=[], description="what may not have been meant by the request just made"
    )


class TargetIn(BaseModel):
    """Whose gate an operator moves, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = Field(min_length=1, max_length=100)
    model: str | None = Field(
        default=None, min_length=1, max_length=200, description="null: the whole provider"
    )
    reason: str = Field(min_length=3, max_length=300)

    @property
    def key(self) -> str:
        """provider, or provider/model."""
        return self.provider if self.model is None else f"{self.provider}/{self.model}"


class HoldIn(TargetIn):
    """An operator's hand on a gate, which ends by itself: after ``duration_s``, or at ``ends_at``."""

    duration_s: float | None = Field(default=None, gt=0, le=MAX_HOLD_S, description="default: one hour")
    ends_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_end(self) -> "HoldIn":
        if self.duration_s is not None and self.ends_at is not None:
            raise ValueError("give duration_s or ends_at, not both")
        return self


class Hold(HoldIn):
    """``out`` forces a switch, ``drain`` sends no new traffic, ``pin`` keeps all traffic there."""

    kind: Literal["out", "drain", "pin"]


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


class AnalyticsQuery(BaseModel):
    """Which failovers: of a workspace, in a period (default: the last 30 days), of one provider or all."""

    workspace_id: int
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    provider: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "AnalyticsQuery":
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("until must lie after since")
        return self


class Bounds(BaseModel):
    """What cannot be known exactly lies between these."""

    low: float
    high: float


class ProviderAnalytics(Rescue):
    """What failover did around one provider. Null = unknown, or none to measure."""

    switched: int
    causes: dict[str, int]
    availability_with_failover: float | None = Field(
        description="share of the calls that were served, 0 to 1"
    )
    availability_without_failover: Bounds | None = Field(
        description="share that this provider served at once; at least if it had served none of the calls that were led"
        " elsewhere, at most if it had served them all"
    )


class Analytics(BaseModel):
    """Failovers of a period. Null = unknown, or none to measure."""

    since: AwareDatetime
    until: AwareDatetime
    switched: int
    recovered: int
    open_now: int
    causes: dict[str, int]
    mean_time_to_detect_s: float | None = Field(description="from the first failed call to the switch")
    mean_time_to_recover_s: float | None = Field(description="until all of the traffic was back")
    longest_s: float | None
    by_provider: dict[str, int] = Field(description="switches away from a provider or model")
    providers: list[ProviderAnalytics] | None = Field(
        description="by the provider that was meant to be tried first; null: the figures of calls cannot be had now"
    )


class DryRunIn(BaseModel):
    """What would this configuration have done?"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace_id: int
    config: FailoverConfigIn
    hours: float = Field(default=24.0, gt=0, le=168)


class DryRunSwitch(BaseModel):
    """Traffic that a rule would have moved."""

    rule: str
    from_target: str
    to_target: str = Field(description="the first of the chain, or: equivalents")
    cause: str
    evidence: str
    at: AwareDatetime
    back_at: AwareDatetime | None = Field(description="when all of it was back; null: not within the period")
    calls: int = Field(description="of the workspace that ended there between these times")
    failed: int = Field(description="of these, the ones that failed there")


class DryRun(BaseModel):
    """What the triggers would have moved. The fleet's own gates are not part of it."""

    since: AwareDatetime = Field(description="later than was asked where older calls are not kept any more")
    until: AwareDatetime = Field(description="end of what was looked at")
    complete: bool = Field(description="false: there were more calls than could be read in time")
    attempts: int = Field(description="that were looked at, of all workspaces")
    switches: list[DryRunSwitch] = Field(description="oldest first, at most 500")


DRY_RUN = Operation(SERVICE, "dry_run", DryRunIn, DryRun, timeout_s=30)
GET_CONFIG = Operation(SERVICE, "get_config", OfWorkspace, FailoverConfig)
PUT_CONFIG = Operation(SERVICE, "put_config", PutConfig, FailoverConfig)
DELETE_CONFIG = Operation(SERVICE, "delete_config", DeleteConfig, Empty)
VERSIONS = Operation(SERVICE, "versions", OfWorkspace, ConfigVersions)
RESTORE = Operation(SERVICE, "restore", RestoreConfig, FailoverConfig)
STATE = Operation(SERVICE, "state", Empty, FailoverState)
HOLD = Operation(SERVICE, "hold", Hold, FailoverState)
RELEASE = Operation(SERVICE, "release", TargetIn, FailoverState)
EVENTS = Operation(SERVICE, "events", EventsQuery, Events)
ANALYTICS = Operation(SERVICE, "analytics", AnalyticsQuery, Analytics)
