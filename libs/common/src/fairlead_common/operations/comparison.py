"""What the comparison service answers of providers beside each other."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.events.calls import CallKind
from fairlead_common.operations.times import Day, Moment

SERVICE = "comparison"


class Metric(StrEnum):
    """What providers are compared by."""

    LATENCY_P50 = "latency_p50"
    LATENCY_P95 = "latency_p95"
    TTFT_P50 = "ttft_p50"
    ERROR_RATE = "error_rate"
    COST_PER_CALL = "cost_per_call"
    QUALITY = "quality"
    OUTPUT_TOKENS_PER_S = "output_tokens_per_s"


Level = Literal["provider", "model"]
"""Whether figures are of a whole provider or of each of its models."""

MAX_TARGET_LENGTH = 300

Target = Annotated[str, Field(min_length=1, max_length=MAX_TARGET_LENGTH)]
"""``provider`` or ``provider/model``."""

MAX_TARGETS = 10
MAX_RANKED = 50
MAX_WINDOW_S = 31 * 86_400


class WindowQuery(BaseModel):
    """A part of the past, and the kinds of calls in it that count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: int = Field(default=86_400, ge=60, le=MAX_WINDOW_S)
    until: Moment | None = Field(default=None, description="null: now")
    kinds: list[CallKind] = Field(default=[CallKind.LIVE], min_length=1, max_length=len(CallKind))


class CompareQuery(WindowQuery):
    """Which targets are compared by what. No targets: every provider that was called."""

    targets: list[Target] = Field(default=[], max_length=MAX_TARGETS)
    metrics: list[Metric] = Field(default=list(Metric), min_length=1)


class MetricValue(BaseModel):
    """What one target showed. Null = too little was seen to say, or the interval has no end on that side."""

    target: str
    value: float | None
    low: float | None
    high: float | None
    n: int = Field(description="observations")
    design_effect: float | None = Field(
        description="how much more the blocks of time vary than independent calls would; intervals allow for it"
    )


class Pair(BaseModel):
    """``first`` less ``second``. ``winner`` null: ``reason`` says why."""

    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    relative: float | None = Field(description="(first - second) / second, for means")
    relative_low: float | None
    relative_high: float | None
    p_value: float | None
    adjusted_p_value: float | None = Field(description="after Holm over all comparisons of this answer")
    winner: str | None
    reason: str | None
    method: str


class MetricComparison(BaseModel):
    """All targets by one metric."""

    metric: Metric
    unit: str
    lower_is_better: bool
    since: AwareDatetime = Field(description="quality looks back further than the other metrics")
    values: list[MetricValue]
    pairs: list[Pair]


class Comparison(BaseModel):
    """Targets compared."""

    since: AwareDatetime
    until: AwareDatetime
    kinds: list[CallKind]
    confidence: float
    metrics: list[MetricComparison]


class Weights(BaseModel):
    """How much each part counts in a balanced ranking; only the proportions matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency: float = Field(default=0.25, ge=0, le=1000)
    cost: float = Field(default=0.25, ge=0, le=1000)
    quality: float = Field(default=0.25, ge=0, le=1000)
    reliability: float = Field(default=0.25, ge=0, le=1000)


class RankingQuery(WindowQuery):
    """Ranking by one metric, or (``by`` null) balanced."""

    by: Metric | None = None
    weights: Weights = Weights()
    level: Level = "provider"
    targets: list[Target] = Field(default=[], max_length=MAX_RANKED)


class ScorePart(BaseModel):
    """One part of a balanced score."""

    weight: float = Field(description="share of the whole")
    value: float | None = Field(description="the metric; null: unknown, which counts as anything from 0 to 1")
    score: float = Field(description="0 to 1")
    low: float
    high: float


class Ranked(BaseModel):
    """One target. ``position`` null: it cannot be ranked, and ``reason`` says why."""

    position: int | None = Field(description="from 1")
    target: str
    value: float | None = Field(description="the metric, or the balanced score from 0 to 1")
    low: float | None
    high: float | None
    n: int
    behind_first: bool | None = Field(
        description="true: surely worse than the first; false: chance may have ordered them; null: it is the first"
    )
    parts: dict[str, ScorePart] = {}
    reason: str | None = None


class Ranking(BaseModel):
    """Targets, best first."""

    by: str
    unit: str
    since: AwareDatetime
    until: AwareDatetime
    formula: str
    ranking: list[Ranked]


class HistoryQuery(BaseModel):
    """Which rows of ``provider_comparison``, newest day first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Day | None = None
    until: Day | None = Field(default=None, description="the last day that is included")
    provider: str | None = None
    metric: Metric | None = None
    limit: int = Field(default=500, ge=1, le=1000)


class DailyRow(BaseModel):
    """One pair of providers by one metric on one day (UTC)."""

    comparison_date: date
    provider1: str
    provider2: str
    metric: Metric
    provider1_value: float | None
    provider2_value: float | None
    winner: str | None
    n1: int
    n2: int
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    adjusted_p_value: float | None = Field(description="after Holm over all comparisons of the day")
    method: str
    reason: str | None = Field(description="why there is no winner")
    computed_at: AwareDatetime


class DailyRows(BaseModel):
    """Rows by day (newest first), providers, metric."""

    rows: list[DailyRow]


class OneDay(BaseModel):
    """Which day (UTC)."""

    day: Day


class TrendQuery(WindowQuery):
    """One metric over time. A step of a minute reaches 6 hours at most."""

    metric: Metric = Metric.LATENCY_P50
    step: Literal["minute", "hour"] = "minute"
    level: Level = "provider"
    targets: list[Target] = Field(default=[], max_length=MAX_TARGETS)
    window_s: int = Field(default=3600, ge=60, le=MAX_WINDOW_S)


class Point(BaseModel):
    """The metric in the step that begins at ``at``; steps without observations are left out."""

    at: AwareDatetime
    value: float
    n: int


class Series(BaseModel):
    """One target over time."""

    target: str
    points: list[Point]


class Trend(BaseModel):
    """One metric of several targets over time."""

    metric: Metric
    unit: str
    step: str
    since: AwareDatetime
    until: AwareDatetime
    series: list[Series]


COMPARE = Operation(SERVICE, "compare", CompareQuery, Comparison, timeout_s=15)
RANKING = Operation(SERVICE, "ranking", RankingQuery, Ranking, timeout_s=15)
HISTORY = Operation(SERVICE, "history", HistoryQuery, DailyRows)
RECOMPUTE = Operation(SERVICE, "recompute", OneDay, DailyRows, timeout_s=30)
TREND = Operation(SERVICE, "trend", TrendQuery, Trend, timeout_s=15)
