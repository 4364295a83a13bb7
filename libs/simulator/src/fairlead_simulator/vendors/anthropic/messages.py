"""Reads requests for Anthropic's Messages API in its versions 2023-06-01 and 2026-10-21."""

import re
from typing import Any

import orjson

from fairlead_simulator.ask import Ask, CacheMark, Call, Image, Part, Result, Tool, Turn, transcript
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
    tables,
)
from fairlead_simulator.schema import flaw_of
from fairlead_simulator.vendors.anthropic import models
from fairlead_simulator.vendors.anthropic.answers import SIGNATURE, MessagesWriter
from fairlead_simulator.vendors.anthropic.models import refused
from fairlead_simulator.vendors.vendor import Chat, Model, picture

OLD_VERSION, NEW_VERSION = "2023-06-01", "2026-10-21"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
CACHED_FROM = 1024
SHARED_RULES: dict[str, Rule] = {
    "model": TEXT,
    "messages": LIST,
    "cache_control": TABLE,
    "output_config": TABLE,
    "speed": one_of("standard", "fast"),
    "system": ANY,
    "thinking": TABLE,
    "tool_choice": TABLE,
    "tools": LIST,
}
CREATE_RULES: dict[str, Rule] = {
    **SHARED_RULES,
    "max_tokens": integer(0),
    "container": ANY,
    "diagnostics": TABLE,
    "inference_geo": TEXT,
    "metadata": TABLE,
    "service_tier": one_of("auto", "standard_only"),
    "stop_sequences": LIST,
    "stream": FLAG,
}
SAMPLING: dict[str, Rule] = {"temperature": number(0, 1), "top_p": number(0, 1), "top_k": integer(0)}
OUTPUT_RULES = {"effort": one_of(*models.EFFORTS), "format": TABLE}
CHOICE_RULES = {
    "type": one_of("auto", "any", "tool", "none"),
    "name": TEXT,
    "disable_parallel_tool_use": FLAG,
}
BLOCKS = {
    "user": ("text", "image", "document", "tool_result", "search_result"),
    "assistant": ("text", "thinking", "redacted_thinking", "tool_use", "document"),
    "system": ("text",),
}
MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


class BlockReader:
    """Reads system prompt, tools and messages of one request, and notes where its cache marks are."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._tools: list[Tool] = []
        self._system: list[str] = []
        self._turns: list[Turn] = []
        self._names: dict[str, str] = {}
        self.marks: list[CacheMark] = []

    def read(self, body: dict[str, Any]) -> tuple[list[Tool], str, list[Turn]]:
        """Tools, system prompt and turns. Raises Flaw and Refused."""
        for position, tool in enumerate(tables(body.get("tools") or [], ("tools",))):
            self._tool(tool, ("tools", position))
        system = body.get("system")
        if isinstance(system, str):
            self._system.append(system)
        elif system is not None:
            for position, block in enumerate(tables(system, ("system",))):
                need(block, "type", "text", path=("system", position))
                self._system.append(str(block["text"]))
                self._mark(block)
        if not body["messages"]:
            raise refused("messages: at least one message is required")
        for position, message in enumerate(tables(body["messages"], ("messages",))):
            self._message(message, ("messages", position))
        if body.get("cache_control"):
            self._mark(body)
        return self._tools, "\n".join(self._system), self._turns

    def _mark(self, block: dict[str, Any]) -> None:
        if control := block.get("cache_control"):
            end = len(transcript(self._tools, "\n".join(self._system), self._turns))
            self.marks.append(CacheMark(end, control.get("ttl") or "5m"))

    def _tool(self, tool: dict[str, Any], path: Path) -> None:
        need(tool, "name", path=path)
        if tool.get("type", "custom") not in (None, "custom"):
            return  # a tool that Anthropic runs by itself is accepted, and never used here
        place = (*path, "custom")
        if not NAME.fullmatch(str(tool["name"])):
            raise Flaw("other", (*place, "name"), None, f"String should match pattern '^{NAME.pattern}$'")
        need(tool, "input_schema", path=place)
        schema = table(tool["input_schema"], (*place, "input_schema"))
        if flaw := flaw_of(schema):
            message = f"JSON schema is invalid. It must match JSON Schema draft 2020-12: {flaw}"
            raise Flaw("other", (*place, "input_schema"), None, message)
        need(schema, "type", path=(*place, "input_schema"))
        check_value(schema["type"], one_of("object"), (*place, "input_schema", "type"))
        if tool["name"] in [each.name for each in self._tools]:
            raise refused("tools: Tool names must be unique.")
        self._tools.append(Tool(str(tool["name"]), schema))
        self._mark(tool)

    def _message(self, message: dict[str, Any], path: Path) -> None:
        need(message, "role", "content", path=path)
        role = message["role"]
        check_value(role, one_of("user", "assistant", "system"), (*path, "role"))
        if not self._turns and role == "assistant":
            raise refused('messages: first message must use the "user" role')
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        turn = Turn("user" if role == "system" else role)
        self._turns.append(turn)
        for position, block in enumerate(tables(blocks, (*path, "content"))):
            place = (*path, "content", position)
            need(block, "type", path=place)
            check_value(block["type"], one_of(*BLOCKS[role]), (*place, "type"))
            if self._version == NEW_VERSION:
                _check_new(role, block, place)
            turn.parts += self._block(block, place)
            self._names |= {call.id: call.name for call in turn.calls}
            self._mark(block)

    def _block(self, block: dict[str, Any], path: Path) -> list[Part]:
        match block["type"]:
            case "text":
                need(block, "text", path=path)
                if not block["text"]:
                    raise refused("messages: text content blocks must be non-empty")
                return [str(block["text"])]
            case "image":
                return [_image(block, path)]
            case "tool_use":
                need(block, "id", "name", "input", path=path)
                return [Call(str(block["id"]), str(block["name"]), table(block["input"], (*path, "input")))]
            case "tool_result":
                return self._result(block, path)
            case "thinking":
                need(block, "thinking", "signature", path=path)
                if block["signature"] != SIGNATURE:
                    raise refused(f"{'.'.join(map(str, path))}: Invalid `signature` in `thinking` block")
                return []
            case "document" | "search_result":
                return [orjson.dumps(block.get("source") or block.get("content")).decode()]
            case _:
                return []

    def _result(self, block: dict[str, Any], path: Path) -> list[Part]:
        need(block, "tool_use_id", path=path)
        content = block.get("content") or ""
        images: list[Part] = []
        if not isinstance(content, str):
            parts = tables(content, (*path, "content"))
            images = [_image(each, path) for each in parts if each.get("type") == "image"]
            content = "\n".join(str(each.get("text") or "") for each in parts if each.get("type") != "image")
        call_id = str(block["tool_use_id"])
        failed = bool(block.get("is_error"))
        return [Result(call_id, self._names.get(call_id, ""), content, failed), *images]


def _check_new(role: str, block: dict[str, Any], path: Path) -> None:
    if role == "assistant" and block["type"] == "document":
        raise refused(
            f"{'.'.join(map(str, path))}: `document` blocks are not permitted in `assistant` messages"
        )
    if role == "user" and block["type"] == "text" and block.get("citations"):
        raise Flaw("unknown", (*path, "text", "citations"))


def _image(block: dict[str, Any], path: Path) -> Image:
    need(block, "source", path=path)
    source = table(block["source"], (*path, "source"))
    need(source, "type", path=(*path, "source"))
    check_value(source["type"], one_of("base64", "url", "file"), (*path, "source", "type"))
    if source["type"] != "base64":
        return Image(url=str(source.get("url") or source.get("file_id")))
    place = (*path, "image", "source", "base64")
    need(source, "media_type", "data", path=place)
    check_value(source["media_type"], one_of(*MEDIA_TYPES), (*place, "media_type"))
    return picture(str(source["media_type"]), str(source["data"]), (*place, "data"))


def read(body: dict[str, Any], version: str) -> Chat:
    """The request for an answer in ``body``. Raises Flaw and Refused."""
    need(body, "model", "messages", "max_tokens")
    ask, model = _ask(
        body, version, CREATE_RULES, int(body["max_tokens"]) if _whole(body["max_tokens"]) else 0
    )
    if ask.max_tokens is not None and ask.max_tokens > model.output:
        raise refused(
            f"max_tokens: {ask.max_tokens} > {model.output}, which is the maximum allowed number of output tokens for"
            f" {model.id}"
        )
    return Chat(ask, MessagesWriter())


def read_count(body: dict[str, Any], version: str) -> Ask:
    """The request for a token count in ``body``. Raises Flaw and Refused."""
    need(body, "model", "messages")
    return _ask(body, version, SHARED_RULES, 1_000_000)[0]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _ask(body: dict[str, Any], version: str, rules: dict[str, Rule], max_tokens: int) -> tuple[Ask, Model]:
    check(body, rules if version == NEW_VERSION else {**rules, **SAMPLING})
    output = body.get("output_config") or {}
    check(output, OUTPUT_RULES, ("output_config",))
    reader = BlockReader(version)
    tools, system, turns = reader.read(body)
    model = models.found(body["model"])
    thinks = models.thinking(model, body, max_tokens)
    models.check_sampling(model, body, thinks)
    _check_turns(turns, model)
    check_value(body.get("stop_sequences") or [], several(), ("stop_sequences",))
    ask = Ask(
        model=model.id,
        turns=turns,
        system=system,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_tokens"),
        stop=list(body.get("stop_sequences") or ()),
        tools=tools,
        thinking=thinks,
        context_window=model.context,
        cuts_at_window=True,
        settings={
            name: body[name] for name in (*SAMPLING, "metadata", "service_tier") if body.get(name) is not None
        },
        marks=reader.marks,
        cached_from=CACHED_FROM,
    )
    if reader.marks == []:
        ask.cached_from = None
    _choose_tool(ask, body.get("tool_choice"))
    _shape(ask, output.get("format"))
    if ask.input_tokens > model.context:
        raise refused(f"prompt is too long: {ask.input_tokens} tokens > {model.context} maximum")
    return ask, model


def _check_turns(turns: list[Turn], model: Model) -> None:
    if turns[-1].role == "assistant" and "prefill" not in model.traits:
        raise refused(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    for position, turn in enumerate(turns):
        after = turns[position + 1] if position + 1 < len(turns) else Turn("user")
        before = turns[position - 1] if position else Turn("assistant")
        missing = {call.id for call in turn.calls} - {result.call_id for result in after.results}
        if missing:
            raise refused(
                f"messages.{position}: `tool_use` ids were found without `tool_result` blocks immediately after:"
                f" {', '.join(sorted(missing))}. Each `tool_use` block must have a corresponding `tool_result` block in"
                " the next message."
            )
        strange = {result.call_id for result in turn.results} - {call.id for call in before.calls}
        if strange:
            raise refused(
                f"messages.{position}.content.0: unexpected `tool_use_id` found in `tool_result` blocks:"
                f" {', '.join(sorted(strange))}. Each `tool_result` block must have a corresponding `tool_use` block in"
                " the previous message."
            )


def _choose_tool(ask: Ask, choice: dict[str, Any] | None) -> None:
    if choice is None:
        return
    need(choice, "type", path=("tool_choice",))
    check(choice, CHOICE_RULES, ("tool_choice",))
    kind = choice["type"]
    if not ask.tools and kind != "none":
        raise refused("tool_choice may only be specified while providing tools")
    if kind in ("any", "tool") and ask.thinking is not None:
        raise refused("Thinking may not be enabled when tool_choice forces tool use.")
    ask.parallel = not choice.get("disable_parallel_tool_use")
    ask.forbid_tools = kind == "none"
    if kind == "any":
        ask.force_tool = "*"
    elif kind == "tool":
        need(choice, "name", path=("tool_choice", "tool"))
        if choice["name"] not in [tool.name for tool in ask.tools]:
            raise refused(f"Tool '{choice['name']}' not found in provided tools")
        ask.force_tool = choice["name"]


def _shape(ask: Ask, wanted: dict[str, Any] | None) -> None:
    if wanted is None:
        return
    path = ("output_config", "format")
    need(wanted, "type", "schema", path=path)
    check_value(wanted["type"], one_of("json_schema"), (*path, "type"))
    schema = table(wanted["schema"], (*path, "schema"))
    if flaw := flaw_of(schema) or _open_object(schema):
        raise Flaw("other", (*path, "schema"), None, flaw)
    ask.schema = schema


def _open_object(schema: Any) -> str | None:
    """What is wrong when an object of the schema is not closed."""
    if isinstance(schema, list):
        return next((flaw for each in schema if (flaw := _open_object(each))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    inner = [*(schema.get("properties") or {}).values(), *(schema.get("$defs") or {}).values()]
    inner += [schema.get(name) for name in ("items", "anyOf", "allOf")]
    return _open_object(inner)
