"""The chat-completions format in the shape that all inbound formats have."""

from fairlead_models.inbound.openai_chat.parsing import parse
from fairlead_models.inbound.openai_chat.rendering import render, render_error
from fairlead_models.inbound.openai_chat.streaming import StreamRenderer
from fairlead_models.unified import ChatRequest, ChatResponse, Format

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


class OpenAIChat:
    """``POST /v1/chat/completions``; see ``InboundFormat``."""

    format = Format.OPENAI_CHAT
    api = "chat.completions"

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
        return StreamRenderer(request_id, target, created, include_usage=request.include_usage)

    def render_error(
        self,
        status: int,
        message: str,
        type: str | None = None,  # noqa: A002 - the word of all three formats
        code: str | None = None,
        param: str | None = None,
    ) -> bytes:
        """See ``InboundFormat.render_error``."""
        standard = "server_error" if status >= 500 else TYPES.get(status, "invalid_request_error")
        return render_error(message, type or standard, param, code)


FORMAT = OpenAIChat()
"""The one object of it."""
