"""Settings of the failover service, read once at start."""

from fairlead_common.settings import Settings
from pydantic import Field


class FailoverSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    recovery_step_s: float = Field(default=1.0, gt=0)
    """How long each step of a recovery lasts."""
