"""The OpenAI chat-completions format as callers send it, and as they get their answers.

Parsing checks the shape of what Fairlead itself must understand; every other parameter is kept untouched.
"""

import time
from typing import Any, Literal, cast

import orjson

from fairlead_models.errors import InvalidRequest
from fairlead_models.unified import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    Choice,
    ImagePart,
    Message,
    OtherPart,
    Part,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)

ROLES = frozenset(("system", "developer", "user", "assistant", "tool"))
KNOWN = frozenset(
    "model messages stream stream_options tools tool_choice parallel_tool_calls response_format max_tokens"
    " max_completion_tokens temperature top_p stop seed n frequency_penalty presence_penalty logprobs top_logprobs"
    " reasoning_effort metadata user".split()
)
NUMBERS = (
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
    ("frequency_penalty", -2.0, 2.0),
    ("presence_penalty", -2.0, 2.0),
)


def parse(body: bytes) -> ChatRequest:
    """The request in ``body``.

    Raises:
        InvalidRequest: with the path of the wrong field in ``param``.
    """
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}. Send a JSON object.") from error
    if not isinstance(raw, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {_kind(raw)}.")
    model = raw.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' must be a string: the name of a model, see GET /v1/models.", "model")
    messages = raw.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' must be a list of at least one message.", "messages")
    request = ChatRequest(
        model=model, messages=[_message(each, i) for i, each in enumerate(messages)], raw=raw
    )
    _switches(raw, request)
    if raw.keys() != {"model", "messages"}:
        _parameters(raw, request)
    return request


def _kind(value: object) -> str:
    return {"list": "an array", "str": "a string", "NoneType": "null"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )


def _switches(raw: dict[str, Any], request: ChatRequest) -> None:
    stream = raw.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("'stream' must be true or false.", "stream")
    request.stream = bool(stream)
    options = raw.get("stream_options")
    if isinstance(options, dict):
        request.include_usage = options.get("include_usage") is True


def _parameters(raw: dict[str, Any], request: ChatRequest) -> None:
    for name, low, high in NUMBERS:
        setattr(request, name, _number(raw, name, low, high))
    limit = _integer(raw, "max_completion_tokens", 1)
    request.max_output_tokens = limit if limit is not None else _integer(raw, "max_tokens", 1)
    request.seed = _integer(raw, "seed")
    request.n = _integer(raw, "n", 1)
    request.top_logprobs = _integer(raw, "top_logprobs", 0)
    request.stop = _stop(raw.get("stop"))
    for name in ("logprobs", "parallel_tool_calls"):
        value = raw.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidRequest(f"'{name}' must be true or false.", name)
        setattr(request, name, value)
    for name in ("reasoning_effort", "user"):
        value = raw.get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidRequest(f"'{name}' must be a string.", name)
        setattr(request, name, value)
    if raw.get("tools"):
        request.tools = _tools(raw["tools"])
    request.tool_choice = _tool_choice(raw.get("tool_choice"))
    request.response_format = _format(raw.get("response_format"))
    metadata = raw.get("metadata")
    if metadata is not None:
        if not isinstance(metadata, dict):
            raise InvalidRequest("'metadata' must be an object of strings.", "metadata")
        request.metadata = {str(name): str(value) for name, value in metadata.items()}
    if not raw.keys() <= KNOWN:
        request.extra = {name: value for name, value in raw.items() if name not in KNOWN}


def _number(raw: dict[str, Any], name: str, low: float, high: float) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"'{name}' must be a number from {low:g} to {high:g}.", name)
    return value


def _integer(raw: dict[str, Any], name: str, low: int | None = None) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or (low is not None and value < low):
        raise InvalidRequest(
            f"'{name}' must be a whole number{'' if low is None else f' of at least {low}'}.", name
        )
    return value


def _stop(value: object) -> list[str]:
    if value is None:
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InvalidRequest("'stop' must be a string or a list of strings.", "stop")
    return found


def _message(raw: object, position: int) -> Message:
    where = f"messages[{position}]"
    if not isinstance(raw, dict):
        raise InvalidRequest(f"'{where}' must be an object, not {_kind(raw)}.", where)
    role = raw.get("role")
    if role not in ROLES:
        raise InvalidRequest(f"'{where}.role' must be one of {', '.join(sorted(ROLES))}.", f"{where}.role")
    content = raw.get("content")
    if isinstance(content, list):
        content = [_part(each, f"{where}.content[{i}]") for i, each in enumerate(content)]
    elif content is not None and not isinstance(content, str):
        raise InvalidRequest(f"'{where}.content' must be a string or a list of parts.", f"{where}.content")
    message = Message(role, content)
    if content is None and role != "assistant":
        raise InvalidRequest(f"'{where}.content' is missing.", f"{where}.content")
    if raw.get("tool_calls"):
        message.tool_calls = _calls(raw["tool_calls"], f"{where}.tool_calls")
    if role == "tool":
        if not isinstance(raw.get("tool_call_id"), str):
            raise InvalidRequest(
                f"'{where}.tool_call_id' must name the call it answers.", f"{where}.tool_call_id"
            )
        message.tool_call_id = raw["tool_call_id"]
    name = raw.get("name")
    message.name = name if isinstance(name, str) else None
    return message


def _calls(raw: object, where: str) -> list[ToolCall]:
    try:
        return [
            ToolCall(str(call["id"]), str(call["function"]["name"]), str(call["function"]["arguments"]))
            for call in cast("list[dict[str, Any]]", raw)
        ]
    except (KeyError, TypeError) as error:
        raise InvalidRequest(
            f"'{where}' must be a list of calls with id, function.name and function.arguments.", where
        ) from error


def _part(raw: object, where: str) -> Part:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise InvalidRequest(f"'{where}' must be an object with a 'type'.", where)
    kind = raw["type"]
    if kind == "text":
        if not isinstance(raw.get("text"), str):
            raise InvalidRequest(f"'{where}.text' must be a string.", f"{where}.text")
        return TextPart(raw["text"])
    if kind == "image_url":
        return _image(raw.get("image_url"), f"{where}.image_url")
    return OtherPart(kind, raw)


def _image(raw: object, where: str) -> ImagePart:
    url = raw.get("url") if isinstance(raw, dict) else raw
    detail = raw.get("detail") if isinstance(raw, dict) else None
    if not isinstance(url, str):
        raise InvalidRequest(f"'{where}.url' must be a string.", f"{where}.url")
    if not url.startswith("data:"):
        return ImagePart(url=url, detail=detail)
    head, _, data = url.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if encoding != "base64" or not data:
        raise InvalidRequest(
            f"'{where}.url' must be an http(s) URL or data:<type>;base64,<data>.", f"{where}.url"
        )
    return ImagePart(data=data, media_type=media_type, detail=detail)


def _tools(raw: object) -> list[Tool]:
    if not isinstance(raw, list):
        raise InvalidRequest("'tools' must be a list.", "tools")
    return [_tool(each, f"tools[{i}]") for i, each in enumerate(raw)]


def _tool(raw: object, where: str) -> Tool:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InvalidRequest(
            f"'{where}' must be a function tool with function.name.", f"{where}.function.name"
        )
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRequest(
            f"'{where}.function.parameters' must be a JSON Schema object.", f"{where}.function.parameters"
        )
    return Tool(function["name"], function.get("description"), parameters, function.get("strict"))


def _tool_choice(raw: object) -> ToolChoice | None:
    if raw is None:
        return None
    if raw in ("auto", "none", "required"):
        return ToolChoice(raw)
    if (
        isinstance(raw, dict)
        and isinstance(raw.get("function"), dict)
        and isinstance(raw["function"].get("name"), str)
    ):
        return ToolChoice("function", raw["function"]["name"])
    raise InvalidRequest("'tool_choice' must be auto, none, required, or a function by name.", "tool_choice")


def _format(raw: object) -> ResponseFormat | None:
    if raw is None:
        return None
    kind = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or kind not in ("text", "json_object", "json_schema"):
        raise InvalidRequest(
            "'response_format.type' must be text, json_object or json_schema.", "response_format.type"
        )
    if kind != "json_schema":
        return ResponseFormat(cast("Literal['text', 'json_object']", kind))
    detail = raw.get("json_schema")
    if not isinstance(detail, dict) or not isinstance(detail.get("schema"), dict):
        where = "response_format.json_schema.schema"
        raise InvalidRequest(f"'{where}' must be a JSON Schema object.", where)
    return ResponseFormat("json_schema", detail.get("name"), detail["schema"], detail.get("strict"))


def usage_body(usage: Usage) -> dict[str, Any] | None:
    """Usage in the OpenAI form, or None when the provider told nothing."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    given, made = usage.input_tokens or 0, usage.output_tokens or 0
    found: dict[str, Any] = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    if usage.cached_input_tokens is not None:
        found["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        found["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return found


def render(response: ChatResponse, request_id: str, model: str) -> bytes:
    """The answer as the caller gets it; ``model`` is who answered. An answer of the same wire keeps all its fields."""
    if response.raw is not None and all("message" in choice for choice in response.raw["choices"]):
        body = {**response.raw, "model": model}
        if isinstance(body["choices"][0]["message"].get("content"), list):
            body["choices"] = [_choice(choice) for choice in response.choices]
    else:
        body = {"choices": [_choice(choice) for choice in response.choices], "model": model}
    body.setdefault("id", response.id or f"chatcmpl-{request_id}")
    body.setdefault("object", "chat.completion")
    body.setdefault("created", response.created or int(time.time()))
    if "usage" not in body:
        body["usage"] = usage_body(response.usage)
    return orjson.dumps(body)


def _choice(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": choice.refusal}
    if choice.reasoning is not None:
        message["reasoning_content"] = choice.reasoning
    if choice.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in choice.tool_calls
        ]
    finish = choice.finish_reason.value if choice.finish_reason else None
    return {"index": choice.index, "message": message, "finish_reason": finish, "logprobs": choice.logprobs}


class StreamRenderer:
    """Renders one stream: chunks, usage when the caller asked for it, and the end or the error."""

    def __init__(self, request_id: str, model: str, created: int, *, include_usage: bool) -> None:
        self._head = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._begun: set[int] = set()

    def chunk(self, chunk: ChatChunk) -> bytes:
        """Bytes for one chunk; empty when it holds nothing for the caller (usage goes out at the end)."""
        if not chunk.has_token and chunk.finish_reason is None:
            return b""
        delta: dict[str, Any] = {}
        if chunk.index not in self._begun:
            self._begun.add(chunk.index)
            delta["role"] = "assistant"
        if chunk.text is not None:
            delta["content"] = chunk.text
        if chunk.reasoning is not None:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.refusal is not None:
            delta["refusal"] = chunk.refusal
        if chunk.tool_calls:
            delta["tool_calls"] = [_call_delta(call) for call in chunk.tool_calls]
        choice: dict[str, Any] = {"index": chunk.index, "delta": delta, "finish_reason": chunk.finish_reason}
        if chunk.logprobs is not None:
            choice["logprobs"] = chunk.logprobs
        return _event({**self._head, "choices": [choice]})

    def done(self, usage: Usage) -> bytes:
        """The regular end."""
        last = b""
        if self._include_usage:
            last = _event({**self._head, "choices": [], "usage": usage_body(usage)})
        return last + b"data: [DONE]\n\n"

    def error(self, message: str, kind: str, code: str | None) -> bytes:
        """The end of a stream that broke: an error event, and never ``[DONE]``."""
        return b"data: " + render_error(message, kind, None, code) + b"\n\n"


def _call_delta(call: Any) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": call.arguments}
    found: dict[str, Any] = {"index": call.index, "function": function}
    if call.name is not None:
        function["name"] = call.name
        found["type"] = "function"
    if call.id is not None:
        found["id"] = call.id
    return found


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def render_error(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """The OpenAI error body."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})
