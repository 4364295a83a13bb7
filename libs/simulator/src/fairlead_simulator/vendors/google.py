"""The Gemini generateContent format, ``/v1`` and ``/v1beta``, camel and snake case alike."""

import re
from typing import Any
from urllib.parse import unquote

from fairlead_simulator.answers import Answer, Ask, Tool
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.vendor import (
    JSON,
    STATUS,
    Failure,
    Frames,
    NotFound,
    data,
    dumps,
    load,
    require,
)

PATH = re.compile(r"/v1(?:beta)?/models/([^:/]+):(generateContent|streamGenerateContent)")
FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool": "STOP", "refusal": "SAFETY"}
STATUSES = {
    "auth": (401, "UNAUTHENTICATED"),
    "rate_limited": (429, "RESOURCE_EXHAUSTED"),
    "quota_exhausted": (402, "FAILED_PRECONDITION"),
    "overloaded": (503, "UNAVAILABLE"),
    "bad_request": (400, "INVALID_ARGUMENT"),
    "not_found": (404, "NOT_FOUND"),
}


class Google:
    """``models/{model}:generateContent``, ``:streamGenerateContent`` and ``models``."""

    name = "google"
    models: tuple[str, ...] = (
        "gemini-3.1-pro-preview",
        "gemini-3.8-flash",
        "gemini-2.5-flash",
        "gemini-3.5-flash-lite",
    )

    def key(self, request: Request) -> str | None:
        """See ``Vendor.key``."""
        return request.headers.get("x-goog-api-key") or None

    def read(self, request: Request) -> Ask | None:
        """See ``Vendor.read``."""
        if request.method == "GET" and request.path in ("/v1/models", "/v1beta/models"):
            return None
        match = PATH.fullmatch(unquote(request.path))
        if request.method != "POST" or match is None:
            raise NotFound
        body = _camel(load(request))
        require(body, "contents")
        return _ask(match[1], body, stream=match[2] == "streamGenerateContent")

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Vendor.whole``."""
        parts: list[dict[str, Any]] = (
            [{"text": answer.reasoning, "thought": True}] if answer.reasoning else []
        )
        if answer.text and answer.finish != "refusal":
            parts.append({"text": answer.text})
        parts += _calls(answer)
        return dumps(self._body(ask, answer, parts, FINISH[answer.finish]))

    def _body(
        self, ask: Ask, answer: Answer, parts: list[dict[str, Any]], finish: str | None
    ) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish is not None:
            candidate["finishReason"] = finish
        usage = {
            "promptTokenCount": answer.input_tokens,
            "candidatesTokenCount": answer.output_tokens - answer.reasoning_tokens,
            "totalTokenCount": answer.input_tokens + answer.output_tokens,
        }
        if answer.reasoning_tokens:
            usage["thoughtsTokenCount"] = answer.reasoning_tokens
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": ask.model,
            "responseId": answer.id,
        }

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Vendor.frames``."""
        tokens = []
        if answer.reasoning:
            tokens.append(data(self._body(ask, answer, [{"text": answer.reasoning, "thought": True}], None)))
        if answer.finish != "refusal":
            tokens += [data(self._body(ask, answer, [{"text": piece}], None)) for piece in answer.pieces]
        tokens += [data(self._body(ask, answer, [call], None)) for call in _calls(answer)]
        return Frames([], tokens, [data(self._body(ask, answer, [{"text": ""}], FINISH[answer.finish]))])

    def listing(self) -> bytes:
        """See ``Vendor.listing``."""
        rows = [
            {
                "name": f"models/{model}",
                "version": "001",
                "displayName": model,
                "inputTokenLimit": 1048576,
                "outputTokenLimit": 65536,
                "supportedGenerationMethods": ["generateContent", "countTokens"],
                "thinking": True,
            }
            for model in self.models
        ]
        return dumps({"models": rows})

    def failure(self, kind: str, message: str, retry_after_s: float | None) -> Failure:
        """See ``Vendor.failure``: the wait stands in the body, not in a header."""
        status, name = STATUSES.get(kind, (STATUS.get(kind, 500), "INTERNAL"))
        error: dict[str, Any] = {"code": status, "message": message, "status": name}
        if kind == "rate_limited" and retry_after_s is not None:
            info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after_s:g}s"}
            error["details"] = [info]
        return Failure(status, JSON, dumps({"error": error}))

    def stream_error(self) -> bytes:
        """See ``Vendor.stream_error``."""
        return data(
            {
                "error": {
                    "code": 503,
                    "message": "The service is currently unavailable.",
                    "status": "UNAVAILABLE",
                }
            }
        )

    def headers(self, answer_id: str) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {"server-timing": "gfet4t7; dur=12"}


def _ask(model: str, body: dict[str, Any], *, stream: bool) -> Ask:
    contents = body["contents"]
    config = body.get("generationConfig") or {}
    users = [_text(c) for c in contents if c.get("role", "user") == "user"]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names = calling.get("allowedFunctionNames") or ["*"]
    thinking = config.get("thinkingConfig") or {}
    return Ask(
        model=model,
        prompt=users[-1] if users else "",
        stream=stream,
        max_tokens=config.get("maxOutputTokens"),
        stop=list(config.get("stopSequences") or ()),
        tools=[
            Tool(each["name"], each.get("parametersJsonSchema") or each.get("parameters") or {})
            for tool in body.get("tools") or ()
            for each in tool.get("functionDeclarations") or ()
        ],
        force_tool=names[0] if calling.get("mode") == "ANY" else None,
        forbid_tools=calling.get("mode") == "NONE",
        answered_tools=any("functionResponse" in part for part in contents[-1].get("parts") or ()),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        json_object=config.get("responseMimeType") == "application/json",
        reasoning=bool(thinking.get("includeThoughts") or thinking.get("thinkingLevel")),
        input_text="\n".join([_text(body.get("systemInstruction") or {}), *(_text(c) for c in contents)]),
    )


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}} for call in answer.calls
    ]


def _text(content: dict[str, Any]) -> str:
    parts = content.get("parts") or ()
    return "\n".join(str(part.get("text") or part.get("functionResponse") or "") for part in parts)


KEEP = (
    "properties",
    "args",
    "response",
    "parametersJsonSchema",
    "parameters",
    "responseJsonSchema",
    "responseSchema",
)


def _camel(value: Any) -> Any:
    """Keys in camel case; JSON Schemas and arguments are left alone, their keys are data."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        name = re.sub(r"_([a-z])", lambda match: match[1].upper(), key)
        found[name] = each if name in KEEP else _camel(each)
    return found
