"""What the comparison service answers."""

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.events.calls import CallKind, Decision
from fairlead_common.outcomes import CallState

SERVICE = "comparison"

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]
"""A time that arithmetic cannot push out of the calendar."""

Day = Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2200, 1, 1))]
"""A day (UTC), likewise."""


class ResultKey(BaseModel):
    """The place of a result: results are given out in this order."""

    model_config = ConfigDict(frozen=True)

    prompt_index: int = -1
    repeat: int = 0
    provider: str = ""
    model: str = ""


class OfTest(BaseModel):
    """Which results of which A/B test."""

    test_id: int
    after: ResultKey = Field(default=ResultKey(), description="begin behind this place")
    limit: int = Field(default=100_000, ge=1)
    responses: bool = Field(default=True, description="false: without the text of the answers")


class TestResult(BaseModel):
    """One row of ``ab_test_result``: one arm's answer to one prompt, or its failure (``error_class``). Null = unknown."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: str
    ab_test_id: int
    prompt_index: int
    repeat: int
    provider: str
    model: str
    response: str | None
    latency_ms: float
    ttft_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    """USD."""
    quality_score: float | None
    """0 to 1."""
    scores: dict[str, float]
    error_class: str | None
    finish_reason: str | None
    occurred_at: AwareDatetime


class TestResults(BaseModel):
    """Results of a test so far, by prompt, repeat, provider, model; as many as fit into one message."""

    __test__ = False

    results: list[TestResult]
    next: ResultKey | None = Field(
        default=None, description="ask on behind this place; null: there are no more"
    )


class CallsQuery(BaseModel):
    """Which calls of a workspace, newest first. Null = any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace_id: int
    provider: str | None = None
    model: str | None = None
    state: CallState | None = None
    kind: CallKind | None = None
    failover: bool | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: UUID | None = Field(default=None, description="id of a call: go on with those before it")
    limit: int = Field(default=50, ge=1, le=500)


class CallRow(BaseModel):
    """One call of the workspace. Null = unknown, or there was none."""

    call_id: str
    started_at: AwareDatetime
    kind: CallKind
    source: str = Field(description="who reported it")
    api: str
    requested_model: str
    stream: bool
    state: CallState
    status: int = Field(description="HTTP status the caller got")
    provider: str | None = Field(description="who answered")
    model: str | None
    rule: str | None
    table_version: int | None
    failover: bool
    attempts: int
    duration_ms: float
    ttft_ms: float | None
    overhead_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    error_code: str | None
    trace_id: str | None
    test_id: int | None


class CallList(BaseModel):
    """Calls, newest first."""

    calls: list[CallRow]
    next: str | None = Field(description="give it as 'before' to go on; null: there are no more")


class OneCall(BaseModel):
    """Which call."""

    workspace_id: int
    call_id: UUID


class AttemptRow(BaseModel):
    """One attempt at one provider."""

    attempt: int = Field(description="from 0")
    started_at: AwareDatetime
    provider: str
    model: str
    reason: str = Field(description="why this target was tried")
    error_class: str | None
    status: int | None
    duration_ms: float
    ttft_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    finish_reason: str | None
    provider_request_id: str | None


class CallDetail(BaseModel):
    """One call with its attempts."""

    call: CallRow
    attempts: list[AttemptRow]
    decision: Decision | None = Field(default=None, description="why it went where it went first")


class SpentQuery(BaseModel):
    """What a workspace had spent at a moment."""

    workspace_id: int
    at: Moment


class Spent(BaseModel):
    """In the UTC day and month of the moment, up to it, by the calls that are still kept of that day."""

    today_usd: float
    month_usd: float


class DecisionsQuery(BaseModel):
    """Which routed live calls of a workspace, oldest first."""

    workspace_id: int
    since: Moment
    until: Moment
    one_in: int = Field(default=1, ge=1, description="of so many calls one, by a hash of its id")
    after: UUID | None = Field(
        default=None, description="id of a call: go on behind it; 'since' may then be the time of that call"
    )
    limit: int = Field(default=200, ge=1, le=200)


class DecidedCall(BaseModel):
    """A routed call: why it went where it went first, and what came of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call_id: str
    started_at: AwareDatetime
    requested_model: str
    stream: bool
    state: CallState
    provider: str | None
    model: str | None
    rule: str | None
    table_version: int | None
    failover: bool
    duration_ms: float
    ttft_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    decision: Decision


class DecidedCalls(BaseModel):
    """Routed calls, oldest first."""

    total: int | None = Field(description="routed live calls of the whole period; null on later pages")
    calls: list[DecidedCall]
    next: UUID | None = Field(description="give it as 'after' to go on; null: there are no more")


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


class RescuesQuery(BaseModel):
    """Live calls of a workspace that started in ``[since, until)``."""

    workspace_id: int
    since: Moment
    until: Moment


class Rescue(BaseModel):
    """Calls by the provider that was tried first. Null = unknown, or none to measure."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    calls: int = Field(
        description="that a provider was tried for and that did not end by the caller's own doing"
    )
    served: int = Field(description="of these, answered completely")
    failed_first: int = Field(description="whose first attempt failed")
    rescued: int = Field(description="of these, answered completely by a later attempt")
    added_p50_ms: float | None = Field(
        description="median time that rescued calls waited before the attempt that answered"
    )
    added_p99_ms: float | None = None
    extra_cost_usd: float | None = Field(
        description="what attempts before the last one cost, as far as known"
    )
    unpriced_attempts: int = Field(description="attempts before the last one whose cost is not known")


class Rescues(BaseModel):
    """By provider."""

    providers: list[Rescue]


RESCUES = Operation(SERVICE, "rescues", RescuesQuery, Rescues)
RESULTS = Operation(SERVICE, "results", OfTest, TestResults)
CALLS = Operation(SERVICE, "calls", CallsQuery, CallList)
CALL = Operation(SERVICE, "call", OneCall, CallDetail)
SPENT = Operation(SERVICE, "spent", SpentQuery, Spent)
DECISIONS = Operation(SERVICE, "decisions", DecisionsQuery, DecidedCalls, timeout_s=15)
COMPARE = Operation(SERVICE, "compare", CompareQuery, Comparison, timeout_s=15)
RANKING = Operation(SERVICE, "ranking", RankingQuery, Ranking, timeout_s=15)
HISTORY = Operation(SERVICE, "history", HistoryQuery, DailyRows)
RECOMPUTE = Operation(SERVICE, "recompute", OneDay, DailyRows, timeout_s=30)
TREND = Operation(SERVICE, "trend", TrendQuery, Trend, timeout_s=15)
