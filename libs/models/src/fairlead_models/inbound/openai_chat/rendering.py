"""Writing whole answers and errors in the chat-completions format."""

import time
from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.unified import ChatResponse, Choice, Format, Thought, Usage


def usage_body(usage: Usage) -> dict[str, Any] | None:
    """Usage in the OpenAI form, or None when the provider told nothing."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    given, made = usage.input_tokens or 0, usage.output_tokens or 0
    found: dict[str, Any] = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}
    details = {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": usage.cache_write_tokens}
    if known := {name: value for name, value in details.items() if value is not None}:
        found["prompt_tokens_details"] = known
    if usage.reasoning_tokens is not None:
        found["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return found


def render(response: ChatResponse, request_id: str, model: str) -> bytes:
    """The answer as the caller gets it; ``model`` is who answered. An answer of the same wire keeps all its fields."""
    body = response.raw_in(Format.OPENAI_CHAT)
    if body is None:
        body = {"choices": [_choice(choice) for choice in response.choices], "model": model}
    else:
        body["model"] = model
        _name_reasoning(body["choices"], response.choices)
    if not body.get("id"):
        body["id"] = response.id or f"chatcmpl-{request_id}"
    body.setdefault("object", "chat.completion")
    body.setdefault("created", response.created or int(time.time()))
    if "usage" not in body:
        body["usage"] = usage_body(response.usage)
    return orjson.dumps(body)


def _name_reasoning(raw: list[dict[str, Any]], choices: list[Choice]) -> None:
    """Endpoints differ in the name of the field; callers find it under one."""
    for found, choice in zip(raw, choices, strict=True):
        if choice.reasoning is not None:
            found["message"].setdefault("reasoning_content", choice.reasoning)


def _choice(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": choice.refusal}
    if choice.reasoning is not None:
        message["reasoning_content"] = choice.reasoning
    if any(thought.seal is not None for thought in choice.thoughts):
        message["reasoning_details"] = seals.details(choice.thoughts)
    if choice.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
                **call_seal(choice.thoughts, call.id),
            }
            for call in choice.tool_calls
        ]
    finish = choice.finish_reason.value if choice.finish_reason else None
    return {"index": choice.index, "message": message, "finish_reason": finish, "logprobs": choice.logprobs}


def call_seal(thoughts: list[Thought], call_id: str) -> dict[str, Any]:
    """Gemini's seal of a call, where Google's own compatible endpoint puts it."""
    for thought in thoughts:
        if thought.call_id == call_id and thought.wire == "google":
            return {"extra_content": {"google": {"thought_signature": thought.seal}}}
    return {}


def render_error(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """The OpenAI error body."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})
