"""The place where another target's text joins the text that the caller has already."""

from dataclasses import replace

from fairlead_models.continuation import Handover, joined
from fairlead_models.unified import ChatChunk


class Seam:
    """Holds the opening of a continuation back until it is known what of it repeats; see ``joined``.

    Thinking and the provider's own events are left out: the answer has begun, and it is another provider's.
    """

    def __init__(self, partial: str, way: Handover) -> None:
        self._partial = partial
        self._way = way
        self._held: str | None = ""
        """What was held back so far; None once it is decided."""
        self._shown: list[str] = []

    @property
    def text(self) -> str:
        """All that the caller has."""
        return self._partial + "".join(self._shown)

    def pass_on(self, chunks: list[ChatChunk]) -> list[ChatChunk]:
        """What of ``chunks`` goes out now."""
        return [self._passed(replace(each, reasoning=None, thought=None, raw=None)) for each in chunks]

    def _passed(self, chunk: ChatChunk) -> ChatChunk:
        if self._held is not None:
            self._held += chunk.text or ""
            ended = bool(chunk.finish_reason or chunk.tool_calls or chunk.refusal)
            chunk.text = joined(self._partial, self._held, self._way, ended=ended)
            if chunk.text is not None:
                self._held = None
        if chunk.text:
            self._shown.append(chunk.text)
        return chunk
