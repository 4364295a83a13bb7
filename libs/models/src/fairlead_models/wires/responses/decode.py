"""Reading Responses answers."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.failures import stream_failure
from fairlead_models.unified import Choice, FinishReason, Thought, ToolCall, Usage
from fairlead_models.wires.reading import (
    as_int,
    label,
    optional_record,
    optional_text,
    record,
    records,
    text,
    word,
)

WIRE = "openai-responses"
KNOWN_TOP = frozenset(
    "id object created_at completed_at status error incomplete_details instructions max_output_tokens max_tool_calls"
    " model output output_text parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options"
    " prompt_cache_retention prompt_cache_diagnostics reasoning safety_identifier service_tier store temperature text"
    " tool_choice tools top_logprobs top_p truncation usage user metadata background billing conversation"
    " access_programs image input_transformations moderation tool_usage frequency_penalty presence_penalty".split()
)
KNOWN_ITEM = frozenset(
    "type id status role content phase summary encrypted_content arguments call_id name async caller namespace".split()
)
SERVER_ITEMS = frozenset(
    "file_search_call web_search_call computer_call code_interpreter_call image_generation_call mcp_call mcp_list_tools"
    " mcp_approval_request custom_tool_call compaction local_shell_call shell_call apply_patch_call tool_search_call"
    " program function_call_output".split()
)
BREAK = "\n\n"
"""Between two messages, or two summaries of thinking, of one answer."""


def choice_of(found: dict[str, Any]) -> Choice:
    """All output items as one choice. Raises what ``reading`` raises."""
    choice = Choice()
    said: list[str] = []
    refused: list[str] = []
    logprobs: list[Any] = []
    for item in records(found["output"]):
        kind = item["type"]
        if kind == "message":
            DRIFT.fields(WIRE, "item", item, KNOWN_ITEM)
            said.append(_message(item, refused, logprobs))
        elif kind == "reasoning":
            choice.thoughts.append(thought_of(item))
        elif kind == "function_call":
            choice.tool_calls.append(
                ToolCall(word(item["call_id"]), word(item["name"]), text(item["arguments"]) or "{}")
            )
        elif kind not in SERVER_ITEMS:
            DRIFT.note(WIRE, "item", str(kind))
    pieces = [each for each in said if each]
    choice.text = BREAK.join(pieces) if pieces else None
    choice.refusal = "".join(refused) or None
    choice.logprobs = {"content": logprobs, "refusal": None} if logprobs else None
    choice.finish_reason = finish_of(found, called=bool(choice.tool_calls))
    choice.vendor_finish = optional_text(found.get("status"))
    return choice


def _message(item: dict[str, Any], refused: list[str], logprobs: list[Any]) -> str:
    said = []
    for part in records(item.get("content")):
        kind = part["type"]
        if kind == "output_text":
            said.append(text(part["text"]))
            logprobs += records(part.get("logprobs"))
        elif kind == "refusal":
            refused.append(text(part["refusal"]))
        else:
            DRIFT.note(WIRE, "content", str(kind))
    return "".join(said)


def thought_of(item: dict[str, Any]) -> Thought:
    """A reasoning item: its summaries or its text, and what must be sent back."""
    told = [text(each["text"]) for each in (*records(item.get("summary")), *records(item.get("content")))]
    return Thought(
        BREAK.join(told) or None,
        optional_text(item.get("encrypted_content")),
        "openai",
        optional_text(item.get("id")),
    )


def finish_of(found: dict[str, Any], *, called: bool) -> FinishReason:
    """Canonical finish reason of a finished response.

    Raises:
        ProviderError: it failed.
        ValueError: it has not ended.
    """
    status = found.get("status")
    if status == "completed":
        return FinishReason.TOOL_CALLS if called else FinishReason.STOP
    if status == "incomplete":
        reason = optional_record(found.get("incomplete_details")).get("reason")
        if reason == "content_filter":
            return FinishReason.CONTENT_FILTER
        if reason not in ("max_output_tokens", "max_messages"):
            DRIFT.note(WIRE, "incomplete_details.reason", str(reason))
        return FinishReason.LENGTH
    if status in ("failed", "cancelled"):
        raise failure_of(found)
    raise ValueError(f"the response has the status {status!r}")


def failure_of(found: dict[str, Any]) -> ProviderError:
    """The error of a response that failed."""
    error = found.get("error")
    error = error if isinstance(error, dict) else {}
    return stream_failure(
        error.get("message") or f"the response is {found.get('status')}",
        (error.get("code"), error.get("type")),
    )


def usage_of(found: object, tier: object = None) -> Usage:
    """Inclusive totals, there as here."""
    if not isinstance(found, dict):
        return Usage()
    given, made = found.get("input_tokens_details"), found.get("output_tokens_details")
    given = given if isinstance(given, dict) else {}
    made = made if isinstance(made, dict) else {}
    written = given.get("cache_write_tokens_details")
    return Usage(
        input_tokens=as_int(found.get("input_tokens")),
        output_tokens=as_int(found.get("output_tokens")),
        cached_input_tokens=as_int(given.get("cached_tokens")),
        cache_write_tokens=as_int(given.get("cache_write_tokens")),
        reasoning_tokens=as_int(made.get("reasoning_tokens")),
        long_cache_write_tokens=as_int(written.get("ttl_12h_tokens")) if isinstance(written, dict) else None,
        service_tier=label(tier),
    )


def response_in(found: dict[str, Any]) -> dict[str, Any]:
    """The response object inside a stream event."""
    return record(found["response"])
