"""Settings of the comparison service, read once at start."""

from fairlead_common.events.calls import CallKind
from fairlead_common.settings import Settings
from pydantic import Field, field_validator


class ComparisonSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    retention_days: int = Field(default=30, ge=1, le=3650)
    """Calls and attempts of earlier days are dropped, a whole day at a time."""
    hours_retention_days: int = Field(default=400, ge=32, le=3650)
    """Sums by the hour are kept for this long; those by the minute for 32 days."""
    performance_every_s: float = Field(default=5.0, gt=0)
    """How often measured performance is looked at, and published where it changed."""
    spend_every_s: float = Field(default=2.0, gt=0)
    """How often what workspaces have spent is looked at, and published where it changed."""
    performance_window_s: int = Field(default=900, ge=60)
    """Performance is measured over the attempts of this long."""
    performance_min_calls: int = Field(default=20, ge=1)
    """A model with fewer attempts in the window is measured over the longer one."""
    performance_long_window_s: int = Field(default=86_400, ge=60)
    """And over this long where those are too few."""
    performance_kinds: frozenset[CallKind] = frozenset((CallKind.LIVE,))
    """Kinds of calls that count, separated by commas: live, probe, abtest, drill, shadow."""
    quality_window_days: int = Field(default=30, ge=1, le=365)
    """Scores of A/B tests count for this long."""
    comparison_every_s: float = Field(default=60.0, gt=0)
    """How often the comparisons of today and yesterday are computed anew."""

    @field_validator("performance_kinds", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value
