"""Reads requests for OpenAI's Responses API, as far as it needs no stored state."""

from typing import Any

from fairlead_simulator.ask import Ask, Call, Part, Result, Thinking, Tool, Turn
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
    table,
    tables,
)
from fairlead_simulator.markers import marks
from fairlead_simulator.vendors.messages import MessageReader, arguments_of, unanswered, uncalled
from fairlead_simulator.vendors.openai import models
from fairlead_simulator.vendors.openai.chat import (
    CACHED_FROM,
    allow,
    check_size,
    check_tools,
    force,
    refused,
    want_json,
    want_schema,
)
from fairlead_simulator.vendors.openai.response_answers import ResponsesWriter
from fairlead_simulator.vendors.vendor import Chat, image_of

RULES: dict[str, Rule] = {
    "model": TEXT,
    "input": ANY,
    "access_programs": TABLE,
    "background": FLAG,
    "context_management": LIST,
    "conversation": ANY,
    "image": TABLE,
    "include": LIST,
    "instructions": TEXT,
    "max_output_tokens": integer(16),
    "max_tool_calls": integer(1),
    "metadata": TABLE,
    "moderation": TABLE,
    "parallel_tool_calls": FLAG,
    "previous_response_id": TEXT,
    "prompt": TABLE,
    "prompt_cache_key": TEXT,
    "prompt_cache_options": TABLE,
    "prompt_cache_retention": one_of("in_memory", "24h"),
    "reasoning": TABLE,
    "safety_identifier": TEXT,
    "service_tier": TEXT,
    "store": FLAG,
    "stream": FLAG,
    "stream_options": TABLE,
    "temperature": number(0, 2),
    "text": TABLE,
    "tool_choice": ANY,
    "tools": LIST,
    "top_logprobs": integer(0, 20),
    "top_p": number(0, 1),
    "truncation": one_of("auto", "disabled"),
    "user": TEXT,
}
REASONING = {
    "effort": TEXT,
    "summary": one_of("auto", "concise", "detailed"),
    "generate_summary": TEXT,
    "mode": TEXT,
    "context": TEXT,
}
ITEMS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")
LOGPROBS = "message.output_text.logprobs"


class ItemReader(MessageReader):
    """Reads the items of ``input``."""

    part_types = ("input_text", "input_image", "output_text", "refusal", "text")

    def items(self, value: Any) -> tuple[str, list[Turn]]:
        """The system prompt and the turns of ``input``. Raises Flaw and Refused."""
        if isinstance(value, str):
            return "", [Turn("user", [value])]
        system: list[str] = []
        turns: list[Turn] = []
        names: dict[str, str] = {}
        for position, item in enumerate(tables(value, ("input",))):
            place = ("input", position)
            kind = item.get("type") or "message"
            check_value(kind, one_of(*ITEMS), (*place, "type"))
            if kind == "item_reference":
                raise refused(
                    f"Item with id '{item.get('id')}' not found. Items are not persisted here.", "input"
                )
            if kind == "message":
                said, spoken = self.read([item], ("input",))
                system += [said] if said else []
                turns += spoken
            elif kind == "function_call":
                call = self._call(item, place)
                names[call.id] = call.name
                if turns and turns[-1].role == "assistant":
                    turns[-1].parts.append(call)
                else:
                    turns.append(Turn("assistant", [call]))
            elif kind == "function_call_output":
                turns.append(Turn("tool", [self._output(item, names, place)]))
        return "\n".join(system), turns

    @staticmethod
    def _call(item: dict[str, Any], path: Path) -> Call:
        need(item, "call_id", "name", "arguments", path=path)
        return Call(str(item["call_id"]), str(item["name"]), arguments_of(item["arguments"]))

    def _output(self, item: dict[str, Any], names: dict[str, str], path: Path) -> Result:
        need(item, "call_id", "output", path=path)
        text = Turn("tool", self.content(item["output"], (*path, "output"))).text
        return Result(str(item["call_id"]), names.get(str(item["call_id"]), ""), text)

    def part(self, part: dict[str, Any], path: Path) -> Part:
        """One part of a content list."""
        need(part, "type", path=path)
        kind = part["type"]
        check_value(kind, one_of(*self.part_types), (*path, "type"))
        if kind == "input_image":
            need(part, "image_url", path=path)
            return image_of(str(part["image_url"]), (*path, "image_url"))
        return str(part.get("refusal" if kind == "refusal" else "text") or "")


READER = ItemReader()


def read(body: dict[str, Any]) -> Chat:
    """The request in ``body``. Raises Flaw and Refused."""
    need(body, "model", "input")
    check(body, RULES)
    model = models.found(body["model"])
    if previous := body.get("previous_response_id"):
        message = f"Previous response with id '{previous}' not found."
        raise refused(message, "previous_response_id", "previous_response_not_found")
    for name in ("background", "conversation", "prompt"):
        if body.get(name):
            raise refused(f"'{name}' needs stored state, which this simulator does not keep.", name)
    reasoning = body.get("reasoning") or {}
    check(reasoning, REASONING, ("reasoning",))
    thinks = models.thinking(model, reasoning.get("effort"), "reasoning.effort")
    models.check_sampling(model, body, thinks)
    ask = _ask(body, thinks)
    ask.context_window = model.context
    check_size(ask, model, "input")
    return Chat(ask, ResponsesWriter(body))


def _ask(body: dict[str, Any], thinks: Thinking | None) -> Ask:
    system, turns = READER.items(body["input"])
    if missing := unanswered(turns):
        raise refused(f"No tool output found for function call {missing[1][0]}.", "input")
    if uncalled(turns) is not None:
        raise refused("No tool call found for function call output.", "input")
    if thinks is not None:
        thinks.shown = bool((body.get("reasoning") or {}).get("summary"))
    wants_logprobs = body.get("top_logprobs") or LOGPROBS in (body.get("include") or ())
    ask = Ask(
        model=body["model"],
        turns=turns,
        system="\n".join(each for each in (body.get("instructions"), system) if each),
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_output_tokens"),
        tools=_tools(body.get("tools") or []),
        parallel=body.get("parallel_tool_calls") is not False,
        thinking=thinks,
        logprobs=(body.get("top_logprobs") or 0) if wants_logprobs else None,
        cached_from=CACHED_FROM,
        settings={
            name: body[name]
            for name in ("temperature", "top_p", "user", "metadata")
            if body.get(name) is not None
        },
    )
    check_tools(ask.tools, "tools[{}]")
    _choose_tool(ask, body.get("tool_choice"))
    _shape(ask, (body.get("text") or {}).get("format"))
    if marks(ask.prompt).blocked:
        raise refused(
            "Invalid prompt: your prompt was flagged as violating our usage policy.", code="invalid_prompt"
        )
    return ask


def _tools(value: list[Any]) -> list[Tool]:
    """The functions; tools that OpenAI runs by itself are accepted, and never used here."""
    found = []
    for position, tool in enumerate(tables(value, ("tools",))):
        need(tool, "type", path=("tools", position))
        if tool["type"] == "function":
            need(tool, "name", path=("tools", position))
            found.append(
                Tool(str(tool["name"]), tool.get("parameters") or {"type": "object", "properties": {}})
            )
    return found


def _choose_tool(ask: Ask, choice: Any) -> None:
    if choice in (None, "auto"):
        return
    if choice == "none":
        ask.forbid_tools = True
    elif choice == "required":
        ask.force_tool = "*"
    elif isinstance(choice, str):
        raise Flaw("choice", ("tool_choice",), choice, ("none", "auto", "required"))
    elif table(choice, ("tool_choice",)).get("type") == "allowed_tools":
        allow(ask, [each.get("name") for each in choice.get("tools") or ()], choice.get("mode"))
    else:
        force(ask, choice.get("name"))


def _shape(ask: Ask, wanted: Any) -> None:
    kind = (wanted or {}).get("type", "text")
    if kind not in ("text", "json_object", "json_schema"):
        raise Flaw("choice", ("text", "format", "type"), kind, ("json_object", "json_schema", "text"))
    if kind == "json_object":
        want_json(ask, "input", "text.format")
    elif kind == "json_schema":
        want_schema(ask, wanted, ("text", "format"))
