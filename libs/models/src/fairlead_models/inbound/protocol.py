"""What every inbound format offers, so that the edge's handler is the same for all of them.

Functions of the chat format itself stay where they are (``openai_chat.parse`` and so on); the objects here only give
them one shape. ``FORMATS`` in ``inbound.formats`` holds one object per path of the model API.
"""

from typing import Protocol

from fairlead_models.unified import ChatChunk, ChatRequest, ChatResponse, Format, Usage


class StreamRenderer(Protocol):
    """Writes one answer as a stream, in the caller's format. Order of calls: begin, chunk..., then done or error.

    Between two chunks, ``resume``: another target goes on with the answer.
    """

    def begin(self) -> bytes:
        """What goes out before the first token; may be empty."""
        ...

    def chunk(self, chunk: ChatChunk) -> bytes:
        """Bytes for one chunk; empty when it holds nothing for the caller (usage goes out at the end)."""
        ...

    def resume(self, target: str) -> bytes:
        """``target`` goes on with the text; its chunks come without a provider's event. Gives a comment that says so.

        The last event of the answer names, under ``fairlead.continued_by``, everybody who went on with it.
        """
        ...

    def done(self, usage: Usage) -> bytes:
        """The regular end."""
        ...

    def error(self, message: str, kind: str, code: str | None) -> bytes:
        """The end of a stream that broke: the format's own error event, and never its regular end."""
        ...


class InboundFormat(Protocol):
    """One format in which callers speak; stateless."""

    format: Format
    api: str
    """Its name in records of calls: chat.completions, messages, responses."""

    def parse(self, body: bytes) -> ChatRequest:
        """The request in ``body``.

        Raises:
            InvalidRequest: with the path of the wrong field in ``param``.
        """
        ...

    def render(self, response: ChatResponse, request_id: str, target: str) -> bytes:
        """A whole answer; ``target`` (provider/model) is who gave it."""
        ...

    def stream_renderer(
        self, request: ChatRequest, request_id: str, target: str, created: int
    ) -> StreamRenderer:
        """A fresh renderer for one stream; ``created`` in seconds since 1970."""
        ...

    def render_error(
        self,
        status: int,
        message: str,
        type: str | None = None,  # noqa: A002 - the word of all three formats
        code: str | None = None,
        param: str | None = None,
    ) -> bytes:
        """The format's error body; without ``type`` the one that belongs to the status."""
        ...


def seam_comment(target: str) -> bytes:
    """A comment of the event stream, which clients skip, at the place where ``target`` goes on."""
    return f": fairlead: {target.replace(chr(10), ' ').replace(chr(13), ' ')} goes on\n\n".encode()
