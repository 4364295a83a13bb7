"""Facts that comparison alone publishes: measured performance per provider, and reports."""

from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from fairlead_common.events.event import Event


class ModelPerformance(BaseModel):
    """What live traffic showed of one model at one provider in one window; None = not enough was seen to say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str
    calls: int
    failures: int
    error_rate: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None
    output_tokens_per_s: float | None = None
    cost_per_call_usd: float | None = None
    quality: float | None = None
    """0 to 1, from A/B results and feedback."""
    quality_samples: int = 0
    window_s: int | None = None
    """Seconds these figures look back: longer for a model that is called seldom; None = as its provider."""


class ProviderPerformance(BaseModel):
    """Performance of one provider; also the value in the ``performance`` bucket under the provider's name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    window_s: int
    window_end: AwareDatetime
    models: tuple[ModelPerformance, ...]


class ProviderPerformancePublished(Event):
    """Fresh figures for one provider."""

    subject_prefix: ClassVar[str] = "provider.performance"

    performance: ProviderPerformance

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.performance.provider}"


class ReportPublished(Event):
    """A report is ready to be read under its id."""

    subject_prefix: ClassVar[str] = "reports.published"

    report_id: int
    period: str
    """daily or weekly."""
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    title: str

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.period}"
