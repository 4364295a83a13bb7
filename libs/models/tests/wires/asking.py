"""Requests that use one feature each, for the tests of the wires."""

import json
from typing import Any

from fairlead_models.inbound import anthropic_messages, openai_chat, openai_responses
from fairlead_models.unified import ChatRequest

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of the coming days",
        "parameters": SCHEMA,
        "strict": True,
    },
}
TIME = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}
HI: dict[str, Any] = {"role": "user", "content": "Hi"}


def call(identity: str, name: str = "get_weather") -> dict[str, Any]:
    """A tool call in the history."""
    arguments = '{"city":"Oslo","days":2}' if name == "get_weather" else "{}"
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


HISTORY: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How is the weather in Oslo?"},
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [call("call_a"), call("call_b", "get_time")],
    },
    {"role": "tool", "tool_call_id": "call_a", "content": '{"temperature": 3}'},
    {"role": "tool", "tool_call_id": "call_b", "content": "noon"},
    {"role": "assistant", "content": "Three degrees at noon."},
    {"role": "user", "content": "And tomorrow?"},
]

FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "system": {"messages": [{"role": "system", "content": "Be brief."}, HI]},
    "developer": {"messages": [{"role": "developer", "content": "Be brief."}, HI]},
    "turns": {
        "messages": [HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Why?"}]
    },
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
    "image_url": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://x.test/y.png"}},
                ],
            }
        ]
    },
    "image_data": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
                    },
                ],
            }
        ]
    },
    "tools": {"tools": [WEATHER, TIME]},
    "tools_auto": {"tools": [WEATHER], "tool_choice": "auto"},
    "tools_none": {"tools": [WEATHER], "tool_choice": "none"},
    "tools_required": {"tools": [WEATHER, TIME], "tool_choice": "required"},
    "tools_named": {
        "tools": [WEATHER, TIME],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    },
    "tools_one_by_one": {"tools": [WEATHER], "parallel_tool_calls": False},
    "tool_results": {"messages": HISTORY, "tools": [WEATHER, TIME]},
    "json_object": {
        "messages": [{"role": "user", "content": "Hi, in JSON"}],
        "response_format": {"type": "json_object"},
    },
    "json_schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "w", "schema": SCHEMA, "strict": True},
        }
    },
    "limit": {"max_completion_tokens": 64},
    "old_limit": {"max_tokens": 64},
    "sampling": {"temperature": 0.5, "top_p": 0.9},
    "stop": {"stop": ["END", "STOP"]},
    "seed": {"seed": 7},
    "penalties": {"frequency_penalty": 0.5, "presence_penalty": 0.25},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "many": {"n": 2},
    "effort": {"reasoning_effort": "high"},
    "no_effort": {"reasoning_effort": "none"},
    "user": {"user": "u1"},
    "metadata": {"metadata": {"team": "search"}},
}


def request(feature: str = "plain", **more: Any) -> ChatRequest:
    """The request of a feature, as a caller of the chat format sends it."""
    body = {"model": "any", "messages": [HI], **FEATURES[feature], **more}
    return openai_chat.parse(json.dumps(body).encode())


def chat(**body: Any) -> ChatRequest:
    """Any request in the chat format."""
    return openai_chat.parse(json.dumps({"model": "any", "messages": [HI], **body}).encode())


def messages(**body: Any) -> ChatRequest:
    """Any request in Anthropic's format."""
    found = {"model": "any", "max_tokens": 4096, "messages": [HI], **body}
    return anthropic_messages.parse(json.dumps(found).encode())


def responses(**body: Any) -> ChatRequest:
    """Any request in the Responses format."""
    return openai_responses.parse(json.dumps({"model": "any", "input": "Hi", **body}).encode())


def unread(asked: ChatRequest) -> ChatRequest:
    """The same request as if it had come in another format: nothing passes through."""
    asked.raw = None
    return asked
