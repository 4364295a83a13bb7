"""Value of the ``spend`` bucket, key = workspace id: what a workspace's calls have cost, from comparison."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


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
