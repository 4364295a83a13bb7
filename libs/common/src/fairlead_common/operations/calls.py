"""What the comparison service answers of calls that have ended."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.events.calls import CallKind, Decision
from fairlead_common.operations.comparison import SERVICE
from fairlead_common.operations.times import Moment
from fairlead_common.outcomes import CallState


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


class RescuesQuery(BaseModel):
    """Live calls of a workspace that started in ``[since, until)``."""

    workspace_id: int
    since: Moment
    until: Moment


class Rescue(BaseModel):
    """Calls by the provider that was meant to be tried first. Null = unknown, or none to measure."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    calls: int = Field(
        description="that a provider was tried for and that did not end by the caller's own doing"
    )
    served: int = Field(description="of these, answered completely, by whomever")
    served_first: int = Field(description="answered completely by their first attempt, at this provider")
    led_elsewhere: int = Field(
        description="not tried here at first, because a breaker, the state or a policy was against it"
    )
    failed_first: int = Field(description="whose first attempt, at this provider, failed")
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


CALLS = Operation(SERVICE, "calls", CallsQuery, CallList)
CALL = Operation(SERVICE, "call", OneCall, CallDetail)
SPENT = Operation(SERVICE, "spent", SpentQuery, Spent)
DECISIONS = Operation(SERVICE, "decisions", DecisionsQuery, DecidedCalls, timeout_s=15)
RESCUES = Operation(SERVICE, "rescues", RescuesQuery, Rescues)
