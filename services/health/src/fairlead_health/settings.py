"""Settings of the health service, read once at start."""

import json
from typing import Annotated

from fairlead_common.settings import Settings
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from fairlead_health.domain.score import Scaling
from fairlead_health.domain.status import StatusSettings


def _from_json(given: object) -> object:
    try:
        return json.loads(given) if isinstance(given, str) else given
    except json.JSONDecodeError as error:
        raise ValueError(f'expected JSON like {{"failures_to_down": 5}} ({error})') from None


class HealthSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    probe_interval_s: int = Field(default=240, ge=1)
    """Of providers whose schedule nobody has changed. Shorter than the five minutes of the published figures, so that
    they are known without traffic too."""
    probe_interval_unwell_s: int = Field(default=2, ge=1)
    """While a provider is down, degraded or unknown."""
    probe_interval_changed_s: int = Field(default=15, ge=1)
    """For two minutes after a change of a provider's state."""
    probe_interval_unrouted_s: int = Field(default=600, ge=1)
    """Where no live traffic went for a day and no rule or policy names the provider; a longer usual interval stays."""
    probe_daily_budget_usd: float = Field(default=0.25, ge=0)
    """What the probes of a provider may cost a day, unless its schedule says otherwise."""
    probe_monthly_budget_usd: float = Field(default=5.0, ge=0, validate_default=True)
    """And a month, by the calendar in UTC."""
    status: Annotated[StatusSettings, BeforeValidator(_from_json)] = StatusSettings()
    """Thresholds of states, as JSON; those that are not named keep their defaults."""
    status_page_interval_s: float = Field(default=60.0, ge=10)
    """How often the status pages of vendors are read, where a provider's row names one."""
    heartbeat_s: float = Field(default=10.0, gt=0)
    """A provider's state is published this often even when nothing changes."""
    unwatched_s: float = Field(default=30.0, gt=0)
    """When no state was published for this long, nobody was watching, and the time counts as unknown."""
    score_good_ms: float = Field(default=1000.0, gt=0)
    """Mean latency up to which the score takes nothing off."""
    score_bad_ms: float = Field(default=10_000.0, gt=0, validate_default=True)
    """Mean latency from which on its part of the score is 0."""
    runbooks_url: str = "https://github.com/fairlead/fairlead/blob/main/docs/runbooks"
    """The page of an alert is ``<this>/<name of the alert>.md``; linked from alerts."""

    @property
    def scaling(self) -> Scaling:
        """Of latency, in the score."""
        return Scaling(self.score_good_ms, self.score_bad_ms)

    @field_validator("score_bad_ms")
    @classmethod
    def _beyond_good(cls, bad_ms: float, info: ValidationInfo) -> float:
        good_ms = info.data.get("score_good_ms", 0.0)
        if bad_ms <= good_ms:
            raise ValueError(f"must be above FAIRLEAD_SCORE_GOOD_MS, which is {good_ms:g}")
        return bad_ms

    @field_validator("probe_monthly_budget_usd")
    @classmethod
    def _holds_a_day(cls, monthly_usd: float, info: ValidationInfo) -> float:
        daily_usd = info.data.get("probe_daily_budget_usd", 0.0)
        if daily_usd > monthly_usd:
            raise ValueError(f"must be at least the daily budget, which is {daily_usd:g}")
        return monthly_usd
