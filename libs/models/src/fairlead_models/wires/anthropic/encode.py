"""From a unified request to a Messages body, for the API version that the provider's row pins."""

from typing import Any

from fairlead_models import seals
from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Format, Message, Thought, Unhonoured
from fairlead_models.wires import fitting
from fairlead_models.wires.anthropic.schemas import closed
from fairlead_models.wires.anthropic.thinking import thinking
from fairlead_models.wires.anthropic.turns import turns_of

VERSION = "2026-10-21"
"""The version that is sent unless the provider's row pins another: sampling parameters are gone in it."""
OLD_VERSION = "2023-06-01"

DEFAULT_MAX_TOKENS = 4096
"""The protocol demands a limit; this is ours when the caller gave none and the model's own is unknown."""

NOT_OFFERED = {
    "seed": "not offered by the Messages API",
    "frequency_penalty": "not offered by the Messages API",
    "presence_penalty": "not offered by the Messages API",
    "logprobs": "not offered by the Messages API",
    "top_logprobs": "not offered by the Messages API",
}
SAMPLING = ("temperature", "top_p", "top_k")
JSON_ONLY = "Answer with one JSON object and nothing else."


def messages_body(
    request: ChatRequest, model: str, profile: Profile, version: str, *, stream: bool
) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings).

    Raises:
        ProviderError: UNSUPPORTED.
    """
    warnings: list[Unhonoured] = []
    body = request.raw_in(Format.ANTHROPIC_MESSAGES)
    if body is None:
        body = _built(request, profile, warnings)
    else:
        body["messages"] = [_replayable(turn, warnings) for turn in body["messages"]]
    body["model"] = model
    body.pop("stream", None)
    if stream:
        body["stream"] = True
    limit = fitting.output_limit(request, profile, warnings)
    if limit is None:
        limit = profile.max_output_tokens or DEFAULT_MAX_TOKENS
    body["max_tokens"] = limit
    thinks = thinking(body, request, profile, warnings)
    _sampling(body, request, profile, version, thinks, warnings)
    if fitting.ends_as_prefill(request) and not profile.prefill:
        why = "the model does not go on with a begun answer; it answers it instead"
        warnings.append(Unhonoured("messages", why))
        body["messages"] = [*body["messages"], {"role": "user", "content": "Continue."}]
    return body, warnings


def _built(request: ChatRequest, profile: Profile, warnings: list[Unhonoured]) -> dict[str, Any]:
    warnings += fitting.extras(request)
    warnings += fitting.left_out(request, NOT_OFFERED)
    warnings += fitting.one_choice(request)
    warnings += fitting.foreign_thoughts(request.messages, "anthropic")
    system, conversation = fitting.split_system(request.messages, warnings, anywhere=profile.system_anywhere)
    body: dict[str, Any] = {"messages": turns_of(conversation)}
    told = [text for message in system if (text := message.text())]
    _format(request, body, told, warnings)
    if told:
        body["system"] = "\n\n".join(told)
    stops = [stop for stop in request.stop if stop.strip()]
    if len(stops) < len(request.stop):
        warnings.append(Unhonoured("stop", "sequences of nothing but white space are not accepted here"))
    if stops:
        body["stop_sequences"] = stops
    if request.user:
        body["metadata"] = {"user_id": request.user}
    _tools(request, body)
    _details(request.messages, warnings)
    return body


def _format(request: ChatRequest, body: dict[str, Any], told: list[str], warnings: list[Unhonoured]) -> None:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return
    if wanted.kind == "json_object":
        told.append(JSON_ONLY)
        warnings.append(Unhonoured("response_format", "json_object is asked for in words, not enforced"))
        return
    schema, lost = closed(wanted.schema or {})
    body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if lost:
        why = f"told to the model but not enforced here: {', '.join(lost)}"
        warnings.append(Unhonoured("response_format.json_schema.schema", why))


def _tools(request: ChatRequest, body: dict[str, Any]) -> None:
    if not request.tools:
        return
    body["tools"] = [
        {
            "name": tool.name,
            **({"description": tool.description} if tool.description is not None else {}),
            "input_schema": tool.parameters or {"type": "object", "properties": {}},
            **({"strict": tool.strict} if tool.strict is not None else {}),
        }
        for tool in request.tools
    ]
    choice = _choice_word(request)
    if request.parallel_tool_calls is False and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        body["tool_choice"] = choice


def _choice_word(request: ChatRequest) -> dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None:
        return None
    if choice.mode == "function":
        return {"type": "tool", "name": choice.name}
    return {"type": {"auto": "auto", "none": "none", "required": "any"}[choice.mode]}


def _details(messages: list[Message], warnings: list[Unhonoured]) -> None:
    for message in messages:
        for part in message.parts():
            if getattr(part, "detail", None) in ("low", "high"):
                warnings.append(Unhonoured("image_url.detail", "not offered by this provider", note=True))
                return


def _sampling(
    body: dict[str, Any],
    request: ChatRequest,
    profile: Profile,
    version: str,
    thinks: bool,
    warnings: list[Unhonoured],
) -> None:
    for name in SAMPLING:
        body.pop(name, None)
    given = {name: value for name in SAMPLING if (value := getattr(request, name)) is not None}
    if version >= VERSION or profile.sampling == "none":
        why = f"removed from the Messages API in version {VERSION}"
        if version < VERSION:
            why = "not accepted by this model"
        warnings += [
            Unhonoured(name, why) for name, value in given.items() if (name == "top_k" or value != 1)
        ]
        return
    if thinks:
        names = [name for name in ("temperature", "top_k") if given.pop(name, 1) != 1]
        warnings += [Unhonoured(name, "not accepted while the model thinks") for name in names]
    if profile.temperature_or_top_p and "temperature" in given and given.pop("top_p", 1) != 1:
        warnings.append(Unhonoured("top_p", "the model accepts temperature or top_p, not both"))
    if "temperature" in given:
        given["temperature"] = fitting.clamped(given["temperature"], 0, 1, "temperature", warnings)
    body.update(given)


def _replayable(turn: dict[str, Any], warnings: list[Unhonoured]) -> dict[str, Any]:
    """A turn that came in this format, without thinking that another provider sealed."""
    content = turn.get("content")
    if turn.get("role") != "assistant" or not isinstance(content, list):
        return turn
    kept = [block for block in content if foreign(block) is None]
    if len(kept) == len(content):
        return turn
    if not any(each.param == "messages" for each in warnings):
        warnings.append(Unhonoured("messages", "thinking of another provider is not passed on", note=True))
    return {**turn, "content": kept}


def foreign(block: dict[str, Any]) -> Thought | None:
    """The thought of another provider that a thinking block carries; None for Anthropic's own."""
    sealed = block.get("signature") if block.get("type") == "thinking" else block.get("data")
    if block.get("type") not in ("thinking", "redacted_thinking") or not isinstance(sealed, str):
        return None
    return seals.unpack(sealed, block.get("thinking"))
