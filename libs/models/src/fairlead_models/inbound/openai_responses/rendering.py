"""Writing whole answers in the Responses format."""

import hashlib
import time
from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.unified import ChatResponse, Choice, FinishReason, Format, Thought, ToolCall, Usage

INCOMPLETE = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
}


def usage_body(usage: Usage) -> dict[str, Any] | None:
    """Usage in the form of the Responses API, or None when the provider told nothing."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    given, made = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": given + made,
    }


def envelope(identity: str, target: str, created: int) -> dict[str, Any]:
    """A response without output, as streams open with it."""
    return {
        "id": identity,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": target,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
    }


def ended(body: dict[str, Any], finish: FinishReason | None, usage: Usage) -> dict[str, Any]:
    """``body`` with its end."""
    reason = INCOMPLETE.get(finish) if finish is not None else None
    body["status"] = "incomplete" if reason else "completed"
    body["incomplete_details"] = {"reason": reason} if reason else None
    body["usage"] = usage_body(usage)
    return body


def render(response: ChatResponse, request_id: str, target: str) -> bytes:
    """The answer as the caller gets it; ``target`` is who answered. Answers of this API keep all their fields."""
    body = response.raw_in(Format.OPENAI_RESPONSES)
    if body is None:
        choice = response.choices[0]
        body = envelope(f"resp_{request_id}", target, response.created or int(time.time()))
        body["output"] = items_of(choice, request_id)
        ended(body, choice.finish_reason, response.usage)
    body["model"] = target
    return orjson.dumps(body)


def items_of(choice: Choice, request_id: str) -> list[dict[str, Any]]:
    """The output items of an answer."""
    items = [thought_item(thought, f"rs_{request_id}_{i}") for i, thought in enumerate(choice.thoughts)]
    content = []
    if choice.text is not None:
        content.append(text_part(choice.text, (choice.logprobs or {}).get("content") or []))
    if choice.refusal is not None:
        content.append({"type": "refusal", "refusal": choice.refusal})
    if content:
        items.append(message_item(f"msg_{request_id}", content, "completed"))
    items += [call_item(call, "completed") for call in choice.tool_calls]
    return items


def thought_item(thought: Thought, identity: str) -> dict[str, Any]:
    """A reasoning item that callers send back unchanged; what another provider sealed is packed into it."""
    own = thought.wire == "openai" and thought.seal is not None
    return {
        "type": "reasoning",
        "id": thought.id if own and thought.id else identity,
        "summary": [{"type": "summary_text", "text": thought.text}] if thought.text else [],
        "encrypted_content": thought.seal if own else seals.pack(thought),
    }


def message_item(identity: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """A message of the model."""
    return {"type": "message", "id": identity, "status": status, "role": "assistant", "content": content}


def text_part(text: str, logprobs: list[Any]) -> dict[str, Any]:
    """A piece of a message's text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def call_item(call: ToolCall, status: str) -> dict[str, Any]:
    """A call of a function."""
    return {
        "type": "function_call",
        "id": call_item_id(call.id),
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }


def call_item_id(call_id: str) -> str:
    """The item's own id, beside that of the call."""
    return f"fc_{hashlib.sha256(call_id.encode()).hexdigest()[:24]}"
