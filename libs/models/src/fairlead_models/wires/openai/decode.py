"""Reading chat-completions answers: choices, usage, and what a chunk of a stream brings."""

import hashlib
from dataclasses import replace
from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.drift import DRIFT
from fairlead_models.unified import (
    ChatChunk,
    Choice,
    FinishReason,
    Thought,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from fairlead_models.wires.protocol import Headers
from fairlead_models.wires.reading import (
    as_int,
    joined,
    label,
    logprobs,
    optional_record,
    optional_text,
    position,
    record,
    records,
    text,
    word,
)

FINISH = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "model_length": FinishReason.LENGTH,
    "insufficient_system_resource": FinishReason.ERROR,
    "error": FinishReason.ERROR,
}

KNOWN_TOP = frozenset(
    "id object created model choices usage system_fingerprint service_tier metadata error provider x_groq"
    " usage_breakdown prompt_filter_results prompt obfuscation moderation citations prompt_logprobs prompt_token_ids"
    " kv_transfer_params request_id".split()
)
KNOWN_CHOICE = frozenset(
    "index message delta finish_reason native_finish_reason stop_reason logprobs content_filter_results error seed text"
    " token_ids prompt_logprobs".split()
)
KNOWN_MESSAGE = frozenset(
    "role content refusal annotations audio function_call tool_calls reasoning reasoning_content reasoning_details"
    " prefix name executed_tools".split()
)
KNOWN_USAGE = frozenset(
    "prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details num_cached_tokens"
    " cached_tokens prompt_cache_hit_tokens prompt_cache_miss_tokens queue_time prompt_time completion_time total_time"
    " cost cost_details is_byok num_sources_used prompt_audio_seconds service_tier cost_in_usd_ticks".split()
)


def request_id_of(headers: Headers) -> str | None:
    """The id by which the provider's support can find the call."""
    for header in (
        "x-request-id",
        "request-id",
        "apim-request-id",
        "mistral-correlation-id",
        "x-kong-request-id",
        "x-generation-id",
    ):
        if header in headers:
            return headers[header]
    return None


def usage_of(found: object, wire: str = "openai", tier: object = None) -> Usage:
    """The OpenAI usage object. Totals are inclusive here as there; who counts reasoning apart is corrected."""
    if not isinstance(found, dict):
        return Usage()
    DRIFT.fields(wire, "usage", found, KNOWN_USAGE)
    prompt, completion = found.get("prompt_tokens_details"), found.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, dict) else {}
    completion = completion if isinstance(completion, dict) else {}
    given, made = as_int(found.get("prompt_tokens")), as_int(found.get("completion_tokens"))
    reasoning, total = as_int(completion.get("reasoning_tokens")), as_int(found.get("total_tokens"))
    if given is not None and made is not None and reasoning and total == given + made + reasoning:
        made += reasoning
    cached = next(
        (
            count
            for held in (prompt.get("cached_tokens"), *map(found.get, CACHED))
            if (count := as_int(held)) is not None
        ),
        None,
    )
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cached_input_tokens=cached,
        cache_write_tokens=as_int(prompt.get("cache_write_tokens")),
        reasoning_tokens=reasoning,
        image_input_tokens=as_int(prompt.get("image_tokens")),
        audio_input_tokens=as_int(prompt.get("audio_tokens")),
        service_tier=label(tier),
    )


CACHED = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")


def finish_of(value: object, wire: str) -> FinishReason | None:
    """Canonical finish reason; an unknown word counts as a stop, and as drift."""
    word = optional_text(value)
    if not word:
        return None
    if word not in FINISH:
        DRIFT.note(wire, "finish_reason", word)
    return FINISH.get(word, FinishReason.STOP)


def content_of(content: object, wire: str) -> tuple[str | None, list[Thought]]:
    """(text, thoughts) of a message's content: a string, or Mistral's list of text and thinking chunks."""
    if content is None or isinstance(content, str):
        return content, []
    said: list[str] = []
    thoughts: list[Thought] = []
    for part in records(content):
        kind = part.get("type")
        if kind == "text":
            said.append(text(part["text"]))
        elif kind == "thinking":
            told = [text(inner.get("text", "")) for inner in records(part.get("thinking"))]
            thoughts.append(Thought("".join(told), optional_text(part.get("signature")), wire))
        elif kind != "reference":
            DRIFT.note(wire, "content", str(kind))
    return joined(said), thoughts


def details_of(message: dict[str, Any], wire: str) -> list[Thought]:
    """The entries of ``reasoning_details``, which only some endpoints send."""
    found = seals.thoughts_of(message.get("reasoning_details"))
    for thought in found:
        thought.wire = wire
    return found


def _reasoning_of(message: dict[str, Any]) -> str | None:
    return optional_text(message.get("reasoning_content")) or optional_text(message.get("reasoning"))


def choice_of(found: dict[str, Any], place: int, wire: str) -> Choice:
    """One entry of ``choices``. Raises what ``reading`` raises."""
    message = record(found["message"])
    DRIFT.fields(wire, "choice", found, KNOWN_CHOICE)
    DRIFT.fields(wire, "message", message, KNOWN_MESSAGE)
    said, thoughts = content_of(message.get("content"), wire)
    plain = _reasoning_of(message)
    thoughts = details_of(message, wire) or thoughts or ([Thought(plain, wire=wire)] if plain else [])
    calls = [_call(call, at) for at, call in enumerate(records(message.get("tool_calls")))]
    finish = finish_of(found.get("finish_reason"), wire)
    if calls and finish is FinishReason.STOP:
        finish = FinishReason.TOOL_CALLS
    return Choice(
        index=position(found, place),
        text=said,
        thoughts=thoughts,
        refusal=optional_text(message.get("refusal")),
        tool_calls=calls,
        finish_reason=finish,
        logprobs=logprobs(found.get("logprobs")),
        vendor_finish=optional_text(found.get("finish_reason")),
    )


def made_up_id(seed: object, place: int) -> str:
    """An id for a call that came without one, the same for the same answer."""
    return f"call_{hashlib.sha256(str(seed).encode()).hexdigest()[:16]}_{place}"


def _call(found: dict[str, Any], place: int) -> ToolCall:
    identity = optional_text(found.get("id")) or made_up_id(found, place)
    if found.get("type") == "custom":
        custom = record(found["custom"])
        return ToolCall(identity, word(custom["name"]), text(custom["input"]))
    function = record(found["function"])
    return ToolCall(identity, word(function["name"]), arguments_of(function.get("arguments")) or "{}")


def arguments_of(value: object) -> str:
    """Tool arguments as JSON text; some compatible endpoints send an object."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return orjson.dumps(record(value)).decode()


def chunk_of(found: dict[str, Any], place: int, wire: str) -> ChatChunk:
    """One entry of a chunk's ``choices``. Raises what ``reading`` raises."""
    delta = optional_record(found.get("delta"))
    DRIFT.fields(wire, "choice", found, KNOWN_CHOICE)
    DRIFT.fields(wire, "delta", delta, KNOWN_MESSAGE)
    said, thoughts = content_of(delta.get("content"), wire)
    sealed = [each for each in (*details_of(delta, wire), *thoughts) if each.seal is not None]
    calls = records(delta.get("tool_calls"))
    return ChatChunk(
        index=position(found, place),
        text=said,
        reasoning="".join(each.text or "" for each in thoughts) or _reasoning_of(delta),
        refusal=optional_text(delta.get("refusal")),
        tool_calls=[_call_delta(call, at) for at, call in enumerate(calls)] or None,
        finish_reason=finish_of(found.get("finish_reason"), wire),
        logprobs=logprobs(found.get("logprobs")),
        thought=replace(sealed[0], text=None) if sealed else None,
        vendor_finish=optional_text(found.get("finish_reason")),
    )


def _call_delta(call: dict[str, Any], place: int) -> ToolCallDelta:
    """One piece of a tool call; endpoints that send no index send whole calls in order."""
    function = optional_record(call.get("function") or call.get("custom"))
    return ToolCallDelta(
        index=position(call, place),
        id=optional_text(call.get("id")) or None,
        name=optional_text(function.get("name")) or None,
        arguments=arguments_of(function.get("arguments", function.get("input"))),
    )
