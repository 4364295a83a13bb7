"""Reads requests for OpenAI's chat completions."""

import re
from typing import Any

from fairlead_simulator.ask import Ask, Thinking, Tool
from fairlead_simulator.checks import (
    ANY,
    FLAG,
    INTEGER,
    LIST,
    TABLE,
    TEXT,
    Flaw,
    Rule,
    check,
    integer,
    need,
    number,
    one_of,
    several,
    table,
)
from fairlead_simulator.markers import marks
from fairlead_simulator.schema import flaw_of
from fairlead_simulator.vendors.messages import MessageReader, texts, tools_of, unanswered, uncalled
from fairlead_simulator.vendors.openai import models
from fairlead_simulator.vendors.openai.chat_answers import ChatWriter
from fairlead_simulator.vendors.vendor import Chat, Model, Refused

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CACHED_FROM = 1024
RULES: dict[str, Rule] = {
    "model": TEXT,
    "messages": several(low=1),
    "audio": TABLE,
    "frequency_penalty": number(-2, 2),
    "function_call": ANY,
    "functions": LIST,
    "logit_bias": TABLE,
    "logprobs": FLAG,
    "max_completion_tokens": integer(1),
    "max_tokens": integer(1),
    "metadata": TABLE,
    "modalities": LIST,
    "moderation": TABLE,
    "n": integer(1, 128),
    "parallel_tool_calls": FLAG,
    "prediction": TABLE,
    "presence_penalty": number(-2, 2),
    "prompt_cache_key": TEXT,
    "prompt_cache_options": TABLE,
    "prompt_cache_retention": one_of("in_memory", "24h"),
    "reasoning_effort": one_of(*models.EFFORTS),
    "response_format": TABLE,
    "safety_identifier": TEXT,
    "seed": INTEGER,
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast"),
    "stop": ANY,
    "store": FLAG,
    "stream": FLAG,
    "stream_options": TABLE,
    "temperature": number(0, 2),
    "tool_choice": ANY,
    "tools": several(128),
    "top_logprobs": integer(0, 20),
    "top_p": number(0, 1),
    "user": TEXT,
    "verbosity": one_of("low", "medium", "high"),
    "web_search_options": TABLE,
}
STREAM_OPTIONS = {"include_usage": FLAG, "include_obfuscation": FLAG}
SETTINGS = (
    "temperature top_p presence_penalty frequency_penalty logit_bias verbosity user metadata store service_tier"
).split()
READER = MessageReader()


def refused(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A refusal of a request, with 400."""
    return Refused(400, message, kind="invalid_request_error", param=param, code=code)


def read(body: dict[str, Any]) -> Chat:
    """The chat request in ``body``. Raises Flaw and Refused."""
    if body.get("model") is None:
        raise refused("you must provide a model parameter")
    need(body, "messages")
    check(body, RULES)
    model = models.found(body["model"])
    if model.dimensions:
        message = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
        raise Refused(404, message, kind="invalid_request_error", param="model")
    thinks = models.thinking(model, body.get("reasoning_effort"), "reasoning_effort")
    _check_together(body, model, thinks)
    ask = _ask(body, model, thinks)
    check_size(ask, model, "messages")
    return Chat(ask, ChatWriter(body.get("stream_options") or {}))


def _check_together(body: dict[str, Any], model: Model, thinks: Thinking | None) -> None:
    if model.efforts and body.get("max_tokens") is not None:
        raise models.unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    if model.family == "o" and body.get("stop") is not None:
        raise models.unsupported("stop")
    models.check_sampling(model, body, thinks)
    if body.get("tools") and thinks is not None and "no_tools_beside_effort" in model.traits:
        message = (
            f"Function tools with reasoning_effort are not supported for {model.id} in /v1/chat/completions."
            " To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        )
        raise refused(message, "reasoning_effort")
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            raise refused(f"'{name}' is only allowed when 'tools' are specified.", name)
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise refused("'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs")
    if body.get("stream_options") is not None:
        check(body["stream_options"], STREAM_OPTIONS, ("stream_options",))
        if not body.get("stream"):
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise refused(message, "stream_options")


def _ask(body: dict[str, Any], model: Model, thinks: Thinking | None) -> Ask:
    system, turns = READER.read(body["messages"])
    if missing := unanswered(turns):
        raise refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
            f" The following tool_call_ids did not have response messages: {', '.join(missing[1])}",
            "messages",
        )
    if uncalled(turns) is not None:
        raise refused(
            "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
            "messages",
        )
    tools = tools_of(body.get("tools"))
    check_tools(tools, "tools[{}].function")
    ask = Ask(
        model=model.id,
        turns=turns,
        system=system,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=texts(body.get("stop"), ("stop",), 4),
        tools=tools,
        parallel=body.get("parallel_tool_calls") is not False,
        thinking=thinks,
        seed=body.get("seed"),
        n=body.get("n") or 1,
        logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        context_window=model.context,
        cached_from=CACHED_FROM,
        settings={name: body[name] for name in SETTINGS if body.get(name) is not None},
    )
    choose_tool(ask, body.get("tool_choice"))
    shape(ask, body.get("response_format"))
    if marks(ask.prompt).blocked:
        raise refused(
            "Invalid prompt: your prompt was flagged as violating our usage policy.", code="invalid_prompt"
        )
    return ask


def choose_tool(ask: Ask, choice: Any) -> None:
    """Do as ``tool_choice`` says. Raises Flaw and Refused."""
    if choice in (None, "auto"):
        return
    if choice == "none":
        ask.forbid_tools = True
    elif choice == "required":
        ask.force_tool = "*"
    elif isinstance(choice, str):
        raise Flaw("choice", ("tool_choice",), choice, ("none", "auto", "required"))
    elif table(choice, ("tool_choice",)).get("type") == "allowed_tools":
        allowed = table(choice.get("allowed_tools"), ("tool_choice", "allowed_tools"))
        allow(
            ask,
            [each.get("function", {}).get("name") for each in allowed.get("tools") or ()],
            allowed.get("mode"),
        )
    else:
        force(ask, table(choice.get("function"), ("tool_choice", "function")).get("name"))


def force(ask: Ask, name: Any) -> None:
    """Make the answer a call of the tool ``name``. Raises Refused when it is not offered."""
    if name not in [tool.name for tool in ask.tools]:
        raise refused(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    ask.force_tool = str(name)


def allow(ask: Ask, names: list[Any], mode: Any) -> None:
    """Leave only some of the tools, and force a call of one of them when ``mode`` is ``required``."""
    ask.tools = [tool for tool in ask.tools if tool.name in names]
    ask.force_tool = "*" if mode == "required" else None


def check_tools(tools: list[Tool], place: str) -> None:
    """Raise Refused for a tool with a bad name or schema; ``place`` gets its position."""
    for position, tool in enumerate(tools):
        where = place.format(position)
        if not NAME.fullmatch(tool.name):
            message = (
                f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the pattern"
                " '^[a-zA-Z0-9_-]+$'."
            )
            raise refused(message, f"{where}.name", "invalid_value")
        if flaw := flaw_of(tool.schema):
            raise _bad_schema(f"function '{tool.name}': {flaw}", f"{where}.parameters")
        if tool.schema.get("type") != "object":
            found = tool.schema.get("type")
            message = f"function '{tool.name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
            raise _bad_schema(message, f"{where}.parameters")


def _bad_schema(message: str, param: str) -> Refused:
    return refused(f"Invalid schema for {message}", param, "invalid_function_parameters")


def shape(ask: Ask, wanted: Any) -> None:
    """Answer in the form that ``response_format`` says. Raises Flaw and Refused."""
    if not wanted:
        return
    kind = wanted.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise Flaw("choice", ("response_format", "type"), kind, ("json_object", "json_schema", "text"))
    if kind == "json_object":
        want_json(ask, "messages", "response_format")
    elif kind == "json_schema":
        need(wanted, "json_schema", path=("response_format",))
        want_schema(
            ask,
            table(wanted["json_schema"], ("response_format", "json_schema")),
            ("response_format", "json_schema"),
        )


def want_json(ask: Ask, where: str, param: str) -> None:
    """Answer with some JSON object. Raises Refused when the prompt does not speak of JSON."""
    if "json" not in ask.transcript.lower():
        raise refused(
            f"'{where}' must contain the word 'json' in some form, to use '{param}' of type 'json_object'.",
            where,
        )
    ask.json_object = True


def want_schema(ask: Ask, wanted: dict[str, Any], path: tuple[str, ...]) -> None:
    """Answer with JSON of the schema in ``wanted``. Raises Flaw and Refused."""
    need(wanted, "name", "schema", path=path)
    schema, place = wanted["schema"], ".".join(path)
    if not NAME.fullmatch(str(wanted["name"])):
        message = f"Invalid '{place}.name': string does not match pattern. Expected a string that matches the pattern"
        raise refused(f"{message} '^[a-zA-Z0-9_-]+$'.", f"{place}.name", "invalid_value")
    flaw = flaw_of(schema) or (_loose(schema, ()) if wanted.get("strict") else None)
    if flaw:
        raise refused(
            f"Invalid schema for response_format '{wanted['name']}': {flaw}",
            place.split(".")[0],
            "invalid_json_schema",
        )
    ask.schema = schema


def _loose(schema: Any, context: tuple[str, ...]) -> str | None:
    """What a strict schema lacks: each object must be closed, and require all of its properties."""
    if not isinstance(schema, dict):
        return None
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
        missing = [name for name in properties if name not in (schema.get("required") or [])]
        if missing:
            return (
                f"In context={context}, 'required' is required to be supplied and to be an array including every key in"
                f" properties. Missing '{missing[0]}'."
            )
    inner = [((*context, "properties", name), each) for name, each in properties.items()]
    inner += [((*context, "items"), schema["items"])] if "items" in schema else []
    inner += [((*context, "$defs", name), each) for name, each in (schema.get("$defs") or {}).items()]
    inner += [((*context, "anyOf", str(i)), each) for i, each in enumerate(schema.get("anyOf") or ())]
    return next((flaw for place, each in inner if (flaw := _loose(each, place))), None)


def check_size(ask: Ask, model: Model, param: str) -> None:
    """Raise Refused when the prompt or the limit is too large for the model."""
    if ask.max_tokens is not None and ask.max_tokens > model.output:
        message = (
            f"max_tokens is too large: {ask.max_tokens}. This model supports at most {model.output} completion tokens,"
            f" whereas you provided {ask.max_tokens}."
        )
        raise refused(message, "max_tokens", "invalid_value")
    if ask.input_tokens > model.context:
        message = (
            f"This model's maximum context length is {model.context} tokens. However, your messages resulted in"
            f" {ask.input_tokens} tokens. Please reduce the length of the messages."
        )
        raise refused(message, param, "context_length_exceeded")
