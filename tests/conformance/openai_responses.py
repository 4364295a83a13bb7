"""Rows of the OpenAI SDK at ``/v1/responses``."""

import json
from typing import Any

from tests.conformance.rows import ALONE, HELLO, PICTURE, SCHEMA, Clients, Feature, Seen, user
from tests.sdk.samples import CITY, PLACE, SEEN


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
