"""Reading Messages answers."""

from typing import Any

import orjson

from fairlead_models.drift import DRIFT
from fairlead_models.unified import Choice, FinishReason, Thought, ToolCall, Usage
from fairlead_models.wires.reading import (
    as_int,
    joined,
    label,
    optional_record,
    optional_text,
    record,
    records,
    text,
    word,
)

WIRE = "anthropic"
FINISH = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}

KNOWN_TOP = frozenset(
    "id type role model content stop_reason stop_sequence usage container context_management stop_details"
    " diagnostics".split()
)
KNOWN_BLOCK = frozenset(
    "type text citations thinking signature data id name input caller toolset_name".split()
)
KNOWN_USAGE = frozenset(
    "input_tokens output_tokens cache_creation cache_creation_input_tokens cache_read_input_tokens output_tokens_details"
    " server_tool_use service_tier inference_geo speed iterations".split()
)
SERVER_BLOCKS = (
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "container_upload",
    "mcp_tool_use",
    "mcp_tool_result",
    "compaction",
)
"""Blocks of tools that run at the provider; only callers of this very format can ask for them."""


def choice_of(found: dict[str, Any]) -> Choice:
    """All blocks of an answer as one choice. Raises what ``reading`` raises."""
    choice = Choice()
    said: list[str] = []
    for block in records(found["content"]):
        kind = block["type"]
        if kind == "text":
            DRIFT.fields(WIRE, "block", block, KNOWN_BLOCK)
            said.append(text(block["text"]))
        elif kind == "thinking":
            choice.thoughts.append(
                Thought(text(block["thinking"]), optional_text(block.get("signature")) or None, WIRE)
            )
        elif kind == "redacted_thinking":
            choice.thoughts.append(Thought(seal=text(block["data"]), wire=WIRE, redacted=True))
        elif kind == "tool_use":
            DRIFT.fields(WIRE, "block", block, KNOWN_BLOCK)
            choice.tool_calls.append(call_of(block))
        elif kind not in SERVER_BLOCKS:
            DRIFT.note(WIRE, "content", str(kind))
    choice.text = joined(said)
    finish(choice, found)
    return choice


def call_of(block: dict[str, Any]) -> ToolCall:
    """A tool_use block."""
    arguments = orjson.dumps(optional_record(block.get("input"))).decode()
    return ToolCall(word(block["id"]), word(block["name"]), arguments)


def finish(choice: Choice, found: dict[str, Any]) -> None:
    """Why the answer ended, from the fields that a whole answer and a stream's last delta share."""
    choice.vendor_finish = optional_text(found.get("stop_reason"))
    choice.finish_reason = finish_of(choice.vendor_finish)
    choice.stop_sequence = optional_text(found.get("stop_sequence"))
    details = optional_record(found.get("stop_details"))
    if choice.finish_reason is FinishReason.CONTENT_FILTER:
        choice.refusal = label(details.get("explanation"))


def finish_of(word: str | None) -> FinishReason | None:
    """Canonical finish reason; an unknown word counts as a stop, and as drift."""
    if word is None:
        return None
    if word not in FINISH:
        DRIFT.note(WIRE, "stop_reason", word)
    return FINISH.get(word, FinishReason.STOP)


def usage_of(found: object) -> Usage:
    """Anthropic's input excludes what was read from and written to the cache; ours includes it."""
    if not isinstance(found, dict):
        return Usage()
    DRIFT.fields(WIRE, "usage", found, KNOWN_USAGE)
    plain = as_int(found.get("input_tokens"))
    cached = as_int(found.get("cache_read_input_tokens"))
    written = as_int(found.get("cache_creation_input_tokens"))
    total = None if plain is None else plain + (cached or 0) + (written or 0)
    details, creation = found.get("output_tokens_details"), found.get("cache_creation")
    long = creation.get("ephemeral_1h_input_tokens") if isinstance(creation, dict) else None
    tier = "fast" if found.get("speed") == "fast" else found.get("service_tier")
    return Usage(
        input_tokens=total,
        output_tokens=as_int(found.get("output_tokens")),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=as_int(details.get("thinking_tokens")) if isinstance(details, dict) else None,
        long_cache_write_tokens=as_int(long),
        service_tier=label(tier),
    )


def message_in(found: dict[str, Any]) -> dict[str, Any]:
    """The message inside a ``message_start``."""
    return record(found["message"])
