"""What is said: parts of content, tool calls, thoughts, turns."""

from dataclasses import dataclass, field
from typing import Any


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
