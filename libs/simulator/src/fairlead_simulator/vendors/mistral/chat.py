"""Reads requests for Mistral's chat completions."""

import re
from typing import Any

from fairlead_simulator.ask import Ask, Call, Part, Turn
from fairlead_simulator.checks import (
    ANY,
    FLAG,
    LIST,
    TABLE,
    TEXT,
    Flaw,
    Path,
    Rule,
    check,
    check_value,
    integer,
    need,
    number,
    one_of,
    several,
    table,
)
from fairlead_simulator.markers import marks
from fairlead_simulator.schema import flaw_of
from fairlead_simulator.vendors.messages import MessageReader, texts, tools_of
from fairlead_simulator.vendors.mistral import models
from fairlead_simulator.vendors.mistral.answers import ChatWriter
from fairlead_simulator.vendors.vendor import Chat, Refused, image_of

ID = re.compile(r"[A-Za-z0-9]{9}")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,256}")
CACHED_FROM = 1024
RULES: dict[str, Rule] = {
    "model": TEXT,
    "messages": several(),
    "temperature": number(0, 1.5),
    "top_p": number(0, 1),
    "max_tokens": integer(0),
    "stream": FLAG,
    "stop": ANY,
    "random_seed": integer(0),
    "metadata": TABLE,
    "response_format": TABLE,
    "tools": LIST,
    "tool_choice": ANY,
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "min_tokens": integer(0),
    "repetition_penalty": number(0),
    "top_k": integer(-1),
    "logprobs": FLAG,
    "top_logprobs": integer(0, 20),
    "prompt_logprobs": FLAG,
    "top_prompt_logprobs": integer(0),
    "n": integer(1),
    "prediction": TABLE,
    "parallel_tool_calls": FLAG,
    "reasoning_effort": one_of("none", "high"),
    "prompt_mode": one_of("reasoning"),
    "guardrails": LIST,
    "prompt_cache_key": TEXT,
    "service_tier": TEXT,
    "safe_prompt": FLAG,
}
SETTINGS = "temperature top_p top_k presence_penalty frequency_penalty safe_prompt metadata".split()


class MistralReader(MessageReader):
    """Reads messages: pictures may be given as a bare address, and thoughts are a part of the content."""

    roles = ("system", "user", "assistant", "tool")
    part_types = ("text", "image_url", "thinking", "reference", "document_url", "file", "input_audio")

    def url(self, value: Any, path: Path) -> str:
        """The address in an ``image_url``: a text, or an object with ``url``."""
        return value if isinstance(value, str) else super().url(value, path)

    def part(self, part: dict[str, Any], path: Path) -> Part:
        """One part of a content list."""
        need(part, "type", path=path)
        if part["type"] == "thinking":
            return ""
        if part["type"] == "image_url":
            need(part, "image_url", path=path)
            return image_of(self.url(part["image_url"], (*path, "image_url")), (*path, "image_url"))
        check_value(part["type"], one_of(*self.part_types), (*path, "type"))
        return str(part.get("text") or "")

    def calls(self, message: dict[str, Any], path: Path) -> list[Call]:
        """The calls an assistant made. Raises Refused for an id that is not of nine letters and digits."""
        found = super().calls(message, path)
        for call in found:
            check_id(call.id)
        return found


READER = MistralReader()


def refused(message: str, kind: str, code: str) -> Refused:
    """A refusal of a request, with 400."""
    return Refused(400, message, kind=kind, code=code)


def check_id(call_id: str) -> None:
    """Raise Refused for the id of a tool call that Mistral does not take."""
    if not ID.fullmatch(call_id):
        message = f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
        raise refused(message, "invalid_function_call", "3280")


def read(body: dict[str, Any]) -> Chat:
    """The chat request in ``body``. Raises Flaw and Refused."""
    need(body, "model", "messages")
    check(body, RULES)
    model = models.found(body["model"])
    if model.dimensions:
        raise refused(f"Invalid model: {model.id}", "invalid_model", "1500")
    _check_order(body["messages"])
    system, turns = READER.read(body["messages"])
    _check_tools(turns)
    tools = tools_of(body.get("tools"))
    for position, tool in enumerate(tools):
        if not NAME.fullmatch(tool.name):
            message = (
                f"Function name was {tool.name} but must be a-z, A-Z, 0-9, or contain underscores and dashes."
            )
            raise refused(message, "invalid_function_call", "3280")
        if flaw := flaw_of(tool.schema):
            path = ("tools", position, "function", "parameters")
            raise Flaw("other", path, None, f"Value error, the JSON schema is invalid: {flaw}")
    ask = Ask(
        model=model.id,
        turns=turns,
        system=system,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_tokens"),
        stop=texts(body.get("stop"), ("stop",), 16),
        tools=tools,
        parallel=body.get("parallel_tool_calls") is not False,
        thinking=models.thinking(model, body),
        seed=body.get("random_seed"),
        n=body.get("n") or 1,
        logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        context_window=model.context,
        cached_from=CACHED_FROM,
        settings={name: body[name] for name in SETTINGS if body.get(name) is not None},
    )
    _choose_tool(ask, body.get("tool_choice"))
    _shape(ask, body.get("response_format"))
    if ask.input_tokens + (ask.max_tokens or 0) > model.context:
        message = (
            f"Prompt contains {ask.input_tokens} tokens and 0 draft tokens, too large for model with {model.context}"
            " maximum context length"
        )
        raise refused(message, "invalid_request_prompt_too_long", "3051")
    if marks(ask.prompt).blocked:
        raise Refused(403, "The request was blocked by a guardrail.", kind="guardrail_blocked", code="3700")
    return Chat(ask, ChatWriter())


def _check_order(messages: list[Any]) -> None:
    if not messages:
        raise refused("Conversation must have at least one message", "invalid_request_message_order", "3230")
    before = None
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        after_calls = before == "tool" or (isinstance(before, dict) and bool(before.get("tool_calls")))
        if role == "tool" and not after_calls:
            name = before.get("role") if isinstance(before, dict) else before
            raise _order(f"Unexpected role 'tool' after role '{name}'")
        if before == "tool" and role not in ("tool", "assistant"):
            raise _order(f"Unexpected role '{role}' after role 'tool'")
        if role == "assistant" and not (message.get("content") or message.get("tool_calls")):
            text = "Assistant message must have either content or tool_calls, but not none."
            raise refused(text, "invalid_request_assistant_message", "3240")
        before = "tool" if role == "tool" else message
    last = messages[-1]
    if isinstance(last, dict) and last.get("role") not in ("user", "tool") and not last.get("prefix"):
        raise _order(
            f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {last.get('role')}"
        )


def _order(message: str) -> Refused:
    return refused(message, "invalid_request_message_order", "3230")


def _check_tools(turns: list[Turn]) -> None:
    for position, turn in enumerate(turns):
        for result in turn.results:
            check_id(result.call_id)
        if turn.calls:
            after = turns[position + 1 :]
            results = next((place for place, each in enumerate(after) if each.role != "tool"), len(after))
            if results != len(turn.calls):
                raise _order("Not the same number of function calls and responses")


def _choose_tool(ask: Ask, choice: Any) -> None:
    if choice in (None, "auto"):
        return
    if isinstance(choice, str):
        check_value(choice, one_of("auto", "none", "any", "required"), ("tool_choice",))
        ask.forbid_tools = choice == "none"
        ask.force_tool = None if choice == "none" or not ask.tools else "*"
        return
    name = table(table(choice, ("tool_choice",)).get("function"), ("tool_choice", "function")).get("name")
    if name not in [tool.name for tool in ask.tools]:
        raise refused(f"Tool choice {name} not found in tools", "invalid_request_error", "3051")
    ask.force_tool = str(name)


def _shape(ask: Ask, wanted: Any) -> None:
    if not wanted:
        return
    path = ("response_format",)
    check(wanted, {"type": one_of("text", "json_object", "json_schema"), "json_schema": TABLE}, path)
    if wanted.get("type") == "json_object":
        ask.json_object = True
    elif wanted.get("type") == "json_schema":
        need(wanted, "json_schema", path=path)
        need(wanted["json_schema"], "name", "schema", path=(*path, "json_schema"))
        schema = wanted["json_schema"]["schema"]
        if flaw := flaw_of(schema):
            raise Flaw(
                "other",
                (*path, "json_schema", "schema"),
                None,
                f"Value error, the JSON schema is invalid: {flaw}",
            )
        ask.schema = schema
