"""What survives a translation: unified, to a vendor's body, and back through the reader of the vendor's simulator.

Everything the model reads must arrive: each text, image, call and result in its place, and every setting that no warning
names. The exceptions are written out below; there are no others.
"""

import json
from typing import Any

import pytest
from fairlead_models.inbound import anthropic_messages, openai_chat, openai_responses
from fairlead_models.providers import WIRES
from fairlead_models.unified import ChatRequest, Format, ImagePart, Message, TextPart, Thought
from fairlead_models.wires.protocol import EncodedRequest
from fairlead_models.wires.responses.wire import ResponsesWire
from fairlead_simulator.ask import Ask, Call, Image, Result
from fairlead_simulator.server import Request
from fairlead_simulator.simulator import VENDORS
from fairlead_simulator.vendors.vendor import Chat
from hypothesis import given, settings

from libs.models.tests.wires.conversations import conversations, requests, thoughts

MODELS = {
    "openai": ("openai-native", "gpt-4.1-mini"),
    "responses": ("openai-native", "gpt-5.6"),
    "anthropic": ("anthropic", "claude-haiku-5-5"),
    "google": ("google", "gemini-3.8-flash"),
    "mistral": ("mistral", "mistral-medium-3-5"),
    "cohere": ("cohere", "command-a-03-2025"),
}
KEYS = {
    "authorization": "Bearer sk",
    "x-api-key": "sk",
    "x-goog-api-key": "sk",
    "content-type": "application/json",
}


def read_by_vendor(name: str, encoded: EncodedRequest) -> Ask:
    """What the vendor's simulator understands of a request."""
    path, _, query = encoded.path.partition("?")
    vendor = VENDORS["openai" if name == "responses" else name]()
    found = vendor.read(Request("POST", path, query, {**KEYS, **encoded.headers}, encoded.body))
    assert isinstance(found, Chat)
    return found.ask


Line = tuple[Any, ...]


def lines_of(messages: list[Message], *, flagged: bool) -> list[Line]:
    """What the model is to read. ``flagged``: the wire can mark a result as failed; else its text says so."""
    found: list[Line] = []
    for message in messages:
        if message.role == "tool":
            text = message.text()
            if message.is_error and not flagged:
                text = f"Error: {text}"
            found.append(("result", text, message.is_error and flagged))
            continue
        for part in message.parts():
            if isinstance(part, TextPart):
                found.append((message.role, part.text))
            elif isinstance(part, ImagePart):
                found.append(("image", part.url or len(part.data or "") * 3 // 4))
        found += [("call", call.name, json.loads(call.arguments)) for call in message.tool_calls]
    return found


def lines_read(ask: Ask) -> list[Line]:
    """What the simulated model reads."""
    found: list[Line] = [("system", text) for text in ask.system.split("\n") if text]
    for turn in ask.turns:
        for part in turn.parts:
            if isinstance(part, Image):
                found.append(("image", part.url or -(-len(part.data or b"") // 3) * 3))
            elif isinstance(part, Call):
                found.append(("call", part.name, part.arguments))
            elif isinstance(part, Result):
                found.append(("result", part.text, part.failed))
            elif part:
                found.append(("user" if turn.role == "tool" else turn.role, part))
    return found


FLAGGED = {"anthropic", "google"}
"""Wires that can mark the result of a failed call; Gemini's mark is the key ``error`` of the result."""


def expected(name: str, request: ChatRequest) -> list[Line]:
    """What must arrive at this vendor."""
    found = lines_of(request.messages, flagged=name in FLAGGED)
    if name == "google":
        found = [
            ("result", _google(line[1], failed=line[2]), line[2]) if line[0] == "result" else line
            for line in found
        ]
    return found


def _google(text: str, *, failed: bool) -> str:
    """Results are objects there: a text is wrapped, and a failure has its own key."""
    return json.dumps({"error" if failed else "result": text}, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=150, deadline=None)
@given(data=requests())
def test_everything_arrives_at_every_vendor(name: str, data: ChatRequest) -> None:
    wire, model = MODELS[name]
    if name == "cohere":  # its models with tools have no eyes
        for message in data.messages:
            if isinstance(message.content, list):
                message.content = [part for part in message.content if isinstance(part, TextPart)]
    if name == "responses":
        data.reasoning_effort = "low"
    encoded = WIRES[wire].encode(data, model, stream=False)
    ask = read_by_vendor(name, encoded)
    read = [line for line in lines_read(ask) if name != "mistral" or line != ("assistant", "OK")]
    assert read == expected(name, data)
    told = {warning.param for warning in encoded.warnings}
    assert [(tool.name, tool.schema) for tool in ask.tools] == _tools(name, data)
    assert ask.force_tool == _forced(name, data)
    assert ask.max_tokens == data.max_output_tokens or (
        name == "anthropic" and data.max_output_tokens is None
    )
    assert (ask.schema is not None) == (data.response_format is not None)
    assert ask.stop == data.stop or "stop" in told
    assert ask.seed == data.seed or "seed" in told
    for key in ("temperature", "top_p"):
        value = getattr(data, key)  # at its default of 1, leaving it out changes nothing
        assert value in (None, 1) or key in told or _sampled(encoded, key, value)


ONLY_THE_NAMED = ("cohere", "google")
"""Where one tool is forced by allowing no other."""


def _tools(name: str, request: ChatRequest) -> list[tuple[str, Any]]:
    choice = request.tool_choice
    named = choice.name if choice is not None and name in ONLY_THE_NAMED else None
    return [(tool.name, tool.parameters) for tool in request.tools if named in (None, tool.name)]


def _forced(name: str, request: ChatRequest) -> str | None:
    choice = request.tool_choice
    if choice is None or choice.mode == "auto":
        return None
    return "*" if choice.mode == "required" or name in ONLY_THE_NAMED else choice.name


def _sampled(encoded: EncodedRequest, key: str, value: float) -> bool:
    body = json.loads(encoded.body)
    held = {**body, **body.get("generationConfig", {})}
    names = {"temperature": ("temperature",), "top_p": ("top_p", "topP", "p")}[key]
    return any(held.get(each) == value for each in names)


@settings(max_examples=200, deadline=None)
@given(data=requests())
def test_a_chat_body_is_read_back_as_it_was(data: ChatRequest) -> None:
    found = openai_chat.parse(WIRES["openai-native"].encode(data, "gpt-4.1-mini", stream=False).body)
    assert found.messages == [_without_flag(message) for message in data.messages]
    _same_settings(found, data)
    assert (found.seed, found.stop, found.temperature, found.top_p) == (
        data.seed,
        data.stop,
        data.temperature,
        data.top_p,
    )


@settings(max_examples=200, deadline=None)
@given(data=requests())
def test_a_responses_body_is_read_back_as_it_was(data: ChatRequest) -> None:
    found = openai_responses.parse(ResponsesWire().encode(data, "gpt-5.4", stream=False).body)
    assert lines_of(found.messages, flagged=False) == lines_of(data.messages, flagged=False)
    _same_settings(found, data)


@settings(max_examples=200, deadline=None)
@given(data=requests())
def test_a_messages_body_is_read_back_as_it_was(data: ChatRequest) -> None:
    found = anthropic_messages.parse(WIRES["anthropic"].encode(data, "claude-haiku-4-5", stream=False).body)
    system = "\n\n".join(message.text() for message in data.messages if message.role == "system")
    assert "".join(m.text() for m in found.messages if m.role == "system") == system
    rest = [message for message in data.messages if message.role != "system"]
    assert lines_of([m for m in found.messages if m.role != "system"], flagged=True) == lines_of(
        rest, flagged=True
    )
    if data.max_output_tokens is None:
        found.max_output_tokens = None
    if data.response_format is not None and found.response_format is not None:
        data.response_format.name = None  # there is no place for it
    _same_settings(found, data)


def _without_flag(message: Message) -> Message:
    if message.role == "tool" and message.is_error:
        return Message("tool", f"Error: {message.text()}", tool_call_id=message.tool_call_id)
    return message


def _same_settings(found: ChatRequest, wanted: ChatRequest) -> None:
    described = [(tool.name, tool.description, tool.parameters) for tool in wanted.tools]
    assert [(tool.name, tool.description, tool.parameters) for tool in found.tools] == described
    assert found.tool_choice == wanted.tool_choice
    assert found.response_format == wanted.response_format
    assert found.max_output_tokens == wanted.max_output_tokens


@settings(max_examples=100, deadline=None)
@given(data=conversations(pictures=False), thought=thoughts)
def test_seals_reach_their_own_vendor_and_no_other(data: list[Message], thought: Thought) -> None:
    turn = next((message for message in data if message.role == "assistant"), None)
    if turn is None:
        return
    turn.thoughts = [thought]
    thought.call_id = turn.tool_calls[0].id if turn.tool_calls and thought.wire == "google" else None
    bodies = {
        "anthropic": WIRES["anthropic"].encode(ChatRequest("m", data), "claude-haiku-5-5", stream=False),
        "google": WIRES["google"].encode(ChatRequest("m", data), "gemini-3.8-flash", stream=False),
        "openai": ResponsesWire().encode(ChatRequest("m", data), "gpt-5.6", stream=False),
        "openrouter": WIRES["openrouter"].encode(ChatRequest("m", data), "any", stream=False),
        "mistral": WIRES["mistral"].encode(ChatRequest("m", data), "mistral-medium-3-5", stream=False),
    }
    for name, encoded in bodies.items():
        own = name == thought.wire
        assert (str(thought.seal).encode() in encoded.body) is own, name
        assert any(each.param == "messages" and each.note for each in encoded.warnings) is not own, name


@pytest.mark.parametrize("form", ["chat", "messages", "responses"])
def test_what_came_in_a_target_s_own_format_passes_through(form: str) -> None:
    """Fields that nobody here knows reach a target of the same wire, and are told to callers of any other."""
    hi = {"role": "user", "content": "Hi"}
    cases: dict[str, tuple[Any, dict[str, Any], str, str]] = {
        "chat": (
            openai_chat,
            {"model": "m", "messages": [hi], "new_switch": {"a": 1}},
            "openai-native",
            "gpt-5.6",
        ),
        "messages": (
            anthropic_messages,
            {"model": "m", "max_tokens": 9, "messages": [hi], "new_switch": {"a": 1}},
            "anthropic",
            "claude-haiku-5-5",
        ),
        "responses": (
            openai_responses,
            {"model": "m", "input": [hi], "new_switch": {"a": 1}},
            "openai-native",
            "gpt-5.6",
        ),
    }
    module, body, wire, model = cases[form]
    request: ChatRequest = module.parse(json.dumps(body).encode())
    assert request.raw_format in Format
    through = WIRES[wire].encode(request, model, stream=False)
    assert json.loads(through.body)["new_switch"] == {"a": 1}
    assert not through.warnings
    elsewhere = WIRES["google"].encode(request, "gemini-3.8-flash", stream=False)
    assert [each.param for each in elsewhere.warnings] == ["new_switch"]
