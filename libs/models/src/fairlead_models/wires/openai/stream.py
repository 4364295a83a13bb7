"""Decoding a chat-completions stream. Complete = every choice has its finish reason; ``[DONE]`` alone proves nothing."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.failures import failed_finish
from fairlead_models.unified import ChatChunk, FinishReason
from fairlead_models.wires.events import EventDecoder, OpenChoices
from fairlead_models.wires.openai.decode import KNOWN_TOP, chunk_of, made_up_id, usage_of
from fairlead_models.wires.openai.errors import error_in_200, is_error
from fairlead_models.wires.protocol import truncated
from fairlead_models.wires.reading import label, optional_record, records


class OpenAIStream(EventDecoder):
    """Decoder of one stream.

    Args:
        wire: whose answers these are.
        choices: how many were asked for.
    """

    __slots__ = ("_called", "_calls", "_choices", "_wire")

    def __init__(self, wire: str, choices: int = 1) -> None:
        super().__init__()
        self._wire = wire
        self._choices = OpenChoices(choices)
        self._called: set[int] = set()
        self._calls: set[tuple[int, int]] = set()

    def read(self, event: str, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """See ``EventDecoder.read``."""
        if is_error(found):
            raise error_in_200(found)
        DRIFT.fields(self._wire, "chunk", found, KNOWN_TOP)
        identity, first = label(found.get("id")), len(chunks)
        for place, choice in enumerate(records(found.get("choices"))):
            chunk = chunk_of(choice, place, self._wire)
            chunk.id = identity
            self._note(chunk, choice)
            chunk.raw = {}
            chunks.append(chunk)
        usage = found.get("usage") or optional_record(found.get("x_groq")).get("usage")
        if usage or first == len(chunks):
            read = usage_of(usage, self._wire, found.get("service_tier")) if usage else None
            chunks.append(ChatChunk(usage=read, id=identity, raw={}))
        chunks[first].raw = found
        if not _plain(found):
            for chunk in chunks[first:]:
                chunk.raw = None

    def _note(self, chunk: ChatChunk, choice: dict[str, Any]) -> None:
        for call in chunk.tool_calls or ():
            place = (chunk.index, call.index)
            if place not in self._calls and call.id is None:
                call.id = made_up_id(f"{chunk.id}{call.name}", call.index)
            self._calls.add(place)
            self._called.add(chunk.index)
        if chunk.finish_reason is FinishReason.ERROR:
            detail = optional_record(choice.get("error")).get("message")
            raise failed_finish(chunk.vendor_finish, in_stream=True, detail=detail)
        if chunk.finish_reason is FinishReason.STOP and chunk.index in self._called:
            chunk.finish_reason = FinishReason.TOOL_CALLS
        self._choices.note(chunk.index, finished=chunk.finish_reason is not None)

    def check_end(self) -> None:
        """See ``EventDecoder.check_end``."""
        if not self._choices.complete:
            raise truncated("no finish reason")


def _plain(found: dict[str, Any]) -> bool:
    """The event is in the format that callers know: content is text, and reasoning has the field they look for."""
    for choice in found.get("choices") or ():
        delta = choice.get("delta") or {}
        if isinstance(delta.get("content"), list) or delta.get("reasoning") is not None:
            return False
    return True
