"""Decoding a Messages stream. Complete = ``message_stop`` was seen, after a reason to stop."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.failures import stream_failure
from fairlead_models.unified import ChatChunk, Choice, Format, Thought, ToolCallDelta
from fairlead_models.wires.anthropic.decode import SERVER_BLOCKS, WIRE, finish, message_in, usage_of
from fairlead_models.wires.events import EventDecoder
from fairlead_models.wires.protocol import truncated
from fairlead_models.wires.reading import as_int, label, optional_record, record, text, word

SILENT = frozenset(("ping", "content_block_stop"))


class AnthropicStream(EventDecoder):
    """Decoder of one stream."""

    __slots__ = ("_calls", "_id", "_reason", "_seals", "_stopped", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False
        self._reason = False
        self._usage: dict[str, Any] = {}
        self._calls: dict[int, int] = {}
        self._seals: dict[int, Thought] = {}
        """Thinking blocks that are open, by their index."""
        self._id: str | None = None

    def read(self, event: str, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """See ``EventDecoder.read``."""
        kind = text(found.get("type") or event)
        if kind == "error":
            detail = optional_record(found.get("error"))
            details = optional_record(detail.get("details"))
            raise stream_failure(detail.get("message"), (details.get("error_code"), detail.get("type")))
        chunk = self._chunk(kind, found) or ChatChunk()
        chunk.id = self._id
        chunk.raw, chunk.raw_format = found, Format.ANTHROPIC_MESSAGES
        chunks.append(chunk)

    def _chunk(self, kind: str, found: dict[str, Any]) -> ChatChunk | None:
        if kind == "content_block_delta":
            return self._delta(_index(found), record(found["delta"]))
        if kind == "content_block_start":
            return self._start(_index(found), record(found["content_block"]))
        if kind == "content_block_stop":
            thought = self._seals.pop(_index(found), None)
            return ChatChunk(thought=thought) if thought is not None and thought.seal else None
        if kind == "message_start":
            message = message_in(found)
            self._id = label(message.get("id"))
            self._usage.update(optional_record(message.get("usage")))
        elif kind == "message_delta":
            return self._end(found)
        elif kind == "message_stop":
            self._stopped = True
        elif kind not in SILENT:
            DRIFT.note(WIRE, "event", kind)
        return None

    def _end(self, found: dict[str, Any]) -> ChatChunk:
        fresh = optional_record(found.get("usage"))
        self._usage.update((key, value) for key, value in fresh.items() if value is not None)
        choice = Choice()
        finish(choice, optional_record(found.get("delta")))
        self._reason = self._reason or choice.finish_reason is not None
        return ChatChunk(
            refusal=choice.refusal,
            finish_reason=choice.finish_reason,
            usage=usage_of(self._usage),
            vendor_finish=choice.vendor_finish,
            stop_sequence=choice.stop_sequence,
        )

    def _start(self, index: int, block: dict[str, Any]) -> ChatChunk | None:
        kind = block["type"]
        if kind == "tool_use":
            place = self._calls[index] = len(self._calls)
            return ChatChunk(tool_calls=[ToolCallDelta(place, word(block["id"]), word(block["name"]))])
        if kind == "text":
            return ChatChunk(text=text(block["text"])) if block.get("text") else None
        if kind == "thinking":
            self._seals[index] = Thought(seal=label(block.get("signature")), wire=WIRE)
            return ChatChunk(reasoning=text(block["thinking"])) if block.get("thinking") else None
        if kind == "redacted_thinking":
            self._seals[index] = Thought(seal=text(block["data"]), wire=WIRE, redacted=True)
        elif kind not in SERVER_BLOCKS:
            DRIFT.note(WIRE, "content", str(kind))
        return None

    def _delta(self, index: int, delta: dict[str, Any]) -> ChatChunk | None:
        kind = delta["type"]
        if kind == "text_delta":
            return ChatChunk(text=text(delta["text"]))
        if kind == "thinking_delta":
            return ChatChunk(reasoning=text(delta["thinking"]))
        if kind == "input_json_delta":
            piece = text(delta["partial_json"])
            if index not in self._calls:
                return None
            return ChatChunk(tool_calls=[ToolCallDelta(self._calls[index], arguments=piece)])
        if kind == "signature_delta":
            thought = self._seals.setdefault(index, Thought(wire=WIRE))
            thought.seal = (thought.seal or "") + text(delta["signature"])
        elif kind != "citations_delta":
            DRIFT.note(WIRE, "delta", str(kind))
        return None

    def check_end(self) -> None:
        """See ``EventDecoder.check_end``."""
        if not self._stopped or not self._reason:
            raise truncated("no message_stop" if not self._stopped else "no stop_reason")


def _index(found: dict[str, Any]) -> int:
    index = as_int(found["index"])
    if index is None:
        raise TypeError(f"expected a whole number as index, found {found['index']!r:.40}")
    return index
