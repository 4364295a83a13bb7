"""Settings of the health service, read once at start."""

from fairlead_common.settings import Settings
from pydantic import Field


class HealthSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    probe_interval_s: int = Field(default=240, ge=1)
    """Of providers whose schedule nobody has changed. Shorter than the five minutes of the published figures, so that
    they are known without traffic too."""
    probe_interval_unwell_s: int = Field(default=2, ge=1)
    """While a provider is down, degraded or unknown."""
    heartbeat_s: float = Field(default=10.0, gt=0)
    """A provider's state is published this often even when nothing changes."""
    unwatched_s: float = Field(default=30.0, gt=0)
    """When no state was published for this long, nobody was watching, and the time counts as unknown."""
    runbooks_url: str = "https://github.com/fairlead/fairlead/blob/main/docs/runbooks"
