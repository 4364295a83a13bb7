"""Settings of the abtest service, read once at start."""

from fairlead_common.settings import Settings
from pydantic import Field


class AbtestSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    calls_at_once: int = Field(default=16, ge=1, le=256)
    """Jobs this replica works on at a time."""
    calls_per_provider: int = Field(default=8, ge=1, le=256)
    """Calls this replica has under way at one provider at a time."""
    claim_s: float = Field(default=20.0, ge=1)
    """A job whose worker gave no sign of life for this long may be taken over; renewed while the call lasts."""
    resend_every_s: float = Field(default=30.0, gt=0)
    """How often it is looked for jobs that were lost."""
