"""Arbitrary conversations and settings in the unified form, for the tests of what survives a translation."""

import base64
import json
from typing import Any

from fairlead_models.unified import (
    ChatRequest,
    ImagePart,
    Message,
    Part,
    ResponseFormat,
    TextPart,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)
from hypothesis import strategies as st

# a picture that any reader can look at: one pixel, with a comment that makes each of them another
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

letters = st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"])
texts = st.text(letters, min_size=1, max_size=20).map(lambda text: f"t{text}")
names = st.sampled_from(["get_weather", "get_time", "look_up"])
arguments = st.dictionaries(st.sampled_from(["city", "at"]), st.one_of(texts, st.integers(0, 99)), max_size=2)


@st.composite
def images(draw: st.DrawFn) -> ImagePart:
    """A picture, by address or as data."""
    if draw(st.booleans()):
        return ImagePart(url=f"https://x.test/{draw(st.integers(0, 99))}.png")
    return ImagePart(data=base64.b64encode(PNG).decode(), media_type="image/png")


@st.composite
def users(draw: st.DrawFn, *, pictures: bool) -> Message:
    """What a user says."""
    if not pictures or draw(st.booleans()):
        return Message("user", draw(texts))
    parts: list[Part] = [TextPart(draw(texts)), *draw(st.lists(images(), max_size=2))]
    return Message("user", parts)


@st.composite
def exchanges(draw: st.DrawFn, number: int) -> list[Message]:
    """What the model says, and what the tools that it calls give back."""
    calls = [
        ToolCall(f"call_{number}_{i}_{draw(st.integers(0, 9))}", draw(names), _json(draw(arguments)))
        for i in range(draw(st.integers(0, 2)))
    ]
    text = draw(st.one_of(st.none(), texts)) if calls else draw(texts)
    results = [
        Message("tool", draw(texts), tool_call_id=call.id, is_error=draw(st.booleans())) for call in calls
    ]
    return [Message("assistant", text, tool_calls=calls), *results]


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@st.composite
def conversations(draw: st.DrawFn, *, pictures: bool = True) -> list[Message]:
    """A whole conversation, whose last turn is the user's or a tool's."""
    found = [Message("system", text) for text in draw(st.lists(texts, max_size=2))]
    found.append(draw(users(pictures=pictures)))
    for number in range(draw(st.integers(0, 3))):
        found += draw(exchanges(number))
        if found[-1].role != "tool" or draw(st.booleans()):
            found.append(draw(users(pictures=pictures)))
    return found


@st.composite
def requests(draw: st.DrawFn, *, pictures: bool = True) -> ChatRequest:
    """A conversation with settings that every vendor has in some form."""
    found = ChatRequest("any", draw(conversations(pictures=pictures)))
    called = any(message.tool_calls for message in found.messages)
    if called or draw(st.booleans()):
        found.tools = [Tool(name, draw(texts), SCHEMA) for name in ("get_weather", "get_time", "look_up")]
        found.tool_choice = draw(
            st.sampled_from(
                [None, ToolChoice("auto"), ToolChoice("required"), ToolChoice("function", "get_time")]
            )
        )
    elif draw(st.booleans()):
        found.response_format = ResponseFormat("json_schema", "w", SCHEMA, strict=True)
    found.max_output_tokens = draw(st.one_of(st.none(), st.integers(64, 4000)))
    found.stop = draw(st.lists(texts, max_size=2, unique=True))
    found.seed = draw(st.one_of(st.none(), st.integers(0, 1000)))
    found.temperature = draw(st.one_of(st.none(), st.floats(0, 1).map(lambda number: round(number, 2))))
    found.top_p = draw(st.one_of(st.none(), st.floats(0.1, 0.9).map(lambda number: round(number, 2))))
    return found


thoughts = st.builds(
    Thought,
    st.one_of(st.none(), texts),
    st.sampled_from(["c2VhbA==", "c2lnbg=="]),
    st.sampled_from(["anthropic", "google", "openai", "openrouter"]),
    st.one_of(st.none(), st.just("rs_1")),
    st.one_of(st.none(), st.just("call_1")),
)
