"""What comes back: whole, in pieces, as vectors; and what it used."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fairlead_models.unified.messages import Thought, ToolCall
from fairlead_models.unified.requests import Format


class FinishReason(StrEnum):
    """Why a model stopped, in the words of the OpenAI API."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


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
class EmbeddingResponse:
    """One vector per input, in the order of the inputs."""

    vectors: list[list[float]]
    usage: Usage
    model: str | None = None
    provider_request_id: str | None = None
