"""What the failover service answers about drills on the live system."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.operations.failover import SERVICE
from fairlead_common.snapshots.drills import DrillFault, LiveDrill

MAX_DRILL_S = 900.0
MAX_SHARE = 0.5
MAX_DELAY_S = 60.0
MAX_DRILLS = 5
"""At the same time."""
DELAYED = (DrillFault.SLOW, DrillFault.TIMEOUT)


class DrillIn(BaseModel):
    """A fault to inject: where, how, into which share of the traffic, for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = Field(min_length=1, max_length=100)
    model: str | None = Field(default=None, min_length=1, max_length=200, description="null: all of them")
    fault: DrillFault
    share: float = Field(gt=0, le=MAX_SHARE, description="of the attempts at the provider, 0 to 0.5")
    duration_s: float = Field(gt=0, le=MAX_DRILL_S, description="it ends by itself, after 15 minutes at most")
    delay_s: float = Field(
        default=0.0, ge=0, le=MAX_DELAY_S, description="for slow and timeout: how long an attempt waits"
    )
    only_workspace_id: int | None = Field(default=None, description="null: the traffic of every workspace")
    reason: str = Field(min_length=3, max_length=300)

    @model_validator(mode="after")
    def _delay_where_it_counts(self) -> "DrillIn":
        if (self.fault in DELAYED) != (self.delay_s > 0):
            raise ValueError("delay_s belongs to the faults slow and timeout, which need one")
        return self


class StartDrill(DrillIn):
    """The same, with the key that asks for it."""

    started_by: str


class DrillId(BaseModel):
    """Which drill."""

    drill_id: str


class LiveDrills(BaseModel):
    """Those that go on now."""

    drills: list[LiveDrill]


START_DRILL = Operation(SERVICE, "start_drill", StartDrill, LiveDrill)
DRILLS = Operation(SERVICE, "drills", Empty, LiveDrills)
END_DRILL = Operation(SERVICE, "end_drill", DrillId, Empty)
