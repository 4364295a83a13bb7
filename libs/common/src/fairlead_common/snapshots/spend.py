"""Value of the ``spend`` bucket, key = workspace id: what a workspace's calls have cost, from comparison."""

from datetime import date
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from fairlead_common.decisions.budgets import Spent, day_of, month_of

EPOCH: Final = date(1970, 1, 1)


class SpendSnapshot(BaseModel):
    """Costs of one UTC day and of its month, as far as they are recorded."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    day: date
    day_usd: float = Field(ge=0)
    month_usd: float = Field(ge=0)
    unpriced_calls: int = 0
    """Answered calls of the month whose cost is unknown; they count nothing."""
    counted: dict[str, float]
    """Source of calls to the Unix time at which the latest of them that is in these figures ended."""

    def spent(self, now: float) -> Spent:
        """In the day and in the month of ``now`` (Unix seconds), as far as it is recorded."""
        day, recorded = day_of(now), (self.day - EPOCH).days
        return Spent(
            self.day_usd if recorded == day else 0.0,
            self.month_usd if month_of(recorded) == month_of(day) else 0.0,
        )
