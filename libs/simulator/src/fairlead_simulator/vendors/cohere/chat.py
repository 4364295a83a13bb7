"""Reads requests for Cohere's chat in version 2."""

import re
from typing import Any

import orjson

from fairlead_simulator.ask import Ask, Call, Part
from fairlead_simulator.checks import (
    ANY,
    FLAG,
    LIST,
    TABLE,
    TEXT,
    Path,
    Rule,
    check,
    integer,
    need,
    number,
    one_of,
    several,
    tables,
)
from fairlead_simulator.markers import marks
from fairlead_simulator.schema import flaw_of
from fairlead_simulator.vendors.cohere import models
from fairlead_simulator.vendors.cohere.answers import ChatWriter
from fairlead_simulator.vendors.messages import MessageReader, tools_of, unanswered, uncalled
from fairlead_simulator.vendors.vendor import Chat, Refused

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,255}")
CACHED_FROM = 1024
RULES: dict[str, Rule] = {
    "model": TEXT,
    "messages": several(),
    "tools": LIST,
    "strict_tools": FLAG,
    "documents": LIST,
    "citation_options": TABLE,
    "response_format": TABLE,
    "safety_mode": one_of("CONTEXTUAL", "STRICT", "OFF"),
    "max_tokens": integer(0),
    "stop_sequences": several(5),
    "temperature": number(0),
    "seed": integer(0),
    "frequency_penalty": number(0, 1),
    "presence_penalty": number(0, 1),
    "k": integer(0, 500),
    "p": number(0.01, 0.99),
    "logprobs": FLAG,
    "tool_choice": one_of("REQUIRED", "NONE"),
    "thinking": TABLE,
    "priority": integer(0, 999),
    "stream": FLAG,
}
TOOL_RULES: dict[str, Rule] = {"type": one_of("function"), "function": TABLE}
FUNCTION_RULES: dict[str, Rule] = {"name": TEXT, "description": TEXT, "parameters": TABLE}
CALL_RULES: dict[str, Rule] = {"id": TEXT, "type": one_of("function"), "function": TABLE}
MESSAGE_RULES: dict[str, Rule] = {
    "role": TEXT,
    "content": ANY,
    "tool_calls": LIST,
    "tool_plan": TEXT,
    "tool_call_id": TEXT,
    "citations": LIST,
}
SETTINGS = "temperature p k presence_penalty frequency_penalty safety_mode priority".split()


class CohereReader(MessageReader):
    """Reads messages: results of tools may be documents, fields nobody knows are refused everywhere."""

    roles = ("system", "user", "assistant", "tool")
    part_types = ("text", "image_url", "document", "thinking")

    def part(self, part: dict[str, Any], path: Path) -> Part:
        """One part of a content list."""
        if part.get("type") == "document":
            need(part, "document", path=path)
            given = part["document"].get("data", part["document"])
            return given if isinstance(given, str) else orjson.dumps(given).decode()
        return "" if part.get("type") == "thinking" else super().part(part, path)

    def calls(self, message: dict[str, Any], path: Path) -> list[Call]:
        """The calls an assistant made."""
        check(message, MESSAGE_RULES, path)
        for position, call in enumerate(tables(message.get("tool_calls") or [], (*path, "tool_calls"))):
            check(call, CALL_RULES, (*path, "tool_calls", position))
        return super().calls(message, path)


READER = CohereReader()


def refused(message: str) -> Refused:
    """A refusal of a request, with 400."""
    return Refused(400, f"invalid request: {message}")


def read(body: dict[str, Any]) -> Chat:
    """The chat request in ``body``. Raises Flaw and Refused."""
    need(body, "model", "messages")
    check(body, RULES)
    model = models.found(body["model"], "chat")
    if not body["messages"]:
        raise refused("messages must contain at least one message.")
    system, turns = READER.read(body["messages"])
    if not turns or turns[-1].role == "assistant":
        raise refused("the last message must be of role user or tool.")
    if (missing := unanswered(turns)) or uncalled(turns) is not None:
        names = ", ".join(missing[1]) if missing else "a tool message"
        raise refused(f"tool calls and tool messages must match each other; without a counterpart: {names}.")
    _check_tools(body.get("tools") or [])
    ask = Ask(
        model=model.id,
        turns=turns,
        system=system,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_tokens"),
        stop=list(body.get("stop_sequences") or ()),
        tools=tools_of(body.get("tools")),
        forbid_tools=body.get("tool_choice") == "NONE",
        thinking=models.thinking(model, body.get("thinking")),
        seed=body.get("seed"),
        logprobs=0 if body.get("logprobs") else None,
        context_window=model.context,
        cached_from=CACHED_FROM,
        settings={name: body[name] for name in SETTINGS if body.get(name) is not None},
    )
    if body.get("tool_choice") is not None:
        if not ask.tools:
            raise refused("tool_choice can only be used together with tools.")
        ask.force_tool = "*" if body["tool_choice"] == "REQUIRED" else None
    _shape(ask, body)
    if ask.input_tokens > model.context:
        raise refused(f"too many tokens: size limit exceeded by {ask.input_tokens - model.context} tokens.")
    if ask.max_tokens is not None and ask.max_tokens > model.output:
        raise refused(f"max_tokens must be at most {model.output} for this model.")
    if marks(ask.prompt).blocked:
        raise Refused(498, "blocked")
    return Chat(ask, ChatWriter())


def _check_tools(tools: list[Any]) -> None:
    for position, tool in enumerate(tables(tools, ("tools",))):
        path = ("tools", position)
        check(tool, TOOL_RULES, path)
        need(tool, "function", path=path)
        check(tool["function"], FUNCTION_RULES, (*path, "function"))
        name = str(tool["function"].get("name") or "")
        if not NAME.fullmatch(name):
            raise refused(f"tool name '{name}' must match {NAME.pattern}.")
        if flaw := flaw_of(tool["function"].get("parameters") or {}):
            raise refused(f"parameters of tool '{name}': {flaw}.")


def _shape(ask: Ask, body: dict[str, Any]) -> None:
    wanted = body.get("response_format")
    if not wanted:
        return
    path = ("response_format",)
    check(wanted, {"type": one_of("text", "json_object"), "json_schema": TABLE, "schema": TABLE}, path)
    if wanted.get("type") != "json_object":
        return
    if ask.tools or body.get("documents"):
        raise refused("response_format is not supported together with tools or documents.")
    schema = wanted.get("json_schema") or wanted.get("schema")
    if schema is None:
        ask.json_object = True
        return
    if flaw := flaw_of(schema):
        raise refused(f"json_schema: {flaw}.")
    ask.schema = schema
