"""Reading a chat-completions request.

Parsing checks the shape of what Fairlead itself must understand; every other parameter is kept untouched.
"""

from typing import Any, Literal, cast

from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.inbound.openai_chat.messages import message_of
from fairlead_models.unified import ChatRequest, ResponseFormat, Tool, ToolChoice

KNOWN = frozenset(
    "model messages stream stream_options tools tool_choice parallel_tool_calls response_format max_tokens"
    " max_completion_tokens temperature top_p top_k stop seed n frequency_penalty presence_penalty logprobs"
    " top_logprobs reasoning_effort metadata user".split()
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
    raw = reading.load(body)
    model = reading.model_of(raw)
    messages = raw.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' must be a list of at least one message.", "messages")
    request = ChatRequest(
        model=model, messages=[message_of(each, i) for i, each in enumerate(messages)], raw=raw
    )
    _switches(raw, request)
    if raw.keys() != {"model", "messages"}:
        _parameters(raw, request)
    return request


def _switches(raw: dict[str, Any], request: ChatRequest) -> None:
    request.stream = bool(reading.optional_bool(raw, "stream"))
    options = raw.get("stream_options")
    if isinstance(options, dict):
        request.include_usage = options.get("include_usage") is True


def _parameters(raw: dict[str, Any], request: ChatRequest) -> None:
    for name, low, high in NUMBERS:
        setattr(request, name, reading.number(raw, name, low, high))
    limit = reading.integer(raw, "max_completion_tokens", 1)
    request.max_output_tokens = limit if limit is not None else reading.integer(raw, "max_tokens", 1)
    request.top_k = reading.integer(raw, "top_k", 0)
    request.seed = reading.integer(raw, "seed")
    request.n = reading.integer(raw, "n", 1)
    request.top_logprobs = reading.integer(raw, "top_logprobs", 0)
    request.stop = reading.strings(raw.get("stop"), "stop")
    for name in ("logprobs", "parallel_tool_calls"):
        setattr(request, name, reading.optional_bool(raw, name))
    for name in ("reasoning_effort", "user"):
        setattr(request, name, reading.optional_text(raw, name))
    if raw.get("tools"):
        _tools(raw["tools"], request)
    _choice(raw.get("tool_choice"), request)
    request.response_format = _format(raw.get("response_format"))
    request.metadata = reading.metadata_of(raw)
    if not raw.keys() <= KNOWN:
        request.extra.update(
            (name, value) for name, value in raw.items() if name not in KNOWN and value is not None
        )


def _tools(raw: object, request: ChatRequest) -> None:
    """Functions are understood; tools of other types (custom, ...) only reach targets of the same wire."""
    for position, each in enumerate(reading.records(raw, "tools")):
        kind = each.get("type", "function")
        if kind == "function":
            request.tools.append(_tool(each, f"tools[{position}]"))
        else:
            request.extra[f"tools.{kind}"] = each


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
    description, strict = function.get("description"), function.get("strict")
    if description is not None and not isinstance(description, str):
        raise InvalidRequest(
            f"'{where}.function.description' must be a string.", f"{where}.function.description"
        )
    return Tool(function["name"], description, parameters, strict if isinstance(strict, bool) else None)


def _choice(raw: object, request: ChatRequest) -> None:
    """``allowed_tools`` is the same as offering fewer tools."""
    if isinstance(raw, dict) and isinstance(raw.get("allowed_tools"), dict):
        allowed = raw["allowed_tools"]
        names = {
            _function_name(each)
            for each in reading.records(allowed.get("tools"), "tool_choice.allowed_tools.tools")
        }
        request.tools = [tool for tool in request.tools if tool.name in names]
        raw = allowed.get("mode", "auto")
    if raw is None:
        return
    if isinstance(raw, str) and raw in ("auto", "none", "required"):
        request.tool_choice = ToolChoice(cast("Literal['auto', 'none', 'required']", raw))
    elif isinstance(raw, dict) and (name := _function_name(raw)) is not None:
        request.tool_choice = ToolChoice("function", name)
    elif isinstance(raw, dict) and raw.get("type") == "custom":
        request.extra["tools.custom"] = raw
    else:
        raise InvalidRequest(
            "'tool_choice' must be auto, none, required, or a function by name.", "tool_choice"
        )


def _function_name(raw: dict[str, Any]) -> str | None:
    function = raw.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


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
    name, strict = detail.get("name"), detail.get("strict")
    return ResponseFormat(
        "json_schema",
        name if isinstance(name, str) else None,
        detail["schema"],
        strict if isinstance(strict, bool) else None,
        detail.get("description") if isinstance(detail.get("description"), str) else None,
    )
