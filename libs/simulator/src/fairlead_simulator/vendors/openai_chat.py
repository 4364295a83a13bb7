"""OpenAI's chat completions: requests and answers."""

import re
from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice, logprob
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
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors import openai_models
from fairlead_simulator.vendors.messages import MessageReader, texts, tools_of, unanswered, uncalled
from fairlead_simulator.vendors.vendor import SSE, Chat, Frames, Model, Refused, data, dumps

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
    "reasoning_effort": one_of(*openai_models.EFFORTS),
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
FINISH = {"tool": "tool_calls", "broken_tool": "tool_calls", "length": "length", "filter": "content_filter"}
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
    model = openai_models.found(body["model"])
    if model.dimensions:
        message = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
        raise Refused(404, message, kind="invalid_request_error", param="model")
    thinks = openai_models.thinking(model, body.get("reasoning_effort"), "reasoning_effort")
    _check_together(body, model, thinks)
    ask = _ask(body, model, thinks)
    check_size(ask, model, "messages")
    return Chat(ask, ChatWriter(body.get("stream_options") or {}))


def _check_together(body: dict[str, Any], model: Model, thinks: Thinking | None) -> None:
    if model.efforts and body.get("max_tokens") is not None:
        raise openai_models.unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
    if model.family == "o" and body.get("stop") is not None:
        raise openai_models.unsupported("stop")
    openai_models.check_sampling(model, body, thinks)
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


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object: cached tokens are part of the prompt, thoughts part of the completion."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "audio_tokens": 0,
            "cache_write_tokens": usage.written,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs_of(text: str, top: int) -> list[dict[str, Any]]:
    """Log probabilities of each piece of ``text``, with ``top`` alternatives."""
    return [
        {
            **_logprob(piece, logprob(piece)),
            "top_logprobs": [_logprob(piece, logprob(piece))][:top]
            + [_logprob(f"{piece}{i}", logprob(piece) - i) for i in range(1, top)],
        }
        for piece in tokens.pieces(text)
    ]


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


class ChatWriter:
    """Writes ``chat.completion`` and ``chat.completion.chunk`` objects."""

    media = SSE

    def __init__(self, stream_options: dict[str, Any]) -> None:
        self._obfuscated = stream_options.get("include_obfuscation") is not False

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        return dumps(self.body(ask, answer))

    def body(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        """The whole answer."""
        choices: list[dict[str, Any]] = [
            {
                "index": index,
                "message": self._message(choice),
                "logprobs": _logprobs(ask, choice),
                "finish_reason": FINISH.get(choice.finish, "stop"),
            }
            for index, choice in enumerate(answer.choices)
        ]
        head = self.head(ask, answer, "chat.completion")
        return {**head, "choices": choices, "usage": usage_of(answer.usage)}

    @staticmethod
    def head(ask: Ask, answer: Answer, kind: str) -> dict[str, Any]:
        """What whole answers and chunks have in common."""
        return {
            "id": f"chatcmpl-{answer.id}",
            "object": kind,
            "created": answer.made_at,
            "model": ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }

    @staticmethod
    def _message(choice: Choice) -> dict[str, Any]:
        refuses = choice.finish == "refusal"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refuses or choice.calls else choice.text,
            "refusal": choice.text if refuses else None,
            "annotations": [],
        }
        if choice.calls:
            message["tool_calls"] = [
                {
                    "id": f"call_{call.id}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.text},
                }
                for call in choice.calls
            ]
        return message

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        head = self.head(ask, answer, "chat.completion.chunk")
        if ask.include_usage:
            head["usage"] = None

        def chunk(
            index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None
        ) -> bytes:
            choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            padding = {"obfuscation": "simulated"[: 1 + len(delta)]} if self._obfuscated else {}
            return data({**head, "choices": [choice], **padding})

        begin, found, end = [], [], []
        for index, choice in enumerate(answer.choices):
            content = None if choice.calls else ""
            begin.append(chunk(index, {"role": "assistant", "content": content, "refusal": None}))
            field = "refusal" if choice.finish == "refusal" else "content"
            for piece in choice.pieces:
                listed = (
                    None
                    if ask.logprobs is None
                    else {"content": logprobs_of(piece, ask.logprobs), "refusal": None}
                )
                found.append(chunk(index, {field: piece}, logprobs=listed))
            found += [chunk(index, {"tool_calls": [delta]}) for delta in _call_deltas(choice)]
            end.append(chunk(index, {}, FINISH.get(choice.finish, "stop")))
        if ask.include_usage:
            end.append(data({**head, "choices": [], "usage": usage_of(answer.usage)}))
        return Frames(begin, found, [*end, b"data: [DONE]\n\n"])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        message = "The server had an error while processing your request. Sorry about that!"
        return data({"error": {"message": message, "type": "server_error", "param": None, "code": None}})

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``: chunks have no types."""
        return b""


def _logprobs(ask: Ask, choice: Choice) -> dict[str, Any] | None:
    if ask.logprobs is None:
        return None
    return {"content": logprobs_of(choice.text, ask.logprobs), "refusal": None}


def _call_deltas(choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, call in enumerate(choice.calls):
        function = {"name": call.name, "arguments": ""}
        found.append({"index": index, "id": f"call_{call.id}", "type": "function", "function": function})
        found += [{"index": index, "function": {"arguments": piece}} for piece in tokens.slices(call.text)]
    return found
