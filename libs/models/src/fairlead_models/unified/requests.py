"""What is asked for, in chats and in embeddings."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from fairlead_models.unified.messages import AudioPart, FilePart, ImagePart, Message


class Format(StrEnum):
    """The formats in which callers speak, and in which some providers answer."""

    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC_MESSAGES = "anthropic_messages"


class UnsupportedPolicy(StrEnum):
    """What a workspace wants done about a parameter that the target cannot honour; see ``policy``."""

    ERROR = "error"
    WARN = "warn"
    DROP = "drop"


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
