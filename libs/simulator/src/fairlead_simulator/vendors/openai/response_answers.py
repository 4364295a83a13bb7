"""How OpenAI's responses are written, whole and as events."""

from base64 import b64encode
from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice
from fairlead_simulator.ask import Ask, Call
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors.openai.chat_answers import logprobs_of
from fairlead_simulator.vendors.vendor import SSE, Frames, dumps, event

ENCRYPTED = "reasoning.encrypted_content"
ECHOED = (
    "instructions max_output_tokens max_tool_calls metadata prompt_cache_key safety_identifier store temperature top_p"
    " truncation user service_tier top_logprobs"
).split()


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


class ResponsesWriter:
    """Writes ``response`` objects and their events."""

    media = SSE

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        return dumps(self._finished(ask, answer))

    def _finished(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(answer.first.finish)
        return {
            **self._head(ask, answer),
            "status": "incomplete" if reason else "completed",
            "completed_at": None if reason else answer.made_at,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": self._items(ask, answer),
            "usage": usage_of(answer.usage),
        }

    def _head(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        reasoning = self._body.get("reasoning") or {}
        head = {
            "id": f"resp_{answer.id}",
            "object": "response",
            "created_at": answer.made_at,
            "status": "in_progress",
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": ask.model,
            "output": [],
            "parallel_tool_calls": ask.parallel,
            "previous_response_id": None,
            "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
            "text": {"format": {"type": "text"}, "verbosity": "medium", **(self._body.get("text") or {})},
            "tool_choice": self._body.get("tool_choice") or "auto",
            "tools": [_with_strict(tool) for tool in self._body.get("tools") or ()],
            "usage": None,
        }
        given = {name: self._body.get(name) for name in ECHOED}
        given["metadata"] = given["metadata"] or {}
        given["truncation"] = given["truncation"] or "disabled"
        given["service_tier"] = "default"
        given["store"] = given["store"] is not False
        given["temperature"] = 1.0 if given["temperature"] is None else given["temperature"]
        given["top_p"] = 1.0 if given["top_p"] is None else given["top_p"]
        given["top_logprobs"] = given["top_logprobs"] or 0
        return {**head, **given}

    def _items(self, ask: Ask, answer: Answer) -> list[dict[str, Any]]:
        """The output items, finished."""
        choice = answer.first
        found: list[dict[str, Any]] = []
        if ask.thinking is not None:
            found.append(self._reasoning(ask, answer))
        if choice.calls:
            found += [_call_item(call, answer.id) for call in choice.calls]
        elif choice.text or choice.finish != "length":
            found.append(_message_item(ask, answer))
        return found

    def _reasoning(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        shown = ask.thinking is not None and ask.thinking.shown
        summary = [{"type": "summary_text", "text": answer.first.reasoning}] if shown else []
        item: dict[str, Any] = {"id": f"rs_{answer.id}", "type": "reasoning", "summary": summary}
        if ENCRYPTED in (self._body.get("include") or ()):
            item["encrypted_content"] = b64encode(answer.first.reasoning.encode()).decode()
        return item

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        events = _Events()
        head = self._head(ask, answer)
        events.add("response.created", response=head)
        events.add("response.in_progress", response=head)
        begin = events.taken()
        for index, item in enumerate(self._items(ask, answer)):
            events.item(index, item, answer.first, ask)
        found = events.taken()
        done = self._finished(ask, answer)
        events.add(f"response.{done['status']}", response=done)
        return Frames(begin, found, events.taken())

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        message = "The server had an error while processing your request. Sorry about that!"
        found = {
            "type": "error",
            "code": "server_error",
            "message": message,
            "param": None,
            "sequence_number": 99,
        }
        return event("error", found)

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``."""
        return event("response.simulated", {"type": "response.simulated", "sequence_number": 0})


def _with_strict(tool: dict[str, Any]) -> dict[str, Any]:
    return (
        {"strict": True, "parameters": {}, "description": None, **tool}
        if tool.get("type") == "function"
        else tool
    )


def _call_item(call: Call, answer_id: str) -> dict[str, Any]:
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{call.id}",
        "name": call.name,
        "arguments": call.text,
    }


def _message_item(ask: Ask, answer: Answer) -> dict[str, Any]:
    choice = answer.first
    if choice.finish == "refusal":
        part: dict[str, Any] = {"type": "refusal", "refusal": choice.text}
    else:
        listed = [] if ask.logprobs is None else logprobs_of(choice.text, ask.logprobs)
        part = {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": listed}
    status = "incomplete" if choice.finish in ("length", "filter") else "completed"
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


class _Events:
    """Numbers the events, and puts those without a token into the frame of the token beside them."""

    def __init__(self) -> None:
        self._number = 0
        self._frames: list[bytes] = []
        self._open = b""

    def add(self, kind: str, *, token: bool = False, **fields: Any) -> None:
        """One event; ``token`` ends the frame."""
        self._open += event(kind, {"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        if token:
            self._frames.append(self._open)
            self._open = b""

    def taken(self) -> list[bytes]:
        """The frames so far; begins anew, and goes on counting."""
        found = self._frames
        if self._open:
            found = [*found, self._open]
        self._frames, self._open = [], b""
        return found

    def item(self, index: int, item: dict[str, Any], choice: Choice, ask: Ask) -> None:
        """All events of one output item."""
        place = {"item_id": item["id"], "output_index": index}
        empty: dict[str, dict[str, Any]] = {
            "message": {"content": []},
            "function_call": {"arguments": ""},
            "reasoning": {"summary": []},
        }
        started = {**item, **empty[item["type"]]}
        if item["type"] != "reasoning":
            started["status"] = "in_progress"
        self.add("response.output_item.added", output_index=index, item=started)
        if item["type"] == "message":
            self._message(place, item["content"][0], choice, ask)
        elif item["type"] == "function_call":
            for piece in tokens.slices(item["arguments"]):
                self.add("response.function_call_arguments.delta", token=True, **place, delta=piece)
            done = {"arguments": item["arguments"], "name": item["name"]}
            self.add("response.function_call_arguments.done", **place, **done)
        else:
            self._reasoning(place, item["summary"])
        self.add("response.output_item.done", output_index=index, item=item)

    def _message(self, place: dict[str, Any], part: dict[str, Any], choice: Choice, ask: Ask) -> None:
        field = "refusal" if part["type"] == "refusal" else "text"
        name = "refusal" if field == "refusal" else "output_text"
        started = {**part, field: "", **({"logprobs": []} if field == "text" else {})}
        self.add("response.content_part.added", **place, content_index=0, part=started)
        for piece in choice.pieces:
            listed = [] if ask.logprobs is None else logprobs_of(piece, ask.logprobs)
            more: dict[str, Any] = {"logprobs": listed} if field == "text" else {}
            self.add(f"response.{name}.delta", token=True, **place, content_index=0, delta=piece, **more)
        more = {"logprobs": part["logprobs"]} if field == "text" else {}
        self.add(f"response.{name}.done", **place, content_index=0, **{field: part[field]}, **more)
        self.add("response.content_part.done", **place, content_index=0, part=part)

    def _reasoning(self, place: dict[str, Any], summary: list[dict[str, Any]]) -> None:
        for index, part in enumerate(summary):
            where = {**place, "summary_index": index}
            self.add("response.reasoning_summary_part.added", **where, part={**part, "text": ""})
            for piece in tokens.pieces(part["text"]):
                self.add("response.reasoning_summary_text.delta", token=True, **where, delta=piece)
            self.add("response.reasoning_summary_text.done", **where, text=part["text"])
            self.add("response.reasoning_summary_part.done", **where, part=part)
