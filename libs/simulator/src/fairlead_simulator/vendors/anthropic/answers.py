"""How Anthropic's messages are written, whole and as events."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice
from fairlead_simulator.ask import Ask
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors.vendor import SSE, Frames, dumps, event

FINISH = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "window": "model_context_window_exceeded",
    "tool": "tool_use",
    "broken_tool": "tool_use",
    "refusal": "refusal",
    "filter": "refusal",
    "pause": "pause_turn",
}
SIGNATURE = b64encode(b"a signature of the simulator").decode()


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object: what was read from or written to the cache is not part of ``input_tokens``."""
    created = {
        "ephemeral_5m_input_tokens": usage.written - usage.written_1h,
        "ephemeral_1h_input_tokens": usage.written_1h,
    }
    found = {
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": created,
        "output_tokens": usage.output,
        "service_tier": "standard",
    }
    if usage.reasoning:
        found["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return found


class MessagesWriter:
    """Writes ``message`` objects and their events."""

    media = SSE

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        blocks = [block for block, _ in _blocks(ask, answer)]
        found = {
            **_message(ask, answer),
            "content": blocks,
            **_ending(answer),
            "usage": usage_of(answer.usage),
        }
        return dumps(found)

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        usage = {**usage_of(answer.usage), "output_tokens": 1}
        usage.pop("output_tokens_details", None)
        start = {**_message(ask, answer), "usage": usage}
        begin = [
            event("message_start", {"type": "message_start", "message": start}),
            event("ping", {"type": "ping"}),
        ]
        found: list[bytes] = []
        for index, (block, deltas) in enumerate(_blocks(ask, answer)):
            found += _block_frames(index, block, deltas)
        final = {
            name: value
            for name, value in usage_of(answer.usage).items()
            if name not in ("cache_creation", "service_tier")
        }
        delta = {"type": "message_delta", "delta": _ending(answer), "usage": final}
        return Frames(
            begin, found, [event("message_delta", delta), event("message_stop", {"type": "message_stop"})]
        )

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        error = {"type": "overloaded_error", "message": "Overloaded"}
        return event("error", {"type": "error", "error": error, "request_id": "req_simulated"})

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``."""
        return event("simulated_event", {"type": "simulated_event"})


def _message(ask: Ask, answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _ending(answer: Answer) -> dict[str, Any]:
    if answer.blocked or answer.first.finish in ("refusal", "filter"):
        details = {
            "type": "refusal",
            "category": "general_harms",
            "explanation": "The simulator was asked to refuse.",
        }
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    return {"stop_reason": FINISH[answer.first.finish], "stop_sequence": answer.first.stop_sequence}


Block = tuple[dict[str, Any], list[dict[str, Any]]]
"""A finished content block, and the deltas that build it."""


def _blocks(ask: Ask, answer: Answer) -> list[Block]:
    if answer.blocked:
        return []
    choice, found = answer.first, []
    if ask.thinking is not None and choice.reasoning:
        found.append(_thinking(choice, shown=ask.thinking.shown))
    text = choice.text
    if choice.calls and ask.force_tool is None:
        text = f"I will use {', '.join(call.name for call in choice.calls)}."
    if text:
        deltas = [{"type": "text_delta", "text": piece} for piece in tokens.pieces(text)]
        found.append(({"type": "text", "text": text, "citations": None}, deltas))
    for call in choice.calls:
        block = {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": call.arguments}
        pieces = ["", *tokens.slices(call.text)]
        found.append((block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]))
    return found


def _thinking(choice: Choice, *, shown: bool) -> Block:
    text = choice.reasoning if shown else ""
    block = {"type": "thinking", "thinking": text, "signature": SIGNATURE}
    deltas: list[dict[str, Any]] = [
        {"type": "thinking_delta", "thinking": piece} for piece in tokens.pieces(text)
    ]
    return block, [*deltas, {"type": "signature_delta", "signature": SIGNATURE}]


EMPTY: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "thinking": lambda block: {"type": "thinking", "thinking": "", "signature": ""},
    "text": lambda block: {"type": "text", "text": ""},
    "tool_use": lambda block: {**block, "input": {}},
}


def _block_frames(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    """The first delta carries the start of the block along, the last its stop."""
    start = {"type": "content_block_start", "index": index, "content_block": EMPTY[block["type"]](block)}
    stop = {"type": "content_block_stop", "index": index}
    found = [
        event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
        for delta in deltas
    ]
    found[0] = event("content_block_start", start) + found[0]
    found[-1] += event("content_block_stop", stop)
    return found
