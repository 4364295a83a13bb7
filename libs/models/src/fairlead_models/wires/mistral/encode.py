"""From a unified request to Mistral's chat body."""

from typing import Any

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import (
    AudioPart,
    ChatRequest,
    FilePart,
    Format,
    Message,
    Part,
    TextPart,
    Thought,
    Unhonoured,
)
from fairlead_models.wires import fitting
from fairlead_models.wires.mistral.call_ids import CallIds
from fairlead_models.wires.openai.body import parameters_of, part_of

OWN = frozenset(
    "min_tokens repetition_penalty prompt_logprobs top_prompt_logprobs prediction prompt_mode guardrails"
    " prompt_cache_key service_tier safe_prompt".split()
)
"""Mistral's own parameters, which callers of the chat format may give as they are."""
MOST_HOT = 1.5
ACKNOWLEDGED = "OK"


def chat_body(
    request: ChatRequest, model: str, profile: Profile, *, stream: bool
) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings).

    Raises:
        ProviderError: UNSUPPORTED.
    """
    warnings = fitting.extras(request, OWN) + fitting.left_out(
        request, {"user": "not offered by the Mistral API"}
    )
    warnings += fitting.foreign_thoughts(request.messages, "mistral", plain=True)
    body = {
        "model": model,
        "messages": messages_of(request.messages, warnings),
        "stream": stream,
        **parameters_of(request),
    }
    body.pop("user", None)
    if (seed := body.pop("seed", None)) is not None:
        body["random_seed"] = seed
    limit = fitting.output_limit(request, profile, warnings)
    if limit is not None:
        body["max_tokens"] = limit
    hot = fitting.clamped(request.temperature, 0, MOST_HOT, "temperature", warnings)
    if hot is not None:
        body["temperature"] = hot
    if request.raw_format is Format.OPENAI_CHAT:
        body.update((name, value) for name, value in request.extra.items() if name in OWN)
    _thinking(body, request, profile, warnings)
    return body, warnings


def _thinking(
    body: dict[str, Any], request: ChatRequest, profile: Profile, warnings: list[Unhonoured]
) -> None:
    effort = fitting.effort_for(request, profile, warnings)
    body.pop("reasoning_effort", None)
    if effort is not None and profile.thinking == "prompt_mode":
        body["prompt_mode"] = "reasoning"
    elif effort is not None:
        body["reasoning_effort"] = effort


def messages_of(messages: list[Message], warnings: list[Unhonoured]) -> list[dict[str, Any]]:
    """All messages, with ids as Mistral takes them; a begun answer at the end is to be gone on with.

    A user may not speak right after a tool there: the model is made to acknowledge the result in between.
    """
    ids = CallIds()
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    found: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "user" and found and found[-1]["role"] == "tool":
            found.append({"role": "assistant", "content": ACKNOWLEDGED})
            if not any(each.param == "messages" for each in warnings):
                why = "the API takes no user's turn right after a tool's; the model acknowledges in between"
                warnings.append(Unhonoured("messages", why, note=True))
        found.append(_message(message, ids, names))
    if found[-1]["role"] == "assistant" and "tool_calls" not in found[-1]:
        found[-1]["prefix"] = True
    return found


def _message(message: Message, ids: CallIds, names: dict[str, str]) -> dict[str, Any]:
    if message.role == "tool":
        return _result(message, ids, names)
    role = "system" if message.role == "developer" else message.role
    found: dict[str, Any] = {"role": role, "content": _content(message)}
    if message.tool_calls:
        found["content"] = found["content"] or ""
        found["tool_calls"] = [
            {
                "id": ids.short(call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return found


def _result(message: Message, ids: CallIds, names: dict[str, str]) -> dict[str, Any]:
    identity = message.tool_call_id or ""
    shown = fitting.media(message)
    content: object = fitting.tool_text(message)
    if shown:
        content = [_part(part) for part in (TextPart(fitting.tool_text(message)), *shown)]
    found = {"role": "tool", "tool_call_id": ids.short(identity), "content": content}
    name = names.get(identity, message.name)
    return found if name is None else {**found, "name": name}


def _content(message: Message) -> str | list[dict[str, Any]] | None:
    thoughts = [_thinking_chunk(each) for each in fitting.own_thoughts(message, "mistral", plain=True)]
    if not thoughts and not isinstance(message.content, list):
        return message.content if message.content is not None else message.refusal
    return thoughts + [_part(part) for part in message.parts()]


def _thinking_chunk(thought: Thought) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": thought.text or ""}],
    }
    if thought.seal is not None:
        found["signature"] = thought.seal
    return found


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, FilePart):
        url = part.url or f"data:{part.media_type or 'application/pdf'};base64,{part.data}"
        found = {"type": "document_url", "document_url": url}
        return found if part.name is None else {**found, "document_name": part.name}
    if isinstance(part, AudioPart):
        return {"type": "input_audio", "input_audio": part.data}
    return part_of(part)
