"""The OpenAI chat-completions format."""

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
    data,
    dumps,
    load,
    require,
    retry_headers,
    text_of,
)

FINISH = {"stop": "stop", "length": "length", "tool": "tool_calls", "refusal": "stop"}
CREATED = 1_780_000_000


class OpenAI:
    """``/v1/chat/completions`` and ``/v1/models``."""

    name = "openai"
    models: tuple[str, ...] = ("gpt-5.5", "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano")

    def key(self, request: Request) -> str | None:
        """See ``Vendor.key``."""
        return bearer(request)

    def read(self, request: Request) -> Ask | None:
        """See ``Vendor.read``."""
        if request.method == "GET" and request.path.endswith("/models"):
            return None
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            raise NotFound
        return self.ask(load(request))

    def ask(self, body: dict[str, Any]) -> Ask:
        """The request in the simulator's form."""
        require(body, "model", "messages")
        if self.name == "openai" and "max_tokens" in body and str(body["model"]).startswith("gpt-5"):
            raise BadRequest("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        messages = body["messages"]
        users = [text_of(m.get("content")) for m in messages if m.get("role") == "user"]
        choice = body.get("tool_choice")
        wanted = body.get("response_format") or {}
        stop = body.get("stop")
        return Ask(
            model=str(body["model"]),
            prompt=users[-1] if users else "",
            stream=bool(body.get("stream")),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            stop=[stop] if isinstance(stop, str) else list(stop or ()),
            tools=[
                Tool(tool["function"]["name"], tool["function"].get("parameters") or {})
                for tool in body.get("tools") or ()
            ],
            force_tool=_forced(choice),
            forbid_tools=choice == "none",
            answered_tools=messages[-1].get("role") == "tool",
            schema=(wanted.get("json_schema") or {}).get("schema")
            if wanted.get("type") == "json_schema"
            else None,
            json_object=wanted.get("type") == "json_object",
            reasoning=body.get("reasoning_effort") not in (None, "none"),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            input_text="\n".join(text_of(m.get("content")) for m in messages),
            n=int(body.get("n") or 1),
        )

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Vendor.whole``."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text or None,
            "refusal": None,
            "annotations": [],
        }
        if answer.finish == "refusal":
            message |= {"content": None, "refusal": answer.text}
        if answer.calls:
            message["tool_calls"] = self.calls(answer)
        choices = [
            {"index": i, "message": message, "logprobs": None, "finish_reason": FINISH[answer.finish]}
            for i in range(ask.n)
        ]
        return dumps(
            {
                "id": f"chatcmpl-{answer.id}",
                "object": "chat.completion",
                "created": CREATED,
                "model": ask.model,
                "choices": choices,
                "usage": self.usage(answer),
                "service_tier": "default",
            }
        )

    def calls(self, answer: Answer) -> list[dict[str, Any]]:
        """Tool calls of a whole answer."""
        return [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in answer.calls
        ]

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The usage object."""
        return {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        }

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Vendor.frames``."""
        head = {
            "id": f"chatcmpl-{answer.id}",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": ask.model,
        }

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            return data(
                {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
            )

        field = "refusal" if answer.finish == "refusal" else "content"
        tokens = [chunk({field: piece}) for piece in answer.pieces]
        for i, call in enumerate(answer.calls):
            function = {"name": call.name, "arguments": ""}
            tokens.append(
                chunk({"tool_calls": [{"index": i, "id": call.id, "type": "function", "function": function}]})
            )
            text = json.dumps(call.arguments)
            halves = (text[: len(text) // 2], text[len(text) // 2 :])
            tokens += [
                chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]}) for piece in halves
            ]
        end = [chunk({}, FINISH[answer.finish])]
        if ask.include_usage:
            end.append(data({**head, "choices": [], "usage": self.usage(answer)}))
        return Frames([chunk({"role": "assistant", "content": ""})], tokens, [*end, b"data: [DONE]\n\n"])

    def listing(self) -> bytes:
        """See ``Vendor.listing``."""
        rows = [
            {"id": model, "object": "model", "created": CREATED, "owned_by": "openai"}
            for model in self.models
        ]
        return dumps({"object": "list", "data": rows})

    def failure(self, kind: str, message: str, retry_after_s: float | None) -> Failure:
        """See ``Vendor.failure``."""
        types = {
            "auth": ("invalid_request_error", "invalid_api_key"),
            "rate_limited": ("requests", "rate_limit_exceeded"),
            "quota_exhausted": ("insufficient_quota", "insufficient_quota"),
            "bad_request": ("invalid_request_error", None),
            "not_found": ("invalid_request_error", "model_not_found"),
            "overloaded": ("server_error", "overloaded"),
        }
        type_, code = types.get(kind, ("server_error", None))
        body = {"error": {"message": message, "type": type_, "param": None, "code": code}}
        retry = retry_headers(retry_after_s) if kind in ("rate_limited", "overloaded") else {}
        return Failure(STATUS[kind], {**JSON, **retry}, dumps(body))

    def stream_error(self) -> bytes:
        """See ``Vendor.stream_error``."""
        return data(
            {
                "error": {
                    "message": "The server had an error.",
                    "type": "server_error",
                    "param": None,
                    "code": None,
                }
            }
        )

    def headers(self, answer_id: str) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {
            "x-request-id": f"req_{answer_id}",
            "openai-processing-ms": "12",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-reset-requests": "6ms",
        }


def _forced(choice: Any) -> str | None:
    if choice in ("required", "any"):
        return "*"
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        return str(name) if name else None
    return None
