"""Decoding a Cohere stream. Complete = ``message-end`` was seen, with a finish reason that is no error."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.failures import failed_finish, stream_failure
from fairlead_models.unified import ChatChunk, FinishReason, ToolCallDelta
from fairlead_models.wires.cohere.decode import WIRE, finish_of, logprobs_of, usage_in
from fairlead_models.wires.events import EventDecoder
from fairlead_models.wires.protocol import truncated
from fairlead_models.wires.reading import label, optional_record, optional_text, position, record, text

SILENT = frozenset("content-end tool-call-end citation-start citation-end debug".split())


class CohereStream(EventDecoder):
    """Decoder of one stream."""

    __slots__ = ("_ended", "_id")

    def __init__(self) -> None:
        super().__init__()
        self._ended = False
        self._id: str | None = None

    def read(self, event: str, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """See ``EventDecoder.read``."""
        chunk = self._chunk(optional_text(found.get("type")) or event, found)
        if chunk is not None:
            chunk.id = self._id
            chunks.append(chunk)

    def _chunk(self, kind: str, found: dict[str, Any]) -> ChatChunk | None:
        if kind in ("content-delta", "content-start"):
            content = record(_message(found)["content"])
            logprobs = found.get("logprobs")
            return ChatChunk(
                text=optional_text(content.get("text")) or None,
                reasoning=optional_text(content.get("thinking")) or None,
                logprobs=logprobs_of([logprobs]) if logprobs is not None else None,
            )
        if kind in ("tool-call-start", "tool-call-delta"):
            return _call(found)
        if kind == "tool-plan-delta":
            return ChatChunk(reasoning=text(_message(found)["tool_plan"]))
        if kind == "message-start":
            self._id = label(found.get("id"))
        elif kind == "message-end":
            return self._end(optional_record(found.get("delta")))
        elif "error" in found or ("message" in found and "delta" not in found):
            raise stream_failure(found.get("message") or found.get("error"))
        elif kind not in SILENT:
            DRIFT.note(WIRE, "event", kind)
        return None

    def _end(self, delta: dict[str, Any]) -> ChatChunk:
        word = text(delta["finish_reason"])
        finish = finish_of(word)
        if finish is FinishReason.ERROR:
            raise failed_finish(word, in_stream=True, detail=delta.get("error"))
        self._ended = True
        return ChatChunk(finish_reason=finish, usage=usage_in(delta), vendor_finish=word)

    def check_end(self) -> None:
        """See ``EventDecoder.check_end``."""
        if not self._ended:
            raise truncated("no message-end")


def _message(found: dict[str, Any]) -> dict[str, Any]:
    return record(record(found["delta"])["message"])


def _call(found: dict[str, Any]) -> ChatChunk:
    call = record(_message(found)["tool_calls"])
    function = optional_record(call.get("function"))
    delta = ToolCallDelta(
        position(found, 0),
        optional_text(call.get("id")),
        optional_text(function.get("name")),
        optional_text(function.get("arguments")) or "",
    )
    return ChatChunk(tool_calls=[delta])
