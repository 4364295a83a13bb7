"""Writing whole answers and errors in the Messages format."""

from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.unified import ChatResponse, Choice, FinishReason, Format, Thought, Usage
from fairlead_models.wires.fitting import arguments_object

STOP_REASONS = frozenset(
    "end_turn stop_sequence pause_turn max_tokens model_context_window_exceeded tool_use refusal".split()
)
FINISH = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.ERROR: "end_turn",
}
BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def stop_reason(finish: FinishReason | None, vendor: str | None, sequence: str | None) -> str:
    """Why the answer ended, in Anthropic's words; its own word stays as it is."""
    if vendor in STOP_REASONS:
        return str(vendor)
    if finish is FinishReason.STOP and (sequence is not None or vendor == "STOP_SEQUENCE"):
        return "stop_sequence"
    return FINISH[finish or FinishReason.STOP]


def stop_details(finish: FinishReason | None, refusal: str | None) -> dict[str, Any] | None:
    """What is known of a refusal."""
    if finish is not FinishReason.CONTENT_FILTER:
        return None
    return {"type": "refusal", "category": None, "explanation": refusal}


def usage_body(usage: Usage) -> dict[str, Any]:
    """Usage in Anthropic's form: the input excludes what was read from and written to the cache."""
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    found: dict[str, Any] = {
        "input_tokens": max(0, (usage.input_tokens or 0) - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.reasoning_tokens is not None:
        found["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return found


def thinking_block(thought: Thought) -> dict[str, Any]:
    """A block that callers send back unchanged; what another provider sealed is packed into it."""
    if thought.wire == "anthropic" and thought.seal is not None:
        if thought.redacted:
            return {"type": "redacted_thinking", "data": thought.seal}
        return {"type": "thinking", "thinking": thought.text or "", "signature": thought.seal}
    if thought.text is None:
        return {"type": "redacted_thinking", "data": seals.pack(thought)}
    return {"type": "thinking", "thinking": thought.text, "signature": seals.pack(thought)}


def render(response: ChatResponse, request_id: str, target: str) -> bytes:
    """The answer as the caller gets it; ``target`` is who answered. Anthropic's own answers keep all their fields."""
    body = response.raw_in(Format.ANTHROPIC_MESSAGES)
    if body is None:
        body = _built(response.choices[0], response.usage, request_id)
    body["model"] = target
    return orjson.dumps(body)


def _built(choice: Choice, usage: Usage, request_id: str) -> dict[str, Any]:
    content = [thinking_block(thought) for thought in choice.thoughts]
    said = choice.text or choice.refusal
    if said:
        content.append({"type": "text", "text": said, "citations": None})
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(call.arguments)}
        for call in choice.tool_calls
    ]
    return {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop_reason(choice.finish_reason, choice.vendor_finish, choice.stop_sequence),
        "stop_sequence": choice.stop_sequence,
        "stop_details": stop_details(choice.finish_reason, choice.refusal),
        "usage": usage_body(usage),
    }


def render_error(status: int, message: str, kind: str | None = None) -> bytes:
    """The Anthropic error body; without ``kind`` the one that belongs to the status."""
    standard = "api_error" if status >= 500 else "invalid_request_error"
    found = kind if kind is not None else BY_STATUS.get(status, standard)
    return orjson.dumps({"type": "error", "error": {"type": found, "message": message}})
