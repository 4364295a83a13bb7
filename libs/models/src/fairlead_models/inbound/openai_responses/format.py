"""The Responses format in the shape that all inbound formats have; its errors are those of the chat format."""

from fairlead_models.inbound import openai_chat
from fairlead_models.inbound.openai_responses.parsing import parse
from fairlead_models.inbound.openai_responses.rendering import render
from fairlead_models.inbound.openai_responses.streaming import StreamRenderer
from fairlead_models.unified import ChatRequest, ChatResponse, Format


class OpenAIResponses:
    """``POST /v1/responses``; see ``InboundFormat``."""

    format = Format.OPENAI_RESPONSES
    api = "responses"

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
        return StreamRenderer(request_id, target, created)

    def render_error(
        self,
        status: int,
        message: str,
        type: str | None = None,  # noqa: A002 - the word of all three formats
        code: str | None = None,
        param: str | None = None,
    ) -> bytes:
        """See ``InboundFormat.render_error``."""
        return openai_chat.FORMAT.render_error(status, message, type, code, param)


FORMAT = OpenAIResponses()
"""The one object of it."""
