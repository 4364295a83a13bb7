"""Writing a stream in the chat-completions format."""

from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.inbound.openai_chat.rendering import call_seal, render_error, usage_body
from fairlead_models.inbound.protocol import seam_comment
from fairlead_models.unified import ChatChunk, Format, ToolCallDelta, Usage


class StreamRenderer:
    """Renders one stream: chunks, usage when the caller asked for it, and the end or the error.

    Events of a provider that speaks this format go out as they came, with only the model's name changed.
    """

    def __init__(self, request_id: str, model: str, created: int, *, include_usage: bool) -> None:
        self._head = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._begun: set[int] = set()
        self._usage: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None
        """The provider's event that went out last."""
        self._continued_by: list[str] = []

    def begin(self) -> bytes:
        """Nothing: the first chunk opens the stream."""
        return b""

    def chunk(self, chunk: ChatChunk) -> bytes:
        """Bytes for one chunk; empty when it holds nothing for the caller (usage goes out at the end)."""
        if chunk.raw is not None and chunk.raw_format is Format.OPENAI_CHAT:
            return self._as_it_came(chunk.raw)
        if not chunk.has_token and chunk.finish_reason is None:
            return b""
        delta: dict[str, Any] = {}
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            delta["role"] = "assistant"
        told = {
            "content": chunk.text,
            "reasoning_content": chunk.reasoning,
            "refusal": chunk.refusal,
        }
        delta.update((name, value) for name, value in told.items() if value is not None)
        if chunk.thought is not None:
            delta["reasoning_details"] = seals.details([chunk.thought])
        if chunk.tool_calls:
            delta["tool_calls"] = [_call_delta(call, chunk) for call in chunk.tool_calls]
        choice: dict[str, Any] = {"index": chunk.index, "delta": delta, "finish_reason": chunk.finish_reason}
        if chunk.logprobs is not None:
            choice["logprobs"] = chunk.logprobs
        body: dict[str, Any] = {**self._head, "choices": [choice]}
        if chunk.finish_reason is not None and self._continued_by:
            body["fairlead"] = {"continued_by": self._continued_by}
        return _event(body)

    def _as_it_came(self, raw: dict[str, Any]) -> bytes:
        if not raw:
            return b""
        usage = raw.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
            if not raw.get("choices"):
                return b""
        self._last = raw
        body = {**raw, "model": self._head["model"]}
        if "usage" in body and (not self._include_usage or body["usage"] is not None):
            del body["usage"]
        return _event(body)

    def resume(self, target: str) -> bytes:
        """See ``StreamRenderer.resume``: the chunks keep the id and the time that the first ones have."""
        if self._last is not None:
            self._begun.add(0)
            kept = {name: self._last[name] for name in ("id", "created") if self._last.get(name)}
            self._head.update(kept)
            self._last = self._usage = None
        self._continued_by.append(target)
        return seam_comment(target)

    def done(self, usage: Usage) -> bytes:
        """The regular end."""
        last = b""
        if self._include_usage:
            found = self._usage if self._usage is not None else usage_body(usage)
            last = _event({**self._head, "choices": [], "usage": found})
        return last + b"data: [DONE]\n\n"

    def error(self, message: str, kind: str, code: str | None) -> bytes:
        """The end of a stream that broke: an error event, and never ``[DONE]``."""
        return b"data: " + render_error(message, kind, None, code) + b"\n\n"


def _call_delta(call: ToolCallDelta, chunk: ChatChunk) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": call.arguments}
    found: dict[str, Any] = {"index": call.index, "function": function}
    if call.name is not None:
        function["name"] = call.name
        found["type"] = "function"
    if call.id is not None:
        found["id"] = call.id
        if chunk.thought is not None:
            found.update(call_seal([chunk.thought], call.id))
    return found


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"
