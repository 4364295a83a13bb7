"""The unified form of a chat request, its answer and its stream, between any inbound format and any provider's wire.

Slotted dataclasses without validation: the inbound module has checked everything once, and this is the request path.
``None`` always means "not given" or "unknown", never a default.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class FinishReason(StrEnum):
    """Why a model stopped, in the words of the OpenAI API."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


@dataclass(slots=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(slots=True)
class ImagePart:
    """An image, by URL or as base64 data with its media type."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class OtherPart:
    """A content part of a kind that is only understood by targets of the same wire (audio, files, ...)."""

    kind: str
    raw: dict[str, Any]


Part = TextPart | ImagePart | OtherPart


@dataclass(slots=True)
class ToolCall:
    """A call the model wants made; ``arguments`` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Message:
    """One turn. ``role`` is system, developer, user, assistant or tool."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None

    def text(self) -> str:
        """All text of the message, parts joined by newlines."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if isinstance(part, TextPart))


@dataclass(slots=True)
class Tool:
    """A function the model may call; ``parameters`` is its JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


@dataclass(slots=True)
class ToolChoice:
    """auto, none, required, or one named function."""

    mode: Literal["auto", "none", "required", "function"]
    name: str | None = None


@dataclass(slots=True)
class ResponseFormat:
    """text, any JSON object, or JSON that satisfies a schema."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


@dataclass(slots=True)
class ChatRequest:
    """One chat request, whoever's format it came in."""

    model: str
    messages: list[Message]
    stream: bool = False
    include_usage: bool = False
    """The caller wants usage at the end of the stream."""
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Parameters nobody here knows, kept for a target of the same wire."""
    raw: dict[str, Any] | None = None
    """The body as the caller sent it, in the OpenAI chat format; None when it came in another."""

    def needs(self) -> frozenset[str]:
        """Capabilities a target must have to serve this request faithfully."""
        found = set()
        if self.tools:
            found.add("tools")
        if self.response_format is not None and self.response_format.kind == "json_schema":
            found.add("structured_output")
        for message in self.messages:
            if isinstance(message.content, list) and any(
                isinstance(part, ImagePart) for part in message.content
            ):
                found.add("vision")
        return frozenset(found)


@dataclass(slots=True)
class Usage:
    """Tokens of one call; totals are inclusive: input includes cached and written ones, output includes reasoning."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(slots=True)
class Choice:
    """One answer of the model."""

    index: int = 0
    text: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    logprobs: Any = None


@dataclass(slots=True)
class ChatResponse:
    """A complete answer."""

    id: str | None
    model: str | None
    choices: list[Choice]
    usage: Usage
    created: int | None = None
    provider_request_id: str | None = None
    raw: dict[str, Any] | None = None
    """The provider's body when its wire is the OpenAI chat format, so that nothing is lost on the way through."""


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call in a stream; id and name come with the first piece of each index."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(slots=True)
class ChatChunk:
    """What one step of a stream brought."""

    index: int = 0
    text: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    logprobs: Any = None
    id: str | None = None

    @property
    def has_token(self) -> bool:
        """True when the caller gets to see something of the answer: after this, no unseen failover is possible."""
        return bool(self.text or self.reasoning or self.refusal or self.tool_calls)


@dataclass(slots=True)
class Unhonoured:
    """A parameter that a target cannot honour, and why; goes out in the ``x-fairlead-warnings`` header."""

    param: str
    reason: str

    def __str__(self) -> str:
        return f"{self.param}: {self.reason}"


@dataclass(slots=True)
class EncodedRequest:
    """A request as it goes to a provider, without authentication and base URL, which belong to the provider's row."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    warnings: tuple[Unhonoured, ...] = ()
