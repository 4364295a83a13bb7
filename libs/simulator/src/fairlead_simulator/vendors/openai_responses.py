"""OpenAI's Responses API, without stored state: requests, answers, and the events of a stream."""

from base64 import b64encode
from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice
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
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors import openai_models
from fairlead_simulator.vendors.messages import MessageReader, arguments_of, unanswered, uncalled
from fairlead_simulator.vendors.openai_chat import (
    CACHED_FROM,
    allow,
    check_size,
    check_tools,
    force,
    logprobs_of,
    refused,
    want_json,
    want_schema,
)
from fairlead_simulator.vendors.vendor import SSE, Chat, Frames, dumps, event, image_of

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
ENCRYPTED = "reasoning.encrypted_content"
ECHOED = (
    "instructions max_output_tokens max_tool_calls metadata prompt_cache_key safety_identifier store temperature top_p"
    " truncation user service_tier top_logprobs"
).split()


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
    model = openai_models.found(body["model"])
    if previous := body.get("previous_response_id"):
        message = f"Previous response with id '{previous}' not found."
        raise refused(message, "previous_response_id", "previous_response_not_found")
    for name in ("background", "conversation", "prompt"):
        if body.get(name):
            raise refused(f"'{name}' needs stored state, which this simulator does not keep.", name)
    reasoning = body.get("reasoning") or {}
    check(reasoning, REASONING, ("reasoning",))
    thinks = openai_models.thinking(model, reasoning.get("effort"), "reasoning.effort")
    openai_models.check_sampling(model, body, thinks)
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


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


class ResponsesWriter:
    """Writes ``response`` objects and their events."""

    media = SSE

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        return dumps(self._finished(ask, answer))

    def _finished(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(answer.first.finish)
        return {
            **self._head(ask, answer),
            "status": "incomplete" if reason else "completed",
            "completed_at": None if reason else answer.made_at,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": self._items(ask, answer),
            "usage": usage_of(answer.usage),
        }

    def _head(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        reasoning = self._body.get("reasoning") or {}
        head = {
            "id": f"resp_{answer.id}",
            "object": "response",
            "created_at": answer.made_at,
            "status": "in_progress",
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": ask.model,
            "output": [],
            "parallel_tool_calls": ask.parallel,
            "previous_response_id": None,
            "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
            "text": {"format": {"type": "text"}, "verbosity": "medium", **(self._body.get("text") or {})},
            "tool_choice": self._body.get("tool_choice") or "auto",
            "tools": [_with_strict(tool) for tool in self._body.get("tools") or ()],
            "usage": None,
        }
        given = {name: self._body.get(name) for name in ECHOED}
        given["metadata"] = given["metadata"] or {}
        given["truncation"] = given["truncation"] or "disabled"
        given["service_tier"] = "default"
        given["store"] = given["store"] is not False
        given["temperature"] = 1.0 if given["temperature"] is None else given["temperature"]
        given["top_p"] = 1.0 if given["top_p"] is None else given["top_p"]
        given["top_logprobs"] = given["top_logprobs"] or 0
        return {**head, **given}

    def _items(self, ask: Ask, answer: Answer) -> list[dict[str, Any]]:
        """The output items, finished."""
        choice = answer.first
        found: list[dict[str, Any]] = []
        if ask.thinking is not None:
            found.append(self._reasoning(ask, answer))
        if choice.calls:
            found += [_call_item(call, answer.id) for call in choice.calls]
        elif choice.text or choice.finish != "length":
            found.append(_message_item(ask, answer))
        return found

    def _reasoning(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        shown = ask.thinking is not None and ask.thinking.shown
        summary = [{"type": "summary_text", "text": answer.first.reasoning}] if shown else []
        item: dict[str, Any] = {"id": f"rs_{answer.id}", "type": "reasoning", "summary": summary}
        if ENCRYPTED in (self._body.get("include") or ()):
            item["encrypted_content"] = b64encode(answer.first.reasoning.encode()).decode()
        return item

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        events = _Events()
        head = self._head(ask, answer)
        events.add("response.created", response=head)
        events.add("response.in_progress", response=head)
        begin = events.taken()
        for index, item in enumerate(self._items(ask, answer)):
            events.item(index, item, answer.first, ask)
        found = events.taken()
        done = self._finished(ask, answer)
        events.add(f"response.{done['status']}", response=done)
        return Frames(begin, found, events.taken())

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        message = "The server had an error while processing your request. Sorry about that!"
        found = {
            "type": "error",
            "code": "server_error",
            "message": message,
            "param": None,
            "sequence_number": 99,
        }
        return event("error", found)

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``."""
        return event("response.simulated", {"type": "response.simulated", "sequence_number": 0})


def _with_strict(tool: dict[str, Any]) -> dict[str, Any]:
    return (
        {"strict": True, "parameters": {}, "description": None, **tool}
        if tool.get("type") == "function"
        else tool
    )


def _call_item(call: Call, answer_id: str) -> dict[str, Any]:
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{call.id}",
        "name": call.name,
        "arguments": call.text,
    }


def _message_item(ask: Ask, answer: Answer) -> dict[str, Any]:
    choice = answer.first
    if choice.finish == "refusal":
        part: dict[str, Any] = {"type": "refusal", "refusal": choice.text}
    else:
        listed = [] if ask.logprobs is None else logprobs_of(choice.text, ask.logprobs)
        part = {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": listed}
    status = "incomplete" if choice.finish in ("length", "filter") else "completed"
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


class _Events:
    """Numbers the events, and puts those without a token into the frame of the token beside them."""

    def __init__(self) -> None:
        self._number = 0
        self._frames: list[bytes] = []
        self._open = b""

    def add(self, kind: str, *, token: bool = False, **fields: Any) -> None:
        """One event; ``token`` ends the frame."""
        self._open += event(kind, {"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        if token:
            self._frames.append(self._open)
            self._open = b""

    def taken(self) -> list[bytes]:
        """The frames so far; begins anew, and goes on counting."""
        found = self._frames
        if self._open:
            found = [*found, self._open]
        self._frames, self._open = [], b""
        return found

    def item(self, index: int, item: dict[str, Any], choice: Choice, ask: Ask) -> None:
        """All events of one output item."""
        place = {"item_id": item["id"], "output_index": index}
        empty: dict[str, dict[str, Any]] = {
            "message": {"content": []},
            "function_call": {"arguments": ""},
            "reasoning": {"summary": []},
        }
        started = {**item, **empty[item["type"]]}
        if item["type"] != "reasoning":
            started["status"] = "in_progress"
        self.add("response.output_item.added", output_index=index, item=started)
        if item["type"] == "message":
            self._message(place, item["content"][0], choice, ask)
        elif item["type"] == "function_call":
            for piece in tokens.slices(item["arguments"]):
                self.add("response.function_call_arguments.delta", token=True, **place, delta=piece)
            done = {"arguments": item["arguments"], "name": item["name"]}
            self.add("response.function_call_arguments.done", **place, **done)
        else:
            self._reasoning(place, item["summary"])
        self.add("response.output_item.done", output_index=index, item=item)

    def _message(self, place: dict[str, Any], part: dict[str, Any], choice: Choice, ask: Ask) -> None:
        field = "refusal" if part["type"] == "refusal" else "text"
        name = "refusal" if field == "refusal" else "output_text"
        started = {**part, field: "", **({"logprobs": []} if field == "text" else {})}
        self.add("response.content_part.added", **place, content_index=0, part=started)
        for piece in choice.pieces:
            listed = [] if ask.logprobs is None else logprobs_of(piece, ask.logprobs)
            more: dict[str, Any] = {"logprobs": listed} if field == "text" else {}
            self.add(f"response.{name}.delta", token=True, **place, content_index=0, delta=piece, **more)
        more = {"logprobs": part["logprobs"]} if field == "text" else {}
        self.add(f"response.{name}.done", **place, content_index=0, **{field: part[field]}, **more)
        self.add("response.content_part.done", **place, content_index=0, part=part)

    def _reasoning(self, place: dict[str, Any], summary: list[dict[str, Any]]) -> None:
        for index, part in enumerate(summary):
            where = {**place, "summary_index": index}
            self.add("response.reasoning_summary_part.added", **where, part={**part, "text": ""})
            for piece in tokens.pieces(part["text"]):
                self.add("response.reasoning_summary_text.delta", token=True, **where, delta=piece)
            self.add("response.reasoning_summary_text.done", **where, text=part["text"])
            self.add("response.reasoning_summary_part.done", **where, part=part)
