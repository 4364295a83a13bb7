"""Conversations as lists of messages with roles, the form of OpenAI that Mistral and Cohere share."""

from collections.abc import Sequence
from typing import Any

import orjson

from fairlead_simulator.ask import Call, Part, Result, Tool, Turn
from fairlead_simulator.checks import Flaw, Path, check_value, need, one_of, several, table, tables
from fairlead_simulator.vendors.vendor import image_of


class MessageReader:
    """Turns a list of messages into a system prompt and turns. A vendor overrides what it does differently."""

    roles: tuple[str, ...] = ("developer", "system", "user", "assistant", "tool")
    part_types: tuple[str, ...] = ("text", "image_url", "refusal")

    def read(self, messages: Any, path: Path = ("messages",)) -> tuple[str, list[Turn]]:
        """The system prompt (several are joined by a line break) and the turns. Raises Flaw."""
        check_value(messages, several(low=1), path)
        system: list[str] = []
        turns: list[Turn] = []
        names: dict[str, str] = {}
        for position, message in enumerate(tables(messages, path)):
            place = (*path, position)
            need(message, "role", path=place)
            role = message["role"]
            check_value(role, one_of(*self.roles), (*place, "role"))
            if role in ("system", "developer"):
                system.append(self._text(message, place))
                continue
            turn = self._result(message, names, place) if role == "tool" else self._spoken(message, place)
            names |= {call.id: call.name for call in turn.calls}
            turns.append(turn)
        return "\n".join(system), turns

    def _text(self, message: dict[str, Any], path: Path) -> str:
        need(message, "content", path=path)
        return Turn("system", self.content(message["content"], (*path, "content"))).text

    def _spoken(self, message: dict[str, Any], path: Path) -> Turn:
        if message["role"] == "user":
            need(message, "content", path=path)
        content = message.get("content")
        parts = [] if content is None else self.content(content, (*path, "content"))
        parts += self.calls(message, path)
        return Turn(message["role"], parts)

    def _result(self, message: dict[str, Any], names: dict[str, str], path: Path) -> Turn:
        need(message, "tool_call_id", "content", path=path)
        call_id = message["tool_call_id"]
        text = Turn("tool", self.content(message["content"], (*path, "content"))).text
        return Turn("tool", [Result(call_id, message.get("name") or names.get(call_id, ""), text)])

    def content(self, content: Any, path: Path) -> list[Part]:
        """A text, or a list of parts."""
        if isinstance(content, str):
            return [content]
        return [self.part(part, (*path, position)) for position, part in enumerate(tables(content, path))]

    def part(self, part: dict[str, Any], path: Path) -> Part:
        """One part of a content list."""
        need(part, "type", path=path)
        kind = part["type"]
        check_value(kind, one_of(*self.part_types), (*path, "type"))
        if kind == "image_url":
            need(part, "image_url", path=path)
            return image_of(self.url(part["image_url"], (*path, "image_url")), (*path, "image_url"))
        need(part, kind, path=path)
        return str(part[kind])

    def url(self, value: Any, path: Path) -> str:
        """The address in an ``image_url``: an object with ``url``."""
        need(table(value, path), "url", path=path)
        return str(value["url"])

    def calls(self, message: dict[str, Any], path: Path) -> list[Call]:
        """The calls an assistant made."""
        found = []
        for position, call in enumerate(tables(message.get("tool_calls") or [], (*path, "tool_calls"))):
            place = (*path, "tool_calls", position)
            need(call, "id", "function", path=place)
            function = table(call["function"], (*place, "function"))
            need(function, "name", "arguments", path=(*place, "function"))
            found.append(Call(str(call["id"]), str(function["name"]), arguments_of(function["arguments"])))
        return found


def arguments_of(value: Any) -> dict[str, Any]:
    """Arguments as an object; a text that is none is kept under ``_text``."""
    try:
        found = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {"_text": value}


def tools_of(tools: Any, path: Path = ("tools",)) -> list[Tool]:
    """Tools of the form ``{"type": "function", "function": {"name", "parameters"}}``. Raises Flaw."""
    found = []
    for position, tool in enumerate(tables(tools or [], path)):
        place = (*path, position)
        need(tool, "function", path=place)
        function = table(tool["function"], (*place, "function"))
        need(function, "name", path=(*place, "function"))
        found.append(
            Tool(str(function["name"]), function.get("parameters") or {"type": "object", "properties": {}})
        )
    return found


def unanswered(turns: Sequence[Turn]) -> tuple[int, list[str]] | None:
    """Position of the turn after which the results of some calls are missing, and the ids of those calls; or None."""
    for position, turn in enumerate(turns):
        wanted = {call.id for call in turn.calls}
        for after in turns[position + 1 :]:
            if after.role != "tool":
                break
            wanted -= {result.call_id for result in after.results}
        if wanted:
            return position, sorted(wanted)
    return None


def uncalled(turns: Sequence[Turn]) -> int | None:
    """Position of a tool's result that answers no call of the turns right before it, or None."""
    called: set[str] = set()
    for position, turn in enumerate(turns):
        if turn.role != "tool":
            called = {call.id for call in turn.calls}
        elif any(result.call_id not in called for result in turn.results):
            return position
    return None


def texts(value: Any, path: Path, most: int) -> list[str]:
    """A text or a list of at most ``most`` texts, as stop sequences are given. Raises Flaw."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    check_value(value, several(most), path)
    if not all(isinstance(each, str) for each in value):
        raise Flaw("type", path, value, one_of())
    return list(value)
