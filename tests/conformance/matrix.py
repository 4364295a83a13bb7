"""The conformance matrix: features x vendors x streaming, asked with official SDKs through a real edge.

Each cell is *works*, or says what the caller is told: a warning that names the parameter, or a refusal with its code.
Nothing may be lost in silence. ``python -m tests.conformance.matrix`` writes ``docs/conformance.md``; the test compares.
"""

import asyncio
import base64
import json
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import openai
from fairlead_simulator.testing import running

from tests.sdk.samples import BOTH, CITY, PLACE, PNG, SEEN
from tests.support.edge import ADMIN, RunningEdge, edge_here, spec_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
MODELS = {
    "openai": "openai/gpt-5.4-mini",
    "anthropic": "anthropic/claude-haiku-5-5",
    "google": "google/gemini-3.8-flash",
    "mistral": "mistral/mistral-medium-3-5",
    "cohere": "cohere/command-a-03-2025",
}
ALONE = {"x-fairlead-failover": "off"}
PREAMBLE = """Written by `python -m tests.conformance.matrix` from real calls: official SDKs, a real edge, and simulators
that the vendors' own SDKs accept; `make test` compares. Each cell holds for whole and streamed answers. *told*: the
answer comes without it, and the header `x-fairlead-warnings` names the parameter and why. *refused*: a 400 that says
what the model cannot do; without `x-fairlead-failover: off`, a stand-in that can would answer."""
PICTURE = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@dataclass
class Seen:
    """What the SDK made of one answer, whole or streamed."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """(name, arguments) of each tool call."""
    finish: str | None = None
    usage: Any = None
    reasoning: str = ""
    refusal: str = ""
    logprobs: bool = False
    choices: int = 0
    warnings: str = ""


@dataclass(frozen=True)
class Clients:
    """The official SDKs, pointed at the edge."""

    openai: openai.AsyncOpenAI
    anthropic: anthropic.AsyncAnthropic


Check = Callable[[Seen], bool]


@dataclass(frozen=True)
class Feature:
    """One row: what is asked, and how one sees that it was honoured."""

    name: str
    body: dict[str, Any]
    check: Check
    params: tuple[str, ...] = ()
    """Parameters a warning may name instead; without one, nothing may be missing."""


def user(content: Any) -> dict[str, Any]:
    """A turn of the user."""
    return {"role": "user", "content": content}


HELLO = [user("How do I compare providers?")]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}


def openai_tools() -> list[dict[str, Any]]:
    """Two tools in OpenAI's form."""
    return [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in (("get_weather", CITY), ("find_place", PLACE))
    ]


def openai_features() -> list[Feature]:
    """What the OpenAI SDK can ask of ``/v1/chat/completions``."""
    tools = openai_tools()
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_a1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Oslo","days":2}'},
            }
        ],
    }
    result = {"role": "tool", "tool_call_id": "call_a1", "content": "Rain in Oslo"}
    weather = user("Please call get_weather.")
    return [
        Feature("text", {}, lambda seen: bool(seen.text) and seen.finish == "stop"),
        Feature("usage", {}, lambda seen: seen.usage.prompt_tokens > 0 and seen.usage.completion_tokens > 0),
        Feature(
            "system prompt",
            {"messages": [{"role": "system", "content": "Be brief."}, *HELLO]},
            lambda seen: "Be brief." in seen.text,
        ),
        Feature(
            "several turns",
            {"messages": [*HELLO, {"role": "assistant", "content": "With care."}, user("And then?")]},
            lambda seen: "turn 2" in seen.text,
        ),
        Feature(
            "image, base64",
            {
                "messages": [
                    user(
                        [
                            {"type": "text", "text": "Look"},
                            {"type": "image_url", "image_url": {"url": PICTURE}},
                        ]
                    )
                ]
            },
            lambda seen: SEEN in seen.text,
            ("messages",),
        ),
        Feature(
            "tools",
            {"messages": [weather], "tools": tools},
            lambda seen: [name for name, _ in seen.calls] == ["get_weather"] and seen.finish == "tool_calls",
        ),
        Feature(
            "parallel tool calls",
            {"messages": [user(BOTH)], "tools": tools},
            lambda seen: sorted(name for name, _ in seen.calls) == ["find_place", "get_weather"],
        ),
        Feature(
            "one tool call at most",
            {"messages": [user(BOTH)], "tools": tools, "parallel_tool_calls": False},
            lambda seen: len(seen.calls) == 1,
            ("parallel_tool_calls",),
        ),
        Feature(
            "tool result",
            {"messages": [weather, called, result], "tools": tools},
            lambda seen: "get_weather" in seen.text and "Rain in Oslo" in seen.text,
        ),
        Feature(
            "tool forced",
            {"tools": tools, "tool_choice": {"type": "function", "function": {"name": "find_place"}}},
            lambda seen: [name for name, _ in seen.calls] == ["find_place"],
            ("tool_choice",),
        ),
        Feature(
            "tools forbidden",
            {"messages": [weather], "tools": tools, "tool_choice": "none"},
            lambda seen: not seen.calls and bool(seen.text),
        ),
        Feature(
            "JSON schema",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": SCHEMA, "strict": True},
                }
            },
            lambda seen: isinstance(json.loads(seen.text)["score"], int),
        ),
        Feature(
            "stop",
            {"stop": [" of "]},
            lambda seen: " of " not in seen.text and seen.finish == "stop",
            ("stop",),
        ),
        Feature("max tokens", {"max_completion_tokens": 5}, lambda seen: seen.finish == "length"),
        Feature("temperature", {"temperature": 0.3}, lambda seen: bool(seen.text), ("temperature",)),
        Feature("top_p", {"top_p": 0.5}, lambda seen: bool(seen.text), ("top_p",)),
        Feature("seed", {"seed": 7}, lambda seen: bool(seen.text), ("seed",)),
        Feature(
            "penalties", {"frequency_penalty": 0.5}, lambda seen: bool(seen.text), ("frequency_penalty",)
        ),
        Feature("two answers", {"n": 2}, lambda seen: seen.choices == 2, ("n",)),
        Feature("logprobs", {"logprobs": True}, lambda seen: seen.logprobs, ("logprobs",)),
        Feature(
            "reasoning effort",
            {"reasoning_effort": "high"},
            lambda seen: bool(seen.text),
            ("reasoning_effort",),
        ),
    ]


async def ask_openai(clients: Clients, model: str, body: dict[str, Any], *, stream: bool) -> Seen:
    """One chat with the OpenAI SDK."""
    asked = {"messages": HELLO, **body, "model": model}
    client = clients.openai
    create: Any = client.chat.completions.with_raw_response.create
    if not stream:
        raw = await create(**asked, extra_headers=ALONE)
        found = _whole(raw.parse())
    else:
        options = {"include_usage": True}
        raw = await create(**asked, stream=True, stream_options=options, extra_headers=ALONE)
        found = await _streamed(raw.parse())
    found.warnings = raw.headers.get("x-fairlead-warnings", "")
    return found


def _whole(answer: Any) -> Seen:
    choice = answer.choices[0]
    message = choice.message
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    return Seen(
        text=message.content or "",
        calls=calls,
        finish=choice.finish_reason,
        usage=answer.usage,
        refusal=message.refusal or "",
        logprobs=bool(choice.logprobs and choice.logprobs.content),
        choices=len(answer.choices),
    )


async def _streamed(chunks: Any) -> Seen:
    found, names, arguments, indices = Seen(), dict[int, str](), dict[int, str](), set[int]()
    async for chunk in chunks:
        found.usage = chunk.usage or found.usage
        for choice in chunk.choices:
            indices.add(choice.index)
            if choice.index:
                continue
            found.text += choice.delta.content or ""
            found.refusal += choice.delta.refusal or ""
            found.finish = choice.finish_reason or found.finish
            found.logprobs = found.logprobs or bool(choice.logprobs and choice.logprobs.content)
            for call in choice.delta.tool_calls or ():
                if call.function.name:
                    names[call.index] = call.function.name
                arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    found.calls = [(name, json.loads(arguments[i])) for i, name in sorted(names.items())]
    found.choices = len(indices)
    return found


def anthropic_features() -> list[Feature]:
    """What the Anthropic SDK can ask of ``/v1/messages``."""
    tools = [
        {"name": name, "input_schema": schema}
        for name, schema in (("get_weather", CITY), ("find_place", PLACE))
    ]
    picture = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
    weather = user("Please call get_weather.")
    called = {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo", "days": 2}}
        ],
    }
    result = user([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain in Oslo"}])
    return [
        Feature("text", {}, lambda seen: bool(seen.text) and seen.finish == "end_turn"),
        Feature("usage", {}, lambda seen: seen.usage.input_tokens > 0 and seen.usage.output_tokens > 0),
        Feature("system prompt", {"system": "Be brief."}, lambda seen: "Be brief." in seen.text),
        Feature(
            "several turns",
            {"messages": [*HELLO, {"role": "assistant", "content": "With care."}, user("And then?")]},
            lambda seen: "turn 2" in seen.text,
        ),
        Feature(
            "image, base64",
            {"messages": [user([{"type": "text", "text": "Look"}, {"type": "image", "source": picture}])]},
            lambda seen: SEEN in seen.text,
            ("messages",),
        ),
        Feature(
            "tools",
            {"messages": [weather], "tools": tools},
            lambda seen: [name for name, _ in seen.calls] == ["get_weather"] and seen.finish == "tool_use",
        ),
        Feature(
            "parallel tool calls",
            {"messages": [user(BOTH)], "tools": tools},
            lambda seen: sorted(name for name, _ in seen.calls) == ["find_place", "get_weather"],
        ),
        Feature(
            "tool result",
            {"messages": [weather, called, result], "tools": tools},
            lambda seen: "get_weather" in seen.text and "Rain in Oslo" in seen.text,
        ),
        Feature(
            "tool forced",
            {"tools": tools, "tool_choice": {"type": "tool", "name": "find_place"}},
            lambda seen: [name for name, _ in seen.calls] == ["find_place"],
            ("tool_choice",),
        ),
        Feature(
            "JSON schema",
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            lambda seen: isinstance(json.loads(seen.text)["score"], int),
        ),
        Feature(
            "stop",
            {"stop_sequences": [" of "]},
            lambda seen: " of " not in seen.text,
            ("stop", "stop_sequences"),
        ),
        Feature("max tokens", {"max_tokens": 5}, lambda seen: seen.finish == "max_tokens"),
    ]


async def ask_anthropic(clients: Clients, model: str, body: dict[str, Any], *, stream: bool) -> Seen:
    """One message with the Anthropic SDK."""
    asked = {"messages": HELLO, "max_tokens": 500, **body, "model": model}
    client = clients.anthropic
    if not stream:
        create: Any = client.messages.with_raw_response.create
        raw = await create(**asked, extra_headers=ALONE)
        message, warnings = await raw.parse(), raw.headers.get("x-fairlead-warnings", "")
    else:
        streaming: Any = client.messages.stream
        async with streaming(**asked, extra_headers=ALONE) as events:
            message = await events.get_final_message()
            warnings = events.response.headers.get("x-fairlead-warnings", "")
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return Seen(text, calls, message.stop_reason, message.usage, choices=1, warnings=warnings)


def responses_features() -> list[Feature]:
    """What the OpenAI SDK can ask of ``/v1/responses`` (the stateless part)."""
    tools = [
        {"type": "function", "name": name, "parameters": schema, "strict": True}
        for name, schema in (("get_weather", CITY), ("find_place", PLACE))
    ]
    called = {
        "type": "function_call",
        "call_id": "call_a1",
        "name": "get_weather",
        "arguments": '{"city":"Oslo","days":2}',
    }
    result = {"type": "function_call_output", "call_id": "call_a1", "output": "Rain in Oslo"}
    weather = user("Please call get_weather.")
    shape = {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}}
    return [
        Feature("text", {}, lambda seen: bool(seen.text) and seen.finish == "completed"),
        Feature("usage", {}, lambda seen: seen.usage.input_tokens > 0 and seen.usage.output_tokens > 0),
        Feature("instructions", {"instructions": "Be brief."}, lambda seen: "Be brief." in seen.text),
        Feature(
            "several turns",
            {"input": [*HELLO, {"role": "assistant", "content": "With care."}, user("And then?")]},
            lambda seen: "turn 2" in seen.text,
        ),
        Feature(
            "image, base64",
            {
                "input": [
                    user(
                        [
                            {"type": "input_text", "text": "Look"},
                            {"type": "input_image", "image_url": PICTURE},
                        ]
                    )
                ]
            },
            lambda seen: SEEN in seen.text,
            ("input",),
        ),
        Feature(
            "tools",
            {"input": [weather], "tools": tools},
            lambda seen: [name for name, _ in seen.calls] == ["get_weather"],
        ),
        Feature(
            "tool result",
            {"input": [weather, called, result], "tools": tools},
            lambda seen: "get_weather" in seen.text and "Rain in Oslo" in seen.text,
        ),
        Feature(
            "tool forced",
            {"tools": tools, "tool_choice": {"type": "function", "name": "find_place"}},
            lambda seen: [name for name, _ in seen.calls] == ["find_place"],
            ("tool_choice",),
        ),
        Feature("JSON schema", {"text": shape}, lambda seen: isinstance(json.loads(seen.text)["score"], int)),
        Feature("max tokens", {"max_output_tokens": 16}, lambda seen: seen.finish == "incomplete"),
        Feature("temperature", {"temperature": 0.3}, lambda seen: bool(seen.text), ("temperature",)),
        Feature("top_p", {"top_p": 0.5}, lambda seen: bool(seen.text), ("top_p",)),
    ]


async def ask_responses(clients: Clients, model: str, body: dict[str, Any], *, stream: bool) -> Seen:
    """One response with the OpenAI SDK."""
    asked = {"input": HELLO, "store": False, **body, "model": model}
    client = clients.openai
    create: Any = client.responses.with_raw_response.create
    raw = await create(**asked, stream=stream, extra_headers=ALONE)
    answer: Any = raw.parse()
    if stream:
        last: Any = None
        async for event in answer:
            last = event
        answer = last.response  # a stream ends with the whole response
    calls = [
        (item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"
    ]
    warnings = raw.headers.get("x-fairlead-warnings", "")
    return Seen(answer.output_text, calls, answer.status, answer.usage, choices=1, warnings=warnings)


Ask = Callable[..., Awaitable[Seen]]
CALLERS: dict[str, tuple[Ask, Callable[[], list[Feature]]]] = {
    "OpenAI SDK, /v1/chat/completions": (ask_openai, openai_features),
    "OpenAI SDK, /v1/responses": (ask_responses, responses_features),
    "Anthropic SDK, /v1/messages": (ask_anthropic, anthropic_features),
}


async def cell(clients: Clients, ask: Ask, feature: Feature, model: str, *, stream: bool) -> str:
    """works, ``told: ...``, ``refused: ...``, or ``LOST: ...`` when something is missing and nobody said so."""
    try:
        seen = await ask(clients, model, feature.body, stream=stream)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        reason = re.search(r"lacks [a-z_, ]+|: unsupported", error.message)
        return f"refused ({reason[0]})" if error.status_code == 400 and reason else f"LOST: {error}"
    named = [param for param in feature.params if param in seen.warnings]
    if named:
        return f"told ({named[0]})"
    if not feature.check(seen):
        return f"LOST: {seen}"
    return "works" if not seen.warnings else f"LOST: an unexpected warning: {seen.warnings}"


@asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[RunningEdge]:
    """An edge in front of all five vendors."""
    async with AsyncExitStack() as stack:
        simulators = [await stack.enter_async_context(running(vendor)) for vendor in MODELS]
        yield await stack.enter_async_context(edge_here(folder, tuple(spec_of(each) for each in simulators)))


async def matrix(edge: RunningEdge, caller: str) -> dict[tuple[str, str], str]:
    """(feature, vendor) to what became of it, whole and streamed."""
    ask, features = CALLERS[caller]
    found = {}
    async with (
        openai.AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=ADMIN, max_retries=0) as one,
        anthropic.AsyncAnthropic(base_url=edge.url, api_key=ADMIN, max_retries=0) as other,
    ):
        clients = Clients(one, other)
        for feature in features():
            for vendor, model in MODELS.items():
                whole = await cell(clients, ask, feature, model, stream=False)
                streamed = await cell(clients, ask, feature, model, stream=True)
                found[feature.name, vendor] = whole if whole == streamed else f"{whole}; streamed: {streamed}"
    return found


def rendered(tables: dict[str, dict[tuple[str, str], str]]) -> str:
    """The document."""
    lines = ["# What survives the translation", "", PREAMBLE]
    for caller, table in tables.items():
        lines += [
            "",
            f"## {caller}",
            "",
            f"| feature | {' | '.join(MODELS)} |",
            "|---|" + "---|" * len(MODELS),
        ]
        for name in dict.fromkeys(name for name, _ in table):
            lines.append(f"| {name} | {' | '.join(table[name, vendor] for vendor in MODELS)} |")
    return "\n".join(lines) + "\n"


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with everything(Path(folder)) as edge:
            tables = {caller: await matrix(edge, caller) for caller in CALLERS}
    DOCUMENT.write_text(rendered(tables), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
