"""What people do about alerts: list and acknowledge them, silence what they know of."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.health import SERVICE


class AlertsQuery(BaseModel):
    """Which alerts, newest first."""

    active: bool = False
    provider: str | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class Alerts(BaseModel):
    """The last transition of each alert."""

    alerts: list[AlertRaised]


class AcknowledgeIn(BaseModel):
    """Who looks after the alert, and what he has to say."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(min_length=1, max_length=100)
    note: str = Field(default="", max_length=500)


class Acknowledge(AcknowledgeIn):
    """Somebody looks after an alert."""

    alert_id: str


class SilenceIn(BaseModel):
    """Nobody is to be told, for a time, of alerts that have all of these labels."""

    model_config = ConfigDict(extra="forbid")

    matchers: dict[str, str] = Field(
        min_length=1,
        max_length=10,
        description="label to value: alertname, provider, severity, or a rule's own",
    )
    starts_at: AwareDatetime | None = Field(default=None, description="null: now")
    ends_at: AwareDatetime
    reason: str = Field(min_length=3, max_length=300)
    by: str = Field(min_length=1, max_length=100)


class Silence(BaseModel):
    """As it is stored."""

    id: int
    matchers: dict[str, str]
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    reason: str
    by: str


class Silences(BaseModel):
    """Those that hold or will hold, in the order of their ends."""

    silences: list[Silence]


class OneSilence(BaseModel):
    """Which silence."""

    id: int


ALERTS = Operation(SERVICE, "alerts", AlertsQuery, Alerts)
ACKNOWLEDGE = Operation(SERVICE, "acknowledge", Acknowledge, AlertRaised)
SILENCE = Operation(SERVICE, "silence", SilenceIn, Silence)
SILENCES = Operation(SERVICE, "silences", Empty, Silences)
END_SILENCE = Operation(SERVICE, "end_silence", OneSilence, Silence)
