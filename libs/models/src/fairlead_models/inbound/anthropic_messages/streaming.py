"""Writing a stream in the Messages format: blocks are opened, filled and closed one after another."""

from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.inbound.anthropic_messages.rendering import (
    stop_details,
    stop_reason,
    thinking_block,
    usage_body,
)
from fairlead_models.inbound.protocol import seam_comment
from fairlead_models.unified import ChatChunk, FinishReason, Format, Thought, ToolCallDelta, Usage

ERRORS = {
    "overloaded": "overloaded_error",
    "rate_limited": "rate_limit_error",
    "quota_exhausted": "billing_error",
    "timeout_first_token": "timeout_error",
    "timeout_between_tokens": "timeout_error",
    "timeout_total": "timeout_error",
}
"""Anthropic's word for what ended a stream, by our class of error; others are an api_error."""


class StreamRenderer:
    """Renders one stream. Events of a provider that speaks this format go out as they came, but for the model's name."""

    def __init__(self, request_id: str, target: str) -> None:
        self._id = f"msg_{request_id}"
        self._target = target
        self._begun = False
        self._passing = False
        self._blocks = -1
        self._open: str | None = None
        self._tools: dict[int, int] = {}
        """Index of the block of each tool call."""
        self._finish: FinishReason | None = None
        self._vendor_finish: str | None = None
        self._stop_sequence: str | None = None
        self._refusal = ""
        self._continued_by: list[str] = []

    def begin(self) -> bytes:
        """Nothing: whether the stream is passed on or written anew shows in its first chunk."""
        return b""

    def chunk(self, chunk: ChatChunk) -> bytes:
        """Bytes for one chunk."""
        if chunk.raw is not None and chunk.raw_format is Format.ANTHROPIC_MESSAGES:
            self._passing = self._begun = True
            return self._as_it_came(chunk.raw)
        if chunk.finish_reason is not None:
            self._finish, self._vendor_finish = chunk.finish_reason, chunk.vendor_finish
            self._stop_sequence = chunk.stop_sequence
        out: list[bytes] = []
        if chunk.reasoning:
            self._into("thinking", {"type": "thinking", "thinking": "", "signature": ""}, out)
            out.append(self._delta({"type": "thinking_delta", "thinking": chunk.reasoning}))
        if chunk.thought is not None:
            self._sealed(chunk.thought, out)
        self._refusal += chunk.refusal or ""
        if said := (chunk.text or "") + (chunk.refusal or ""):
            self._into("text", {"type": "text", "text": ""}, out)
            out.append(self._delta({"type": "text_delta", "text": said}))
        for call in chunk.tool_calls or ():
            self._call(call, out)
        return self._start() + b"".join(out) if out else b""

    def _as_it_came(self, raw: dict[str, Any]) -> bytes:
        message = raw.get("message")
        if isinstance(message, dict):
            raw = {**raw, "message": {**message, "model": self._target}}
        kind = str(raw.get("type"))
        if kind == "content_block_start":
            self._blocks, self._open = raw["index"], str(raw["content_block"].get("type"))
        elif kind == "content_block_stop":
            self._open = None
        return event(kind, raw)

    def resume(self, target: str) -> bytes:
        """See ``StreamRenderer.resume``: the block of text that is open stays open."""
        self._passing = False
        self._continued_by.append(target)
        return seam_comment(target)

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._target,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_body(Usage()),
        }
        start = event("message_start", {"type": "message_start", "message": message})
        return start + event("ping", {"type": "ping"})

    def _into(self, kind: str, block: dict[str, Any], out: list[bytes]) -> None:
        """Open a block of ``kind``, unless it is the open one."""
        if self._open == kind:
            return
        self._close(out)
        self._blocks += 1
        self._open = kind
        start = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        out.append(event("content_block_start", start))

    def _close(self, out: list[bytes]) -> None:
        if self._open is None:
            return
        if self._open == "thinking":
            out.append(self._delta({"type": "signature_delta", "signature": seals.pack(Thought())}))
        self._stop(out)

    def _stop(self, out: list[bytes]) -> None:
        self._open = None
        out.append(event("content_block_stop", {"type": "content_block_stop", "index": self._blocks}))

    def _delta(self, delta: dict[str, Any], index: int | None = None) -> bytes:
        place = self._blocks if index is None else index
        return event("content_block_delta", {"type": "content_block_delta", "index": place, "delta": delta})

    def _sealed(self, thought: Thought, out: list[bytes]) -> None:
        """The seal ends the block of thinking that it belongs to; a seal without text is a block of its own."""
        if self._open == "thinking" and not thought.redacted and thought.call_id is None:
            own = thought.wire == "anthropic" and thought.seal is not None
            signature = str(thought.seal) if own else seals.pack(thought)
            out.append(self._delta({"type": "signature_delta", "signature": signature}))
            self._stop(out)
            return
        self._close(out)
        self._into("sealed", thinking_block(thought), out)
        self._stop(out)

    def _call(self, call: ToolCallDelta, out: list[bytes]) -> None:
        if call.index not in self._tools:
            block = {"type": "tool_use", "id": call.id or "", "name": call.name or "", "input": {}}
            self._into(f"tool {call.index}", block, out)
            self._tools[call.index] = self._blocks
        if call.arguments:
            delta = {"type": "input_json_delta", "partial_json": call.arguments}
            out.append(self._delta(delta, self._tools[call.index]))

    def done(self, usage: Usage) -> bytes:
        """The regular end."""
        if self._passing:
            return b""
        out = [self._start()]
        self._close(out)
        reason = stop_reason(self._finish, self._vendor_finish, self._stop_sequence)
        delta: dict[str, Any] = {"stop_reason": reason, "stop_sequence": self._stop_sequence}
        if (details := stop_details(self._finish, self._refusal or None)) is not None:
            delta["stop_details"] = details
        end: dict[str, Any] = {"type": "message_delta", "delta": delta, "usage": usage_body(usage)}
        if self._continued_by:
            end["fairlead"] = {"continued_by": self._continued_by}
        out += [event("message_delta", end), event("message_stop", {"type": "message_stop"})]
        return b"".join(out)

    def error(self, message: str, kind: str, code: str | None) -> bytes:
        """The end of a stream that broke: an error event, and never ``message_stop``."""
        found = {"type": ERRORS.get(code or "", "api_error"), "message": message}
        return event("error", {"type": "error", "error": found})


def event(name: str, body: dict[str, Any]) -> bytes:
    """One event with its name, without which Anthropic's SDK ignores it."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"
