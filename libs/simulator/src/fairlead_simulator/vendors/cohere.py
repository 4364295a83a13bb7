"""The Cohere v2 chat format."""

import json
from typing import Any

from fairlead_simulator.answers import Answer, Ask
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.openai import OpenAI
from fairlead_simulator.vendors.vendor import (
    JSON,
    STATUS,
    Failure,
    Frames,
    NotFound,
    dumps,
    event,
    load,
    retry_headers,
)

FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool": "TOOL_CALL", "refusal": "COMPLETE"}


class Cohere(OpenAI):
    """``/v2/chat`` and ``/v1/models``."""

    name = "cohere"
    models = ("command-a-03-2025", "command-r7b-12-2024")

    def read(self, request: Request) -> Ask | None:
        """See ``Vendor.read``."""
        if request.method == "GET" and request.path.endswith("/v1/models"):
            return None
        if request.method != "POST" or not request.path.endswith("/v2/chat"):
            raise NotFound
        body = load(request)
        wanted = body.get("response_format") or {}
        if wanted.get("json_schema"):
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"schema": wanted["json_schema"]},
            }
        body["stop"] = body.get("stop_sequences")
        choice = body.get("tool_choice")
        body["tool_choice"] = {"REQUIRED": "required", "NONE": "none"}.get(str(choice))
        found = self.ask(body)
        found.reasoning = (body.get("thinking") or {}).get("type") == "enabled"
        return found

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Vendor.whole``."""
        content: list[dict[str, Any]] = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if answer.calls:
            message["tool_calls"] = self.calls(answer)
        body = {
            "id": answer.id,
            "finish_reason": FINISH[answer.finish],
            "message": message,
            "usage": self.usage(answer),
        }
        return dumps(body)

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The usage object."""
        counts = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
        return {"billed_units": counts, "tokens": {**counts, "input_tokens": answer.input_tokens + 60}}

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Vendor.frames``."""
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        begin = [
            event("message-start", {"type": "message-start", "id": answer.id, "delta": {"message": message}})
        ]
        tokens: list[bytes] = []
        if answer.pieces:
            start = {
                "type": "content-start",
                "index": 0,
                "delta": {"message": {"content": {"type": "text", "text": ""}}},
            }
            begin.append(event("content-start", start))
            for piece in answer.pieces:
                delta = {"message": {"content": {"text": piece}}}
                tokens.append(event("content-delta", {"type": "content-delta", "index": 0, "delta": delta}))
            tokens[-1] += event("content-end", {"type": "content-end", "index": 0})
        for i, call in enumerate(answer.calls):
            function = {"name": call.name, "arguments": ""}
            opening = {"message": {"tool_calls": {"id": call.id, "type": "function", "function": function}}}
            rest = {"message": {"tool_calls": {"function": {"arguments": json.dumps(call.arguments)}}}}
            tokens.append(event("tool-call-start", {"type": "tool-call-start", "index": i, "delta": opening}))
            tokens.append(event("tool-call-delta", {"type": "tool-call-delta", "index": i, "delta": rest}))
            tokens.append(event("tool-call-end", {"type": "tool-call-end", "index": i}))
        finish = {"finish_reason": FINISH[answer.finish], "usage": self.usage(answer)}
        return Frames(
            begin, tokens, [event("message-end", {"type": "message-end", "id": answer.id, "delta": finish})]
        )

    def listing(self) -> bytes:
        """See ``Vendor.listing``."""
        rows = [
            {
                "name": model,
                "endpoints": ["chat"],
                "finetuned": False,
                "context_length": 256000,
                "features": ["tools"],
            }
            for model in self.models
        ]
        return dumps({"models": rows})

    def failure(self, kind: str, message: str, retry_after_s: float | None) -> Failure:
        """See ``Vendor.failure``."""
        status = 402 if kind == "quota_exhausted" else STATUS[kind]
        retry = retry_headers(retry_after_s) if kind == "rate_limited" else {}
        return Failure(status, {**JSON, **retry}, dumps({"id": "simulated", "message": message}))

    def stream_error(self) -> bytes:
        """See ``Vendor.stream_error``."""
        delta = {"finish_reason": "ERROR", "error": "internal server error", "usage": {}}
        return event("message-end", {"type": "message-end", "delta": delta})

    def headers(self, answer_id: str) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {"x-debug-trace-id": answer_id}
