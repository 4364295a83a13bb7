"""What became of every request and every attempt. Sources: edges, abtest's workers, health's probes, failover's trials."""

from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from fairlead_common.events.event import Event, token
from fairlead_common.outcomes import Bucket, CallState, ErrorClass


class CallKind(StrEnum):
    """Why a call was made; only ``live`` ones are traffic that routing and comparison speak about by default."""

    LIVE = "live"
    PROBE = "probe"
    ABTEST = "abtest"
    DRILL = "drill"
    SHADOW = "shadow"


class Phases(BaseModel):
    """Milliseconds of the phases of an attempt; None = it did not happen (a reused connection) or did not end."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    """From the beginning to the head of the answer."""


class Attempt(BaseModel):
    """One try at one provider, measured at our side of the wire."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str
    offset_ms: float
    """Start of the attempt, counted from the start of the call."""
    duration_ms: float
    """To the last byte, or to the failure."""
    ttft_ms: float | None = None
    """To the first token of the answer; None when none came."""
    error_class: ErrorClass | None = None
    """None = the provider did its part completely."""
    status: int | None = None
    retry_after_s: float | None = None
    provider_request_id: str | None = None
    reason: str = "primary"
    """Why this target was tried: primary, failover, retry, hedge, continuation, panic, half_open."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    """None = unknown, never zero by default."""
    estimated: bool = False
    """Tokens and cost are estimates from the text that came: the attempt ended before the provider told them."""
    finish_reason: str | None = None
    region: str | None = None
    """Where the provider's row says that it is."""
    phases: Phases | None = None
    """Of probes only."""
    excused: bool = False
    """Its failure says nothing about the provider: the caller's own deadline cut it short, or a drill of one workspace
    alone has struck it."""

    @property
    def speaks_of_provider(self) -> bool:
        """False when what became of it is the caller's doing: his error, his leaving, his deadline, his drill."""
        return not self.excused and (self.error_class is None or self.error_class.bucket is not Bucket.CALLER)

    @property
    def ok(self) -> bool:
        """True when the provider delivered a complete answer."""
        return self.error_class is None


class Considered(BaseModel):
    """A candidate that could have been chosen first, and what it was judged by. None = unknown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    target: str
    """provider/model."""
    score: float
    """By the rule's strategy, 0 to 1."""
    latency_ms: float | None = None
    """Expected; to the first token for streams."""
    cost_usd: float | None = None
    """Expected of this call."""
    quality: float | None = None
    reliability: float = 1.0


class LeftOut(BaseModel):
    """A candidate that could not be chosen, and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    target: str
    reason: str


class Decision(BaseModel):
    """Why a call went where it went first: what was known of the request, and the candidates. See ``decisions.record``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    strategy: str | None = None
    """None = nothing could serve the request."""
    rule_version: int = 0
    """Version of the table in which the call's rule came to be as it was; 0 = the default rule."""
    draw: float | None = None
    probability: float | None = None
    """Of the first target, over all draws; None = not computed for the strategy."""
    explored: bool = False
    tokens: int = 0
    """Estimated input."""
    max_tokens: int | None = None
    needs: tuple[str, ...] = ()
    response_format: str = "text"
    task: str = "unknown"
    language: str = "und"
    predictor: int | None = None
    """Version of the learned table that was asked for the quality; None = none was."""
    cluster: int | None = None
    """Of the prompt, in that table; None = no word of it is known."""
    metadata: dict[str, str] | None = None
    """The caller's; None = too long to be kept."""
    failover: bool = True
    """False: the caller wanted one target and no stand-ins."""
    instead_of: str | None = None
    """provider/model that would have been first if all of the named had been well; None = it was."""
    max_cost_usd: float | None = None
    """What the caller wanted to pay at most; None = it set no limit."""
    limit_output_tokens: int | None = None
    """The output that the limit was held against; None as well in records without a limit."""
    considered: int = 0
    """How many candidates there were; the first of them follow, the chosen one in front."""
    candidates: tuple[Considered, ...] = ()
    left_out: int = 0
    """How many candidates could not be chosen; the first of them follow."""
    excluded: tuple[LeftOut, ...] = ()


class Call(BaseModel):
    """One request of a caller, or one probe or test call, from its arrival to its end."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call_id: str
    """UUID v7; also the request id the caller saw. Unique: whatever counts calls counts it once."""
    kind: CallKind = CallKind.LIVE
    workspace_id: int = 1
    key_id: str | None = None
    api: str = "chat.completions"
    requested_model: str
    stream: bool = False
    started_at: AwareDatetime
    state: CallState
    status: int
    """HTTP status the caller got (a stream that broke after its head keeps its 200; ``state`` tells)."""
    provider: str | None = None
    """Who answered; None when nobody did."""
    model: str | None = None
    rule: str | None = None
    table_version: int | None = None
    failover: bool = False
    """True when the answer came from another target than the first of the plan."""
    continued: int = 0
    """How often another target went on with an answer that had broken; the attempts with output tokens gave its parts."""
    duration_ms: float
    ttft_ms: float | None = None
    overhead_ms: float | None = None
    """Time the edge itself added: total less the time of the attempts."""
    input_tokens: int | None = None
    """Tokens: sums over the attempts that gave the answer."""
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    """Sum over the attempts that billed, estimates included; None when any of them is unknown."""
    attempts: tuple[Attempt, ...] = ()
    error_code: str | None = None
    trace_id: str | None = None
    test_id: int | None = None
    """The A/B test this call belongs to."""
    decision: Decision | None = None
    """None = nothing was routed: a probe, a test, a request that was refused before."""


class CallsCompleted(Event):
    """A frame: many calls in one message. A frame that is sent again keeps its event_id."""

    subject_prefix: ClassVar[str] = "calls.completed"

    source: str
    calls: tuple[Call, ...]

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{token(self.source)}"
