"""Writing a stream in the Responses format: items are opened, filled and closed one after another."""

from typing import Any

import orjson

from fairlead_models.inbound.openai_responses.rendering import (
    call_item,
    ended,
    envelope,
    message_item,
    text_part,
    thought_item,
)
from fairlead_models.inbound.protocol import seam_comment
from fairlead_models.unified import ChatChunk, FinishReason, Format, Thought, ToolCall, ToolCallDelta, Usage

ERRORS = {"rate_limited": "rate_limit_exceeded"}
"""OpenAI's word for what ended a stream, by our class of error; others are a server_error."""


class StreamRenderer:
    """Renders one stream. Events of a provider that speaks this format go out as they came, but for the model's name."""

    def __init__(self, request_id: str, target: str, created: int) -> None:
        self._request_id = request_id
        self._body = envelope(f"resp_{request_id}", target, created)
        self._sequence = -1
        self._begun = False
        self._passing = False
        self._finish: FinishReason | None = None
        self._kind: str | None = None
        """What is open: message, refusal, reasoning, or None."""
        self._text = ""
        self._logprobs: list[Any] = []
        self._calls: dict[int, tuple[int, ToolCall]] = {}
        """Output index and what came so far of each tool call that is open."""
        self._continued_by: list[str] = []

    def begin(self) -> bytes:
        """Nothing: whether the stream is passed on or written anew shows in its first chunk."""
        return b""

    def chunk(self, chunk: ChatChunk) -> bytes:
        """Bytes for one chunk."""
        if chunk.raw is not None and chunk.raw_format is Format.OPENAI_RESPONSES:
            return self._as_it_came(chunk.raw, chunk.text)
        if chunk.finish_reason is not None:
            self._finish = chunk.finish_reason
        out = [self._start()]
        if chunk.reasoning:
            self._into("reasoning", out)
            self._add("response.reasoning_summary_text.delta", chunk.reasoning, out, summary_index=0)
        if chunk.thought is not None:
            self._sealed(chunk.thought, out)
        if chunk.text:
            self._into("message", out)
            logprobs = (chunk.logprobs or {}).get("content") or []
            self._logprobs += logprobs
            self._add("response.output_text.delta", chunk.text, out, content_index=0, logprobs=logprobs)
        if chunk.refusal:
            self._into("refusal", out)
            self._add("response.refusal.delta", chunk.refusal, out, content_index=0)
        for call in chunk.tool_calls or ():
            self._call(call, out)
        return b"".join(out)

    def _as_it_came(self, raw: dict[str, Any], text: str | None) -> bytes:
        self._passing = self._begun = True
        number = raw.get("sequence_number")
        self._sequence = number if isinstance(number, int) else self._sequence + 1
        response = raw.get("response")
        if isinstance(response, dict):
            output = response.get("output")
            self._body = {
                **response,
                "model": self._body["model"],
                "output": output if isinstance(output, list) else [],
            }
            raw = {**raw, "response": self._body}
        kind = str(raw.get("type"))
        self._text += text or ""
        if kind == "response.content_part.added":
            self._kind, self._text = "message", ""
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._kind = None
            if isinstance(place := raw.get("output_index"), int):
                self._output[place:] = [raw["item"]]
        return _bytes(kind, raw)

    def resume(self, target: str) -> bytes:
        """See ``StreamRenderer.resume``: the message that is open stays open, and its whole text comes at its end."""
        self._passing = False
        self._continued_by.append(target)
        return seam_comment(target)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return _bytes(kind, {"type": kind, "sequence_number": self._sequence, **fields})

    def _start(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        names = ("response.created", "response.in_progress")
        return b"".join(self._event(name, response=self._body) for name in names)

    @property
    def _output(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._body.setdefault("output", [])
        return found

    def _add(self, name: str, piece: str, out: list[bytes], **fields: Any) -> None:
        self._text += piece
        place = len(self._output) - 1
        item = self._output[place]["id"]
        out.append(self._event(name, item_id=item, output_index=place, delta=piece, **fields))

    def _into(self, kind: str, out: list[bytes]) -> None:
        if self._kind == kind:
            return
        self._close(out)
        self._kind, self._text, self._logprobs = kind, "", []
        place = len(self._output)
        if kind == "reasoning":
            item = thought_item(Thought(), f"rs_{self._request_id}_{place}")
            item.pop("encrypted_content")
        else:
            item = message_item(f"msg_{self._request_id}_{place}", [], "in_progress")
        self._output.append(item)
        out.append(self._event("response.output_item.added", output_index=place, item=item))
        if kind == "reasoning":
            self._part("response.reasoning_summary_part.added", {"type": "summary_text", "text": ""}, out)
        else:
            part = text_part("", []) if kind == "message" else {"type": "refusal", "refusal": ""}
            self._part("response.content_part.added", part, out)

    def _part(self, name: str, part: dict[str, Any], out: list[bytes]) -> None:
        place = len(self._output) - 1
        index = {"summary_index": 0} if "summary" in name else {"content_index": 0}
        item = self._output[place]["id"]
        out.append(self._event(name, item_id=item, output_index=place, **index, part=part))

    def _close(self, out: list[bytes], thought: Thought | None = None) -> None:
        if self._kind is None:
            return
        place, kind, text = len(self._output) - 1, self._kind, self._text
        identity = self._output[place]["id"]
        where = {"item_id": identity, "output_index": place}
        if kind == "reasoning":
            told = thought or Thought()
            told = Thought(text, told.seal, told.wire, told.id, told.call_id, told.redacted)
            item = thought_item(told, identity)
            item["id"] = identity
            name = "response.reasoning_summary_text.done"
            out.append(self._event(name, **where, summary_index=0, text=text))
            self._part("response.reasoning_summary_part.done", {"type": "summary_text", "text": text}, out)
        else:
            if kind == "message":
                part = text_part(text, self._logprobs)
                name, fields = "response.output_text.done", {"text": text, "logprobs": self._logprobs}
            else:
                part = {"type": "refusal", "refusal": text}
                name, fields = "response.refusal.done", {"refusal": text}
            out.append(self._event(name, **where, content_index=0, **fields))
            self._part("response.content_part.done", part, out)
            item = message_item(identity, [part], "completed")
        self._kind = None
        self._output[place] = item
        out.append(self._event("response.output_item.done", output_index=place, item=item))

    def _sealed(self, thought: Thought, out: list[bytes]) -> None:
        """The seal ends the item of thinking that it belongs to; a seal without text is an item of its own."""
        if self._kind == "reasoning" and not thought.redacted and thought.call_id is None:
            self._close(out, thought)
            return
        self._close(out)
        place = len(self._output)
        item = thought_item(thought, f"rs_{self._request_id}_{place}")
        self._output.append(item)
        out.append(self._event("response.output_item.added", output_index=place, item=item))
        out.append(self._event("response.output_item.done", output_index=place, item=item))

    def _call(self, delta: ToolCallDelta, out: list[bytes]) -> None:
        if delta.index not in self._calls:
            self._close(out)
            self._end_calls(out)
            call = ToolCall(delta.id or "", delta.name or "", "")
            place = len(self._output)
            item = call_item(call, "in_progress")
            self._output.append(item)
            self._calls[delta.index] = (place, call)
            out.append(self._event("response.output_item.added", output_index=place, item=item))
        place, call = self._calls[delta.index]
        if delta.arguments:
            call.arguments += delta.arguments
            name = "response.function_call_arguments.delta"
            item_id = self._output[place]["id"]
            out.append(self._event(name, item_id=item_id, output_index=place, delta=delta.arguments))

    def _end_calls(self, out: list[bytes]) -> None:
        for place, call in self._calls.values():
            if self._output[place]["status"] == "completed":
                continue
            item = call_item(call, "completed")
            self._output[place] = item
            name = "response.function_call_arguments.done"
            out.append(
                self._event(
                    name, item_id=item["id"], output_index=place, name=call.name, arguments=call.arguments
                )
            )
            out.append(self._event("response.output_item.done", output_index=place, item=item))

    def done(self, usage: Usage) -> bytes:
        """The regular end."""
        if self._passing:
            return b""
        out = [self._start()]
        self._close(out)
        self._end_calls(out)
        ended(self._body, self._finish, usage)
        if self._continued_by:
            self._body["fairlead"] = {"continued_by": self._continued_by}
        out.append(self._event(f"response.{self._body['status']}", response=self._body))
        return b"".join(out)

    def error(self, message: str, kind: str, code: str | None) -> bytes:
        """The end of a stream that broke: ``response.failed``, and never ``response.completed``."""
        start = self._start()
        found = {"code": ERRORS.get(code or "", "server_error"), "message": message}
        failed = {**self._body, "status": "failed", "error": found}
        return start + self._event("response.failed", response=failed)


def _bytes(name: str, body: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"
