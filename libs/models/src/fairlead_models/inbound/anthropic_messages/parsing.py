"""Reading a Messages request.

Sampling parameters, which the newer API version refuses, are read: another provider may honour them.
"""

from typing import Any

from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.inbound.anthropic_messages.turns import messages_of, system_of
from fairlead_models.unified import ChatRequest, Format, ResponseFormat, Tool, ToolChoice

KNOWN = frozenset(
    "model messages max_tokens system stream stop_sequences temperature top_p top_k tools tool_choice metadata thinking"
    " output_config output_format".split()
)
NUMBERS = (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0))
DEFAULT_EFFORT = "medium"
"""What adaptive thinking without an effort asks of other providers."""


def parse(body: bytes) -> ChatRequest:
    """The request in ``body``.

    Raises:
        InvalidRequest: with the path of the wrong field in ``param``.
    """
    raw = reading.load(body)
    request = ChatRequest(
        reading.model_of(raw), [], include_usage=True, raw=raw, raw_format=Format.ANTHROPIC_MESSAGES
    )
    limit = reading.integer(raw, "max_tokens", 0)
    if limit is None:
        raise InvalidRequest("'max_tokens' must be a whole number: the most tokens to answer.", "max_tokens")
    request.max_output_tokens = limit
    if limit == 0:  # only warms Anthropic's cache
        request.extra["max_tokens"] = 0
    request.messages = system_of(raw.get("system")) + messages_of(raw.get("messages"), request.extra)
    request.stream = bool(reading.optional_bool(raw, "stream"))
    _parameters(raw, request)
    return request


def _parameters(raw: dict[str, Any], request: ChatRequest) -> None:
    for name, low, high in NUMBERS:
        setattr(request, name, reading.number(raw, name, low, high))
    request.top_k = reading.integer(raw, "top_k", 0)
    request.stop = reading.strings(raw.get("stop_sequences"), "stop_sequences")
    _tools(raw.get("tools"), request)
    _choice(raw.get("tool_choice"), request)
    metadata = reading.metadata_of(raw)
    request.user = metadata.pop("user_id", None)
    request.metadata = metadata
    config = reading.record(raw.get("output_config") or {}, "output_config")
    request.response_format = _format(config.get("format") or raw.get("output_format"))
    _thinking(raw.get("thinking"), config.get("effort"), request)
    request.extra.update(
        (name, value) for name, value in raw.items() if name not in KNOWN and value is not None
    )


def _tools(raw: object, request: ChatRequest) -> None:
    """The caller's own tools are understood; Anthropic's only reach Anthropic."""
    for position, each in enumerate(reading.records(raw, "tools")):
        where, kind = f"tools[{position}]", each.get("type") or "custom"
        if kind != "custom":
            request.extra[f"tools.{kind}"] = each
            continue
        schema = each.get("input_schema")
        if not isinstance(schema, dict):
            raise InvalidRequest(
                f"'{where}.input_schema' must be a JSON Schema object.", f"{where}.input_schema"
            )
        description, strict = each.get("description"), each.get("strict")
        request.tools.append(
            Tool(
                reading.text(each, "name", where),
                description if isinstance(description, str) else None,
                schema,
                strict if isinstance(strict, bool) else None,
            )
        )
        for name in ("input_examples", "cache_control"):
            if each.get(name):
                request.extra[name] = each[name]


def _choice(raw: object, request: ChatRequest) -> None:
    if raw is None:
        return
    choice = reading.record(raw, "tool_choice")
    kind = choice.get("type")
    if kind == "auto":
        request.tool_choice = ToolChoice("auto")
    elif kind == "none":
        request.tool_choice = ToolChoice("none")
    elif kind == "any":
        request.tool_choice = ToolChoice("required")
    elif kind == "tool":
        request.tool_choice = ToolChoice("function", reading.text(choice, "name", "tool_choice"))
    else:
        raise InvalidRequest("'tool_choice.type' must be auto, any, tool or none.", "tool_choice.type")
    if choice.get("disable_parallel_tool_use") is True:
        request.parallel_tool_calls = False


def _format(raw: object) -> ResponseFormat | None:
    if raw is None:
        return None
    found = reading.record(raw, "output_config.format")
    if found.get("type") != "json_schema" or not isinstance(found.get("schema"), dict):
        raise InvalidRequest(
            "'output_config.format' must have the type json_schema and a schema.", "output_config.format"
        )
    return ResponseFormat("json_schema", None, found["schema"], strict=True)


def _thinking(raw: object, effort: object, request: ChatRequest) -> None:
    if effort is not None and not isinstance(effort, str):
        raise InvalidRequest("'output_config.effort' must be a string.", "output_config.effort")
    request.reasoning_effort = effort
    if raw is None:
        return
    settings = reading.record(raw, "thinking")
    kind, display = settings.get("type"), settings.get("display")
    if kind == "disabled":
        request.reasoning_effort = "none"
        return
    if kind == "enabled":
        budget = settings.get("budget_tokens")
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
            raise InvalidRequest(
                "'thinking.budget_tokens' must be a whole number of at least 1024.", "thinking.budget_tokens"
            )
        request.reasoning_budget_tokens = budget
    elif kind in ("adaptive", "between_tools"):
        request.reasoning_effort = effort or DEFAULT_EFFORT
    else:
        raise InvalidRequest("'thinking.type' must be adaptive, enabled or disabled.", "thinking.type")
    request.show_reasoning = display != "omitted"
