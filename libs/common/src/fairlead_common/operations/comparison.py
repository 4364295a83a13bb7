"""What the comparison service answers."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.events.calls import CallKind
from fairlead_common.outcomes import CallState

SERVICE = "comparison"


class OfTest(BaseModel):
    """Which A/B test."""

    test_id: int


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
    """All results of a test so far, by prompt, repeat, provider, model."""

    __test__ = False

    results: list[TestResult]


class CallsQuery(BaseModel):
    """Which calls of a workspace, newest first. Null = any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace_id: int
    provider: str | None = None
    model: str | None = None
    state: CallState | None = None
    kind: CallKind | None = None
    failover: bool | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
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


RESULTS = Operation(SERVICE, "results", OfTest, TestResults)
CALLS = Operation(SERVICE, "calls", CallsQuery, CallList)
CALL = Operation(SERVICE, "call", OneCall, CallDetail)
