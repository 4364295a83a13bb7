"""Rows of the OpenAI SDK at ``/v1/chat/completions``."""

import json
from typing import Any

from tests.conformance.rows import ALONE, HELLO, PICTURE, SCHEMA, Clients, Feature, Seen, user
from tests.sdk.samples import BOTH, CITY, PLACE, SEEN


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
