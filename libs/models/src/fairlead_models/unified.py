"""The unified form of a chat request, its answer and its stream, between any inbound format and any provider's wire.

Slotted dataclasses without validation: the inbound module has checked everything once, and this is the request path.
``None`` always means "not given" or "unknown", never a default.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fairlead_models.wires.protocol import Wire


class FinishReason(StrEnum):
    """Why a model stopped, in the words of the OpenAI API."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


class UnsupportedPolicy(StrEnum):
    """What a workspace wants done about a parameter that the target cannot honour; see ``policy``."""

    ERROR = "error"
    WARN = "warn"
    DROP = "drop"


class Format(StrEnum):
    """The formats in which callers speak, and in which some providers answer."""

    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC_MESSAGES = "anthropic_messages"


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
class FilePart:
    """A document (mostly PDF), by URL or as base64 data with its media type."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    name: str | None = None


@dataclass(slots=True)
class AudioPart:
    """Sound as base64 data; ``format`` is wav, mp3, ..."""

    data: str
    format: str


@dataclass(slots=True)
class OtherPart:
    """A content part of a kind that is only understood by targets of the same wire (search results, ...)."""

    kind: str
    raw: dict[str, Any]


Part = TextPart | ImagePart | FilePart | AudioPart | OtherPart


@dataclass(slots=True)
class ToolCall:
    """A call the model wants made; ``arguments`` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Thought:
    """A block of a model's thinking, and what its vendor wants to see again unchanged in the next turn."""

    text: str | None = None
    seal: str | None = None
    """Opaque: Anthropic's signature or redacted data, Gemini's thoughtSignature, OpenAI's encrypted content."""
    wire: str | None = None
    """Whose thought it is: anthropic, google, openai, mistral, cohere, or a compatible provider's dialect."""
    id: str | None = None
    """The vendor's name for the block."""
    call_id: str | None = None
    """The tool call that the seal belongs to (Gemini seals calls one by one)."""
    redacted: bool = False
    """The vendor shows no text; the seal holds everything."""


@dataclass(slots=True)
class Message:
    """One turn. ``role`` is system, developer, user, assistant or tool."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None
    thoughts: list[Thought] = field(default_factory=list)
    """What the model thought in this turn, as an earlier answer gave it out."""
    is_error: bool = False
    """A tool's result that says the call failed."""

    def text(self) -> str:
        """All text of the message, parts joined by newlines."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if isinstance(part, TextPart))

    def parts(self) -> list[Part]:
        """The content as parts; a string is one part, an empty string none."""
        if isinstance(self.content, list):
            return self.content
        return [TextPart(self.content)] if self.content else []


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

    @property
    def forced(self) -> bool:
        """The model must call a tool."""
        return self.mode in ("required", "function")


@dataclass(slots=True)
class ResponseFormat:
    """text, any JSON object, or JSON that satisfies a schema."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


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
    top_k: int | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    """none, minimal, low, medium, high, xhigh or max."""
    reasoning_budget_tokens: int | None = None
    """Most tokens to think with; 0 = do not think. Given instead of an effort, or beside it."""
    show_reasoning: bool | None = None
    """The caller wants to read what the model thought, or a summary of it."""
    metadata: dict[str, str] = field(default_factory=dict)
    """For Fairlead's own rules and reports; passed on where the provider takes it, and never a reason to warn."""
    user: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Parameters nobody here knows, kept for a target of the same wire."""
    raw: dict[str, Any] | None = None
    """The body as the caller sent it, in ``raw_format``, so that nothing is lost towards a target of that wire."""
    raw_format: Format = Format.OPENAI_CHAT
    unsupported: UnsupportedPolicy = UnsupportedPolicy.WARN
    """The workspace's policy for parameters that a target cannot honour."""

    def needs(self) -> frozenset[str]:
        """Capabilities a target must have to serve this request faithfully."""
        found = set()
        if self.tools:
            found.add("tools")
        if self.response_format is not None and self.response_format.kind == "json_schema":
            found.add("structured_output")
        for message in self.messages:
            for part in message.content if isinstance(message.content, list) else ():
                if isinstance(part, ImagePart):
                    found.add("vision")
                elif isinstance(part, FilePart):
                    found.add("files")
                elif isinstance(part, AudioPart):
                    found.add("audio")
        return frozenset(found)

    def raw_in(self, wanted: Format) -> dict[str, Any] | None:
        """A shallow copy of the caller's body when it came in the format ``wanted``, else None."""
        return dict(self.raw) if self.raw is not None and self.raw_format is wanted else None


@dataclass(slots=True)
class Usage:
    """Tokens of one call; totals are inclusive: input includes cached and written ones, output includes reasoning."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    long_cache_write_tokens: int | None = None
    """Those of ``cache_write_tokens`` that were written for the longer lifetime, which costs more (Anthropic: 1 h)."""
    image_input_tokens: int | None = None
    """Those of ``input_tokens`` that were pictures, where the provider tells."""
    audio_input_tokens: int | None = None
    """Those of ``input_tokens`` that were sound, cached ones included, where the provider tells."""
    cached_audio_input_tokens: int | None = None
    service_tier: str | None = None
    """The tier that served the call, where it decides the price: flex, priority, ..."""


@dataclass(slots=True)
class Choice:
    """One answer of the model."""

    index: int = 0
    text: str | None = None
    thoughts: list[Thought] = field(default_factory=list)
    refusal: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    logprobs: Any = None
    """In the OpenAI chat form: ``{"content": [{"token", "logprob", "bytes", "top_logprobs"}]}``."""
    vendor_finish: str | None = None
    """The provider's own word for the end."""
    stop_sequence: str | None = None
    """The stop sequence that ended the answer, where the provider says which."""

    @property
    def reasoning(self) -> str | None:
        """What may be read of the thinking, as one text."""
        return "".join(thought.text for thought in self.thoughts if thought.text) or None


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
    """The provider's body when its wire is a format of ours, so that nothing is lost on the way through."""
    raw_format: Format = Format.OPENAI_CHAT

    def raw_in(self, wanted: Format) -> dict[str, Any] | None:
        """A shallow copy of the provider's body when it is in the format ``wanted``, else None."""
        return dict(self.raw) if self.raw is not None and self.raw_format is wanted else None


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
    thought: Thought | None = None
    """The seal of the block of thinking whose text came before as ``reasoning``, and ends with it; no text of its own."""
    vendor_finish: str | None = None
    stop_sequence: str | None = None
    raw: dict[str, Any] | None = None
    """The provider's event when its wire is a format of ours; empty when an earlier chunk carries it already."""
    raw_format: Format = Format.OPENAI_CHAT

    @property
    def has_token(self) -> bool:
        """True when the caller gets to see something of the answer: after this, no unseen failover is possible."""
        return bool(self.text or self.reasoning or self.refusal or self.tool_calls or self.thought)


@dataclass(slots=True)
class EmbeddingRequest:
    """Texts to embed, as text or as tokens of the target's own vocabulary."""

    model: str
    inputs: list[str] | list[list[int]]
    dimensions: int | None = None
    base64: bool = False
    """The caller wants the vectors as base64 of little-endian 32-bit floats."""
    user: str | None = None
    input_type: str | None = None
    """What the vectors are for: search_document, search_query, classification, clustering, similarity."""
    unsupported: UnsupportedPolicy = UnsupportedPolicy.WARN
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class EmbeddingResponse:
    """One vector per input, in the order of the inputs."""

    vectors: list[list[float]]
    usage: Usage
    model: str | None = None
    provider_request_id: str | None = None


@dataclass(slots=True)
class Unhonoured:
    """A parameter that a target cannot honour, and why; goes out in the ``x-fairlead-warnings`` header."""

    param: str
    reason: str
    note: bool = False
    """Said for completeness, and never a reason to refuse: nothing that was asked for is missing."""

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
    wire: "Wire | None" = None
    """Who reads the answer, when that is another wire than the one that encoded (OpenAI has two APIs)."""
