"""Values of the ``failover`` bucket, from failover: ``policy.<workspace id>`` and ``fleet``."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.decisions.plan import GateState


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


class UnsavedGate(BaseModel):
    """A change that may not be in the database yet; whoever controls the fleet next must save it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    """provider, or provider/model."""
    gate: FleetGate
    switch: FleetSwitch | None = None


class FleetSnapshot(BaseModel):
    """All gates that are not simply closed, by provider or provider/model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    gates: dict[str, FleetGate] = {}
    closed: dict[str, FleetGate] = {}
    """Gates that were open once and are closed now; edges need not know."""
    unsaved: tuple[UnsavedGate, ...] = ()
    """Oldest first."""
