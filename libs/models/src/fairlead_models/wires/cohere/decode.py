"""Reading Cohere's answers."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.unified import Choice, FinishReason, Thought, ToolCall, Usage
from fairlead_models.wires.cohere.encode import PLAN
from fairlead_models.wires.reading import (
    as_int,
    joined,
    optional_record,
    optional_text,
    record,
    records,
    text,
    word,
)

WIRE = "cohere"
FINISH = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
    "ERROR": FinishReason.ERROR,
    "ERROR_TOXIC": FinishReason.CONTENT_FILTER,
    "ERROR_LIMIT": FinishReason.LENGTH,
    "TIMEOUT": FinishReason.ERROR,
}
KNOWN_TOP = frozenset("id finish_reason message usage logprobs prompt meta".split())
KNOWN_MESSAGE = frozenset("role content tool_calls tool_plan citations".split())
KNOWN_USAGE = frozenset("billed_units tokens cached_tokens".split())


def choice_of(found: dict[str, Any]) -> Choice:
    """The message of an answer. Raises what ``reading`` raises."""
    message = record(found["message"])
    DRIFT.fields(WIRE, "message", message, KNOWN_MESSAGE)
    choice = Choice()
    said: list[str] = []
    if plan := optional_text(message.get("tool_plan")):
        choice.thoughts.append(Thought(plan, wire=WIRE, id=PLAN))
    for block in records(message.get("content")):
        kind = block["type"]
        if kind == "text":
            said.append(text(block["text"]))
        elif kind == "thinking":
            choice.thoughts.append(Thought(text(block["thinking"]), wire=WIRE))
        else:
            DRIFT.note(WIRE, "content", str(kind))
    choice.text = joined(said)
    for call in records(message.get("tool_calls")):
        function = record(call["function"])
        arguments = optional_text(function.get("arguments")) or "{}"
        choice.tool_calls.append(ToolCall(word(call["id"]), word(function["name"]), arguments))
    choice.vendor_finish = text(found["finish_reason"])
    choice.finish_reason = finish_of(choice.vendor_finish)
    choice.logprobs = logprobs_of(found.get("logprobs"))
    return choice


def finish_of(word: str | None) -> FinishReason | None:
    """Canonical finish reason; an unknown word counts as a stop, and as drift."""
    if word is None:
        return None
    if word not in FINISH:
        DRIFT.note(WIRE, "finish_reason", word)
    return FINISH.get(word, FinishReason.STOP)


def logprobs_of(found: object) -> dict[str, Any] | None:
    """Log probabilities in the OpenAI form; a piece of several tokens counts as one, with their sum."""
    content = []
    for item in records(found):
        values = item.get("logprobs") or ()
        piece = optional_text(item.get("text")) or ""
        if values:
            content.append(
                {
                    "token": piece,
                    "logprob": sum(map(float, values)),
                    "bytes": list(piece.encode()),
                    "top_logprobs": [],
                }
            )
    return {"content": content, "refusal": None} if content else None


def usage_of(found: object) -> Usage:
    """Billed units where given: they are what the bill counts; else the raw token counts."""
    if not isinstance(found, dict):
        return Usage()
    DRIFT.fields(WIRE, "usage", found, KNOWN_USAGE)
    for name in ("billed_units", "tokens"):
        counts = found.get(name)
        given = as_int(counts.get("input_tokens")) if isinstance(counts, dict) else None
        if isinstance(counts, dict) and given is not None:
            cached = as_int(found.get("cached_tokens"))
            made = as_int(counts.get("output_tokens"))
            return Usage(given, made, None if cached is None else min(cached, given))
    return Usage()


def usage_in(delta: dict[str, Any]) -> Usage:
    """The usage at the end of a stream."""
    return usage_of(optional_record(delta.get("usage")))
