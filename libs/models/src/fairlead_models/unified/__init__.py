"""The unified form of a chat request, its answer and its stream, between any inbound format and any provider's wire.

Slotted dataclasses without validation: the inbound module has checked everything once, and this is the request path.
``None`` always means "not given" or "unknown", never a default.
"""

from fairlead_models.unified.answers import (
    ChatChunk,
    ChatResponse,
    Choice,
    EmbeddingResponse,
    FinishReason,
    ToolCallDelta,
    Usage,
)
from fairlead_models.unified.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    OtherPart,
    Part,
    TextPart,
    Thought,
    ToolCall,
)
from fairlead_models.unified.requests import (
    ChatRequest,
    EmbeddingRequest,
    Format,
    ResponseFormat,
    Tool,
    ToolChoice,
    Unhonoured,
    UnsupportedPolicy,
)

__all__ = [
    "AudioPart",
    "ChatChunk",
    "ChatRequest",
    "ChatResponse",
    "Choice",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "FilePart",
    "FinishReason",
    "Format",
    "ImagePart",
    "Message",
    "OtherPart",
    "Part",
    "ResponseFormat",
    "TextPart",
    "Thought",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "Unhonoured",
    "UnsupportedPolicy",
    "Usage",
]
