"""Settings of the routing service, read once at start."""

from fairlead_common.settings import Settings
from pydantic import Field


class RoutingSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    quality_every_s: float = Field(default=10.0, gt=0)
    """How often the scores of answers are summed anew for the edges."""
