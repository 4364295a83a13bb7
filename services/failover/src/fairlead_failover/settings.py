"""Settings of the failover service, read once at start."""

from fairlead_common.settings import Settings
from pydantic import Field


class FailoverSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    recovery_step_s: float = Field(default=1.0, gt=0)
    """How long each step of a recovery lasts at least; failures and silence lengthen it."""
    trial_budget_usd: float = Field(default=1.0, ge=0)
    """What trials of half-open gates may cost in a day (UTC); beyond it a trickle of live traffic must find out."""
    trial_budget_calls: int = Field(default=2000, ge=0)
    """How many of them there may be in a day."""
