"""Rows of the Anthropic SDK at ``/v1/messages``."""

import base64
import json
from typing import Any

from tests.conformance.rows import ALONE, HELLO, SCHEMA, Clients, Feature, Seen, user
from tests.sdk.samples import BOTH, CITY, PLACE, PNG, SEEN


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
