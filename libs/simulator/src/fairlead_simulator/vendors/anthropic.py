"""The Anthropic Messages format, version 2026-10-21."""

import json
from typing import Any

from fairlead_simulator.answers import Answer, Ask, Tool
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.vendor import (
    JSON,
    STATUS,
    BadRequest,
    Failure,
    Frames,
    NotFound,
    bearer,
    dumps,
    event,
    load,
    require,
    retry_headers,
    text_of,
)

FINISH = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "refusal": "refusal"}
NEW_VERSION = "2026-10-21"


class Anthropic:
    """``/v1/messages`` and ``/v1/models``."""

    name = "anthropic"
    models: tuple[str, ...] = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-4-5")

    def key(self, request: Request) -> str | None:
        """See ``Vendor.key``."""
        return request.headers.get("x-api-key") or bearer(request)

    def read(self, request: Request) -> Ask | None:
        """See ``Vendor.read``."""
        if request.method == "GET" and request.path.endswith("/v1/models"):
            return None
        if request.method != "POST" or not request.path.endswith("/v1/messages"):
            raise NotFound
        version = request.headers.get("anthropic-version")
        if not version:
            raise BadRequest("anthropic-version: header is required")
        body = load(request)
        require(body, "model", "messages")
        if not isinstance(body.get("max_tokens"), int):
            raise BadRequest("max_tokens: Field required")
        for name in ("temperature", "top_p", "top_k"):
            if version >= NEW_VERSION and name in body:
                raise BadRequest(f"{name}: Extra inputs are not permitted")
        return self._ask(body)

    def _ask(self, body: dict[str, Any]) -> Ask:
        messages = body["messages"]
        users = [_text(m.get("content")) for m in messages if m.get("role") == "user"]
        choice = body.get("tool_choice") or {}
        last = messages[-1].get("content")
        output = body.get("output_config") or {}
        forced = {"any": "*", "tool": choice.get("name")}.get(choice.get("type", ""))
        return Ask(
            model=str(body["model"]),
            prompt=users[-1] if users else "",
            stream=bool(body.get("stream")),
            max_tokens=body["max_tokens"],
            stop=list(body.get("stop_sequences") or ()),
            tools=[Tool(tool["name"], tool.get("input_schema") or {}) for tool in body.get("tools") or ()],
            force_tool=forced,
            forbid_tools=choice.get("type") == "none",
            answered_tools=isinstance(last, list) and any(part.get("type") == "tool_result" for part in last),
            schema=(output.get("format") or {}).get("schema"),
            reasoning=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
            input_text="\n".join([_text(body.get("system")), *(_text(m.get("content")) for m in messages)]),
        )

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Vendor.whole``."""
        content: list[dict[str, Any]] = []
        if answer.reasoning:
            content.append({"type": "thinking", "thinking": answer.reasoning, "signature": "c2ltdWxhdGVk"})
        if answer.text:
            content.append({"type": "text", "text": answer.text, "citations": None})
        content += [
            {"type": "tool_use", "id": f"toolu_{c.id}", "name": c.name, "input": c.arguments}
            for c in answer.calls
        ]
        return dumps({**self._message(ask, answer), "content": content, "stop_reason": FINISH[answer.finish]})

    def _message(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        usage = {
            "input_tokens": answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.output_tokens,
            "service_tier": "standard",
        }
        return {
            "id": f"msg_{answer.id}",
            "type": "message",
            "role": "assistant",
            "model": ask.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Vendor.frames``."""
        start = self._message(ask, answer)
        start["usage"] = {**start["usage"], "output_tokens": 1}
        begin = [
            event("message_start", {"type": "message_start", "message": start}),
            event("ping", {"type": "ping"}),
        ]
        tokens: list[bytes] = []
        index = 0
        if answer.reasoning:
            deltas = [
                {"type": "thinking_delta", "thinking": answer.reasoning},
                {"type": "signature_delta", "signature": "c2ln"},
            ]
            tokens += _block(index, {"type": "thinking", "thinking": "", "signature": ""}, deltas)
            index += 1
        if answer.pieces:
            text_deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
            tokens += _block(index, {"type": "text", "text": ""}, text_deltas)
            index += 1
        for call in answer.calls:
            text = json.dumps(call.arguments)
            halves = (text[: len(text) // 2], text[len(text) // 2 :])
            json_deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in halves]
            block = {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}
            tokens += _block(index, block, json_deltas)
            index += 1
        usage = {"output_tokens": answer.output_tokens, "input_tokens": answer.input_tokens}
        delta = {"stop_reason": FINISH[answer.finish], "stop_sequence": None}
        end = [
            event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage}),
            event("message_stop", {"type": "message_stop"}),
        ]
        return Frames(begin, tokens, end)

    def listing(self) -> bytes:
        """See ``Vendor.listing``."""
        rows = [
            {"type": "model", "id": model, "display_name": model, "created_at": "2026-06-01T00:00:00Z"}
            for model in self.models
        ]
        return dumps(
            {"data": rows, "has_more": False, "first_id": self.models[0], "last_id": self.models[-1]}
        )

    def failure(self, kind: str, message: str, retry_after_s: float | None) -> Failure:
        """See ``Vendor.failure``."""
        types = {
            "auth": (401, "authentication_error"),
            "rate_limited": (429, "rate_limit_error"),
            "quota_exhausted": (402, "billing_error"),
            "overloaded": (529, "overloaded_error"),
            "bad_request": (400, "invalid_request_error"),
            "not_found": (404, "not_found_error"),
        }
        status, type_ = types.get(kind, (STATUS.get(kind, 500), "api_error"))
        body = {"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_simulated"}
        retry = retry_headers(retry_after_s) if kind == "rate_limited" else {}
        return Failure(status, {**JSON, **retry, "request-id": "req_simulated"}, dumps(body))

    def stream_error(self) -> bytes:
        """See ``Vendor.stream_error``."""
        return event(
            "error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        )

    def headers(self, answer_id: str) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {
            "request-id": f"req_{answer_id}",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
            "anthropic-ratelimit-requests-reset": "2026-11-23T00:00:00Z",
        }


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    """The events of one content block; the first delta carries the start along, the last the stop."""
    start = event(
        "content_block_start", {"type": "content_block_start", "index": index, "content_block": block}
    )
    stop = event("content_block_stop", {"type": "content_block_stop", "index": index})
    found = [
        event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": d})
        for d in deltas
    ]
    found[0] = start + found[0]
    found[-1] += stop
    return found


def _text(content: Any) -> str:
    if isinstance(content, list):
        inner = [
            p.get("content") if p.get("type") == "tool_result" else None
            for p in content
            if isinstance(p, dict)
        ]
        return "\n".join([text_of(content), *(text_of(each) for each in inner if each)])
    return text_of(content)
