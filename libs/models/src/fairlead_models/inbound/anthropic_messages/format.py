"""The Messages format in the shape that all inbound formats have."""

from fairlead_models.inbound.anthropic_messages.parsing import parse
from fairlead_models.inbound.anthropic_messages.rendering import BY_STATUS, render, render_error
from fairlead_models.inbound.anthropic_messages.streaming import StreamRenderer
from fairlead_models.unified import ChatRequest, ChatResponse, Format

TYPES = frozenset((*BY_STATUS.values(), "api_error"))


class AnthropicMessages:
    """``POST /v1/messages``; see ``InboundFormat``."""

    format = Format.ANTHROPIC_MESSAGES
    api = "messages"

    def parse(self, body: bytes) -> ChatRequest:
        """See ``InboundFormat.parse``."""
        return parse(body)

    def render(self, response: ChatResponse, request_id: str, target: str) -> bytes:
        """See ``InboundFormat.render``."""
        return render(response, request_id, target)

    def stream_renderer(
        self, request: ChatRequest, request_id: str, target: str, created: int
    ) -> StreamRenderer:
        """See ``InboundFormat.stream_renderer``."""
        return StreamRenderer(request_id, target)

    def render_error(
        self,
        status: int,
        message: str,
        type: str | None = None,  # noqa: A002 - the word of all three formats
        code: str | None = None,
        param: str | None = None,
    ) -> bytes:
        """See ``InboundFormat.render_error``; a type that is not Anthropic's gives way to the status's own."""
        return render_error(status, message, type if type in TYPES else None)


FORMAT = AnthropicMessages()
"""The one object of it."""
