"""Values of the ``failover`` bucket under ``drill.<id>``: faults that edges inject into a share of the traffic."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class DrillFault(StrEnum):
    """How an attempt fails, as if the provider had done it; ``slow`` only makes it late."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    SLOW = "slow"


class LiveDrill(BaseModel):
    """One drill on the live system. It is over at ``ends_at``, whoever is there to say so."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    drill_id: str
    provider: str
    model: str | None = None
    """None = every model of the provider."""
    fault: DrillFault
    share: float = Field(gt=0, le=1)
    """Of the attempts at the provider."""
    delay_s: float = Field(default=0.0, ge=0)
    """How long a struck attempt is kept waiting first."""
    only_workspace_id: int | None = None
    """None = the traffic of every workspace."""
    reason: str
    started_by: str
    """Id of the API key."""
    started_at: AwareDatetime
    ends_at: AwareDatetime
