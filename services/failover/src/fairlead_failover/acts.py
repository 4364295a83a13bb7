"""An operator's act on its way from the replica that was asked to the one that controls the fleet."""

from typing import Final

from fairlead_common.decisions.gate_records import Held, Hold, HoldKind, Released
from pydantic import BaseModel, ConfigDict

ACT_SUBJECT: Final = "rpc.failover.act"
PUBLISHED: Final = b"ok"
TAKEN: Final = b"taken"
"""The gate has moved, and the edges are told as soon as the bus takes it."""


class Act(BaseModel):
    """Hold a gate until a time, or release it."""

    model_config = ConfigDict(frozen=True)

    key: str
    """provider, or provider/model."""
    kind: HoldKind | None
    """None = release."""
    until: float = 0.0
    """Unix seconds."""
    reason: str

    def observation(self) -> Held | Released:
        """As the gate sees it."""
        if self.kind is None:
            return Released(self.reason)
        return Held(Hold(self.kind, self.until), self.reason)
