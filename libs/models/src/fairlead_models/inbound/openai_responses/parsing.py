"""Reading a Responses request: what needs no memory of earlier ones. What does is refused, and said how to do without."""

from typing import Any, Literal, cast

from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.inbound.openai_responses.items import messages_of
from fairlead_models.unified import ChatRequest, Format, Message, ResponseFormat, Tool, ToolChoice

KNOWN = frozenset(
    "model input instructions tools tool_choice parallel_tool_calls text reasoning max_output_tokens temperature top_p"
    " top_logprobs include stream stream_options metadata user store truncation background max_tool_calls".split()
)
NUMBERS = (("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0))
STATEFUL = {
    "previous_response_id": "Send the whole conversation in 'input': output items of earlier answers can be put there"
    " as they came, sealed thinking included.",
    "conversation": "Send the whole conversation in 'input'.",
    "prompt": "Send the prompt's text in 'instructions'.",
    "context_management": "Shorten the conversation before you send it.",
}
SEALED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


def parse(body: bytes) -> ChatRequest:
    """The request in ``body``.

    Raises:
        InvalidRequest: with the path of the wrong field in ``param``.
    """
    raw = reading.load(body)
    _refuse_stateful(raw)
    request = ChatRequest(
        reading.model_of(raw), [], include_usage=True, raw=raw, raw_format=Format.OPENAI_RESPONSES
    )
    instructions = reading.optional_text(raw, "instructions")
    if instructions:
        request.messages.append(Message("developer", instructions))
    request.messages += _input(raw.get("input"))
    request.stream = bool(reading.optional_bool(raw, "stream"))
    _parameters(raw, request)
    return request


def _refuse_stateful(raw: dict[str, Any]) -> None:
    for name, instead in STATEFUL.items():
        if raw.get(name) is not None:
            raise _stateless(name, instead)
    if raw.get("background") is True:
        raise _stateless("background", "Wait for the answer, or stream it.")
    if raw.get("store") is True:
        raise _stateless("store", "Leave it out, or set it to false.")


def _stateless(name: str, instead: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{name}' is not supported: Fairlead stores no responses. {instead}", name, "unsupported_parameter"
    )


def _input(raw: object) -> list[Message]:
    if isinstance(raw, str):
        return [Message("user", raw)]
    if not isinstance(raw, list) or not raw:
        raise InvalidRequest("'input' must be a string or a list of at least one item.", "input")
    return messages_of(raw)


def _parameters(raw: dict[str, Any], request: ChatRequest) -> None:
    for name, low, high in NUMBERS:
        setattr(request, name, reading.number(raw, name, low, high))
    request.max_output_tokens = reading.integer(raw, "max_output_tokens", 1)
    request.parallel_tool_calls = reading.optional_bool(raw, "parallel_tool_calls")
    request.user = reading.optional_text(raw, "user")
    request.metadata = reading.metadata_of(raw)
    _tools(raw.get("tools"), request)
    _choice(raw.get("tool_choice"), request)
    _text(raw.get("text"), request)
    _reasoning(raw.get("reasoning"), request)
    top = reading.integer(raw, "top_logprobs", 0)
    if top or LOGPROBS in reading.strings(raw.get("include"), "include"):
        request.logprobs, request.top_logprobs = True, top
    for name in set(request.raw or ()) - KNOWN:
        if raw[name] is not None:
            request.extra[name] = raw[name]
    if raw.get("truncation") == "auto":
        request.extra["truncation"] = "auto"


def _tools(raw: object, request: ChatRequest) -> None:
    """Functions are understood; OpenAI's own tools only reach OpenAI."""
    for position, each in enumerate(reading.records(raw, "tools")):
        where, kind = f"tools[{position}]", each.get("type")
        if kind != "function":
            request.extra[f"tools.{kind}"] = each
            continue
        parameters, description, strict = each.get("parameters"), each.get("description"), each.get("strict")
        if parameters is not None and not isinstance(parameters, dict):
            raise InvalidRequest(f"'{where}.parameters' must be a JSON Schema object.", f"{where}.parameters")
        request.tools.append(
            Tool(
                reading.text(each, "name", where),
                description if isinstance(description, str) else None,
                parameters,
                strict if isinstance(strict, bool) else None,
            )
        )


def _choice(raw: object, request: ChatRequest) -> None:
    """``allowed_tools`` is the same as offering fewer tools."""
    if isinstance(raw, dict) and raw.get("type") == "allowed_tools":
        names = {each.get("name") for each in reading.records(raw.get("tools"), "tool_choice.tools")}
        request.tools = [tool for tool in request.tools if tool.name in names]
        raw = raw.get("mode", "auto")
    if raw is None:
        return
    if isinstance(raw, str) and raw in ("auto", "none", "required"):
        request.tool_choice = ToolChoice(cast("Literal['auto', 'none', 'required']", raw))
    elif isinstance(raw, dict) and raw.get("type") == "function":
        request.tool_choice = ToolChoice("function", reading.text(raw, "name", "tool_choice"))
    elif isinstance(raw, dict) and isinstance(raw.get("type"), str):
        request.extra[f"tools.{raw['type']}"] = raw
    else:
        raise InvalidRequest(
            "'tool_choice' must be auto, none, required, or a tool by type and name.", "tool_choice"
        )


def _text(raw: object, request: ChatRequest) -> None:
    if raw is None:
        return
    text = reading.record(raw, "text")
    if text.get("verbosity") is not None:
        request.extra["verbosity"] = text["verbosity"]
    if text.get("format") is None:
        return
    found = reading.record(text["format"], "text.format")
    kind = found.get("type")
    if kind in ("text", "json_object"):
        request.response_format = ResponseFormat(cast("Literal['text', 'json_object']", kind))
    elif kind == "json_schema" and isinstance(found.get("schema"), dict):
        name, strict, told = found.get("name"), found.get("strict"), found.get("description")
        request.response_format = ResponseFormat(
            "json_schema",
            name if isinstance(name, str) else None,
            found["schema"],
            strict if isinstance(strict, bool) else None,
            told if isinstance(told, str) else None,
        )
    else:
        raise InvalidRequest(
            "'text.format' must have the type text, json_object, or json_schema with a schema.", "text.format"
        )


def _reasoning(raw: object, request: ChatRequest) -> None:
    if raw is None:
        return
    found = reading.record(raw, "reasoning")
    effort = found.get("effort")
    if effort is not None and not isinstance(effort, str):
        raise InvalidRequest("'reasoning.effort' must be a string.", "reasoning.effort")
    request.reasoning_effort = effort
    if found.get("summary") is not None or found.get("generate_summary") is not None:
        request.show_reasoning = True
