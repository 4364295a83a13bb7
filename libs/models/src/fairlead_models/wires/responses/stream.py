"""Decoding a Responses stream. Complete = ``response.completed`` or ``response.incomplete`` was seen."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.failures import stream_failure
from fairlead_models.unified import ChatChunk, Format, ToolCallDelta
from fairlead_models.wires.events import EventDecoder
from fairlead_models.wires.protocol import truncated
from fairlead_models.wires.reading import as_int, label, record, records, text, word
from fairlead_models.wires.responses.decode import (
    BREAK,
    SERVER_ITEMS,
    WIRE,
    failure_of,
    finish_of,
    response_in,
    thought_of,
    usage_of,
)

SILENT = frozenset(
    "response.in_progress response.queued response.content_part.added response.content_part.done"
    " response.output_text.done response.refusal.done response.reasoning_summary_part.done"
    " response.reasoning_summary_text.done response.reasoning_text.done response.output_text.annotation.added"
    " keepalive".split()
)
"""Events that repeat what others brought, or only inform."""


class ResponsesStream(EventDecoder):
    """Decoder of one stream."""

    __slots__ = ("_calls", "_ended", "_id", "_said", "_summaries")

    def __init__(self) -> None:
        super().__init__()
        self._id: str | None = None
        self._ended = False
        self._said = False
        self._calls: dict[int, list[Any]] = {}
        """By output index: position among the calls, and whether any arguments came."""
        self._summaries: dict[int, int] = {}

    def read(self, event: str, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """See ``EventDecoder.read``."""
        kind = text(found.get("type") or event)
        if kind == "error" or (kind == "" and "error" in found):
            held = found.get("error")
            detail = held if isinstance(held, dict) else found
            raise stream_failure(detail.get("message"), (detail.get("code"), detail.get("type")))
        chunk = self._chunk(kind, found) or ChatChunk()
        chunk.id = self._id
        chunk.raw, chunk.raw_format = found, Format.OPENAI_RESPONSES
        chunks.append(chunk)

    def _chunk(self, kind: str, found: dict[str, Any]) -> ChatChunk | None:
        if kind == "response.output_text.delta":
            self._said = True
            logprobs = records(found.get("logprobs"))
            return ChatChunk(text=text(found["delta"]), logprobs={"content": logprobs} if logprobs else None)
        if kind == "response.refusal.delta":
            return ChatChunk(refusal=text(found["delta"]))
        if kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            return ChatChunk(reasoning=text(found["delta"]))
        if kind == "response.reasoning_summary_part.added":
            return self._summary(found)
        if kind in ("response.function_call_arguments.delta", "response.function_call_arguments.done"):
            return self._arguments(kind, found)
        if kind in ("response.output_item.added", "response.output_item.done"):
            return self._item(kind, found)
        return self._life(kind, found)

    def _summary(self, found: dict[str, Any]) -> ChatChunk | None:
        place = as_int(found["output_index"]) or 0
        self._summaries[place] = self._summaries.get(place, 0) + 1
        return ChatChunk(reasoning=BREAK) if self._summaries[place] > 1 else None

    def _arguments(self, kind: str, found: dict[str, Any]) -> ChatChunk | None:
        call = self._calls[as_int(found["output_index"]) or 0]
        if kind.endswith(".done"):
            return self._whole(call, text(found["arguments"]))
        call[1] = True
        return ChatChunk(tool_calls=[ToolCallDelta(call[0], arguments=text(found["delta"]))])

    @staticmethod
    def _whole(call: list[Any], arguments: str) -> ChatChunk | None:
        """All arguments at once, unless they came in pieces already."""
        if call[1] or not arguments:
            return None
        call[1] = True
        return ChatChunk(tool_calls=[ToolCallDelta(call[0], arguments=arguments)])

    def _item(self, kind: str, found: dict[str, Any]) -> ChatChunk | None:
        item, place = record(found["item"]), as_int(found["output_index"]) or 0
        what, ended = item["type"], kind.endswith(".done")
        if what == "function_call":
            if ended:
                return self._whole(self._calls[place], text(item["arguments"]))
            self._calls[place] = [len(self._calls), False]
            delta = ToolCallDelta(self._calls[place][0], word(item["call_id"]), word(item["name"]))
            return ChatChunk(tool_calls=[delta])
        if what == "reasoning" and ended:
            thought = thought_of(item)
            thought.text = None
            return ChatChunk(thought=thought) if thought.seal is not None else None
        if what == "message" and not ended and self._said:
            return ChatChunk(text=BREAK)
        if what not in ("message", "reasoning") and what not in SERVER_ITEMS:
            DRIFT.note(WIRE, "item", str(what))
        return None

    def _life(self, kind: str, found: dict[str, Any]) -> ChatChunk | None:
        if kind == "response.created":
            self._id = label(response_in(found).get("id"))
        elif kind in ("response.completed", "response.incomplete"):
            response = response_in(found)
            finish = finish_of(response, called=bool(self._calls))
            self._ended = True
            usage = usage_of(response.get("usage"), response.get("service_tier"))
            return ChatChunk(finish_reason=finish, usage=usage, vendor_finish=label(response.get("status")))
        elif kind in ("response.failed", "response.cancelled"):
            raise failure_of(response_in(found))
        elif kind not in SILENT and not kind.startswith(SERVER_EVENTS):
            DRIFT.note(WIRE, "event", kind)
        return None

    def check_end(self) -> None:
        """See ``EventDecoder.check_end``."""
        if not self._ended:
            raise truncated("no response.completed")


SERVER_EVENTS = (
    "response.audio.",
    "response.code_interpreter_call",
    "response.compaction.",
    "response.custom_tool_call_input.",
    "response.file_search_call.",
    "response.image_generation_call.",
    "response.mcp_",
    "response.shell_call",
    "response.web_search_call.",
)
"""Events of tools that run at the provider; only callers of this very format can ask for them."""
