"""What the abtest service answers."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from fairlead_common.bus.rpc import Empty, Operation

SERVICE = "abtest"

MetricName = Literal["quality", "latency", "cost"]
Status = Literal["running", "completed", "cancelled"]

MAX_ARMS = 10
MAX_PROMPTS = 5000
MAX_REPEATS = 1000
MAX_JOBS = 10_000
"""Prompts x arms x repeats of one test."""
MAX_PROMPT_BYTES = 200_000
"""Of one prompt with its reference, as JSON."""
MAX_TEST_BYTES = 3_000_000
"""Of all prompts together: the whole test travels in one request on the bus, whose messages end at 8 MB."""
MAX_PARAMS_BYTES = 50_000
MAX_QUEUED_BYTES = 200_000_000
"""Of all job messages of a test, each of which carries its prompt and the parameters."""
MAX_ID = 2**31 - 1
NAME = r"^[^\x00-\x1f\x7f]{1,255}$"


class PromptIn(BaseModel):
    """A conversation to put to every arm, and the answer that is expected, where there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: list[dict[str, Any]] = Field(min_length=1, description="as in a chat request")
    reference: str | None = Field(
        default=None, min_length=1, description="expected answer; without one, quality cannot be scored"
    )


class TestIn(BaseModel):
    """A test: the same prompts to each arm, and what would count as a difference."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME, description="unique in the workspace")
    prompt: str | PromptIn | None = Field(default=None, description="one prompt; or give 'prompts'")
    prompts: list[str | PromptIn] = Field(default=[], max_length=MAX_PROMPTS)
    providers: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        min_length=2,
        max_length=MAX_ARMS,
        description="the arms: a provider (its default model), provider/model, or a model's name",
    )
    params: dict[str, Any] = Field(
        default={}, description="of every call: temperature, max_tokens, response_format, ..."
    )
    repeats: int = Field(default=1, ge=1, le=MAX_REPEATS, description="calls per prompt and arm")
    metric: MetricName | None = Field(
        default=None, description="what decides; null: quality when a prompt has a reference, else latency"
    )
    minimum_effect: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="smallest difference worth having: points of quality (0 to 1), or a share of latency or cost",
    )
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="accepted rate of false positives")
    max_cost_usd: float | None = Field(default=None, gt=0)
    max_concurrency: int | None = Field(default=None, ge=1, le=1000, description="calls at a time")
    timeout_s: float = Field(
        default=60, ge=1, le=600, description="of one call; also its latency when it fails"
    )
    stream: bool = Field(
        default=True, description="stream the answers, which measures the time to first token"
    )

    @model_validator(mode="after")
    def _one_way_to_give_prompts(self) -> Self:
        if (self.prompt is None) == (not self.prompts):
            raise ValueError("give either 'prompt' or a non-empty list 'prompts'")
        jobs = len(self.all_prompts()) * len(self.providers) * self.repeats
        if jobs > MAX_JOBS:
            raise ValueError(
                f"prompts x providers x repeats makes {jobs} calls; a test has at most {MAX_JOBS}: split it"
            )
        return self

    @model_validator(mode="after")
    def _bounded_and_storable(self) -> Self:
        where = "prompts[{}]" if self.prompts else "prompt"
        total = sum(
            _size(prompt.model_dump(), where.format(position), MAX_PROMPT_BYTES)
            for position, prompt in enumerate(self.all_prompts())
        )
        if total > MAX_TEST_BYTES:
            raise ValueError(
                f"all prompts together have {total} bytes; a test has at most {MAX_TEST_BYTES}: split it"
            )
        params = _size(self.params, "params", MAX_PARAMS_BYTES)
        queued = (total + params * len(self.all_prompts())) * len(self.providers) * self.repeats
        if queued > MAX_QUEUED_BYTES:
            raise ValueError(
                f"prompts and params of all calls together have {queued} bytes; a test has at most {MAX_QUEUED_BYTES}:"
                " split it"
            )
        return self

    def all_prompts(self) -> list[PromptIn]:
        """The prompts in the long form, however they were given."""
        given = self.prompts if self.prompt is None else [self.prompt]
        return [
            PromptIn(messages=[{"role": "user", "content": each}]) if isinstance(each, str) else each
            for each in given
        ]


def _size(value: dict[str, Any], where: str, limit: int) -> int:
    """Bytes of ``value`` as JSON. Raises ValueError for what cannot be carried, or is too large."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # a lone surrogate, NaN or infinity
        raise ValueError(f"{where} holds what JSON cannot carry: {error}") from None
    if b"\\u0000" in text:
        raise ValueError(f"{where} holds the character NUL, which cannot be stored; remove it")
    if len(text) > limit:
        raise ValueError(f"{where} has {len(text)} bytes, and at most {limit} are allowed")
    return len(text)


class Arm(BaseModel):
    """One of the alternatives: what was asked for, and the model it stands for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asked: str
    provider: str
    model: str

    @property
    def name(self) -> str:
        """``provider/model``, which is unique in a test."""
        return f"{self.provider}/{self.model}"


class TestSummary(BaseModel):
    """A test without its prompts and parameters. Null = unknown."""

    __test__ = False
    model_config = ConfigDict(extra="ignore")

    id: int
    workspace_id: int
    name: str
    prompt: str = Field(description="text of the first prompt, at most 500 characters of it")
    prompt_count: int
    providers: list[str]
    arms: list[Arm]
    repeats: int
    metric: MetricName
    minimum_effect: float
    alpha: float
    max_cost_usd: float | None
    max_concurrency: int | None
    timeout_s: float
    stream: bool
    status: Status
    stop_reason: str | None
    jobs: int
    jobs_done: int
    jobs_failed: int
    progress: float = Field(description="share of the calls that are done, 0 to 1")
    estimated_cost_usd: float | None
    actual_cost_usd: float | None = Field(description="of the calls whose price is known; null: of none")
    unpriced_calls: int = Field(description="answered calls whose price is unknown")
    warnings: list[str] = Field(description="what the arms cannot honour, and what is unknown")
    created_at: AwareDatetime
    completed_at: AwareDatetime | None


class Test(TestSummary):
    """A test with its prompts and parameters."""

    prompts: list[PromptIn]
    params: dict[str, Any]


class Tests(BaseModel):
    """Tests of a workspace, newest first."""

    __test__ = False

    tests: list[TestSummary]
    next_before: int | None = Field(description="ask on with before=...; null: there are no more")


class CreateTest(BaseModel):
    """Start a test."""

    workspace_id: int
    test: TestIn


class ListTests(BaseModel):
    """Which tests."""

    workspace_id: int
    status: Status | None = None
    before: int = Field(default=MAX_ID, ge=1, le=MAX_ID, description="only tests with a smaller id")
    limit: int = Field(default=50, ge=1, le=200)


class OneTest(BaseModel):
    """Which test."""

    workspace_id: int
    test_id: int = Field(ge=1, le=MAX_ID)


class RenameIn(BaseModel):
    """What may be changed of a test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)


class RenameTest(OneTest):
    """Change a test's name."""

    change: RenameIn


class ResultsQuery(OneTest):
    """Which answers."""

    offset: int = Field(default=0, ge=0, le=MAX_ID, description="rows to skip: prompts x repeats, in order")
    limit: int = Field(default=20, ge=1, le=200)


class AnswerOut(BaseModel):
    """One arm's answer to one prompt, or its failure. Null = unknown."""

    arm: str
    response: str | None
    error_class: str | None
    latency_ms: float
    ttft_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    quality_score: float | None
    scores: dict[str, float]
    finish_reason: str | None


class SideBySide(BaseModel):
    """All answers to one prompt (one of its repeats), arm by arm, as far as they are in."""

    prompt_index: int
    repeat: int
    messages: list[dict[str, Any]]
    reference: str | None
    answers: list[AnswerOut]


class Answers(BaseModel):
    """A page of prompts with their answers."""

    test_id: int
    rows: int = Field(description="prompts x repeats of the whole test")
    prompts: list[SideBySide]
    next_offset: int | None = Field(description="null: this is the last page")


class Estimate(BaseModel):
    """A difference between two arms: positive = the second one's value is higher."""

    value: float | None
    low: float | None
    high: float | None


class ComparisonOut(BaseModel):
    """Two arms in one metric."""

    metric: MetricName
    arm1: str
    arm2: str
    units: int = Field(description="prompts (or, with one prompt, calls) that both arms have finished")
    difference: Estimate = Field(
        description="arm2 less arm1: points of quality; share of latency or cost (0.1 = 10 % more)"
    )
    p_value: float | None
    adjusted_p_value: float | None = Field(
        description="primary metric: Holm over the pairs; others: Benjamini-Hochberg"
    )
    robust_p_value: float | None = Field(description="rank or exact test beside the main one, not adjusted")
    method: str
    power: float | None = Field(
        description="chance that a test of this size finds the minimum effect, were it there; null while it runs"
    )
    finding: Literal["better", "worse", "equivalent", "undecided"] = Field(description="of arm2 against arm1")
    more_units: int | None = Field(description="about how many more would decide; null: decided, or unknown")
    per_protocol: Estimate = Field(description="the same among pairs of which neither call failed")
    per_protocol_units: int


class QuantileOut(BaseModel):
    """Latency of one arm at one quantile, of its successful calls."""

    q: float
    latency_ms: Estimate


class QuantileDifference(BaseModel):
    """Latency of two arms at one quantile, milliseconds; paired bootstrap."""

    arm1: str
    arm2: str
    q: float
    difference_ms: Estimate


class ArmOut(BaseModel):
    """One arm by itself. Null = nothing to measure, or unknown."""

    arm: str
    calls: int
    failures: int
    failure_classes: dict[str, int]
    success: Estimate = Field(description="share of calls that were answered, with its Wilson interval")
    quality_mean: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    ttft_p50_ms: float | None
    cost_per_call_usd: float | None
    output_tokens_mean: float | None
    agreement: float | None = Field(description="likeness of its answers to those of the others, 0 to 1")
    quantiles: list[QuantileOut]


class SampleRatio(BaseModel):
    """Whether every arm got its share of recorded calls; p below 0.001 means that something lost data."""

    expected: dict[str, int]
    observed: dict[str, int]
    p_value: float | None
    alarm: bool


class Verdict(BaseModel):
    """What can be said now, at the stated error rate."""

    kind: Literal["winner", "no_difference", "not_enough_data", "stopped"]
    winner: str | None
    leaders: list[str] = Field(description="arms that nothing was shown to beat")
    more_prompts: int | None = Field(
        description="about how many more would decide; null: decided, or unknown"
    )
    text: str


class Analysis(BaseModel):
    """What a test shows."""

    test_id: int
    status: Status
    final: bool = Field(
        description="true: all calls are in, fixed-horizon statistics; false: valid at every look (confidence sequence)"
    )
    metric: MetricName
    minimum_effect: float
    alpha: float
    unit: Literal["prompt", "call"]
    planned_units: int
    verdict: Verdict
    arms: list[ArmOut]
    comparisons: list[ComparisonOut]
    quantile_differences: list[QuantileDifference]
    sample_ratio: SampleRatio
    notes: list[str] = Field(description="how failures are valued, and what limits these statements")


CREATE = Operation(SERVICE, "create", CreateTest, Test, timeout_s=30)
LIST = Operation(SERVICE, "list", ListTests, Tests)
GET = Operation(SERVICE, "get", OneTest, Test)
RENAME = Operation(SERVICE, "rename", RenameTest, Test)
CANCEL = Operation(SERVICE, "cancel", OneTest, Test)
DELETE = Operation(SERVICE, "delete", OneTest, Empty)
RESULTS = Operation(SERVICE, "results", ResultsQuery, Answers, timeout_s=15)
ANALYSIS = Operation(SERVICE, "analysis", OneTest, Analysis, timeout_s=30)
