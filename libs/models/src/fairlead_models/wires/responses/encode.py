"""From a unified request to a Responses body."""

from typing import Any

from fairlead_models import seals
from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Format, ResponseFormat, Tool, ToolChoice, Unhonoured
from fairlead_models.wires import fitting
from fairlead_models.wires.openai.encode import sampling
from fairlead_models.wires.responses.items import items_of

NOT_OFFERED = {
    "stop": "not offered by the Responses API, where this model takes tools",
    "seed": "not offered by the Responses API, where this model takes tools",
    "frequency_penalty": "not offered by the Responses API, where this model takes tools",
    "presence_penalty": "not offered by the Responses API, where this model takes tools",
    "top_k": "not offered by the OpenAI API",
}
KNOWN_EXTRAS = frozenset(
    "service_tier safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options moderation verbosity"
    " store".split()
)
SEALS = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


def responses_body(
    request: ChatRequest, model: str, profile: Profile, *, stream: bool
) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings).

    Raises:
        ProviderError: UNSUPPORTED.
    """
    warnings: list[Unhonoured] = []
    body = request.raw_in(Format.OPENAI_RESPONSES)
    if body is None:
        body = _built(request, warnings)
    elif isinstance(body.get("input"), list):
        body["input"] = _replayable(body["input"], warnings)
    body["model"] = model
    body["store"] = False
    body["include"] = sorted({*(body.get("include") or ()), SEALS})
    body.pop("stream", None)
    if stream:
        body["stream"] = True
    limit = fitting.output_limit(request, profile, warnings)
    body.pop("max_output_tokens", None)
    if limit is not None:
        body["max_output_tokens"] = max(16, limit)
    _reasoning(body, request, profile, warnings)
    return body, warnings


def _replayable(items: list[Any], warnings: list[Unhonoured]) -> list[Any]:
    """The items without thinking that cannot be shown again: another provider's, or not sealed into the item."""
    kept = [
        item
        for item in items
        if not isinstance(item, dict)
        or item.get("type") != "reasoning"
        or not str(item.get("encrypted_content") or seals.PREFIX).startswith(seals.PREFIX)
    ]
    if len(kept) < len(items):
        warnings.append(Unhonoured("input", "thinking of another provider is not passed on", note=True))
    return kept


def _reasoning(
    body: dict[str, Any], request: ChatRequest, profile: Profile, warnings: list[Unhonoured]
) -> None:
    effort = fitting.effort_for(request, profile, warnings)
    wanted = dict(body.get("reasoning") or {})
    wanted.pop("effort", None)
    if effort is not None:
        wanted["effort"] = effort
    if request.show_reasoning and "summary" not in wanted:
        wanted["summary"] = "auto"
    body.pop("reasoning", None)
    if wanted:
        body["reasoning"] = wanted
    if sampling(body, profile, reasoning=fitting.reasons(effort, profile), warnings=warnings):
        _without_logprobs(body, warnings)


def _without_logprobs(body: dict[str, Any], warnings: list[Unhonoured]) -> None:
    if LOGPROBS in body["include"]:
        body["include"].remove(LOGPROBS)
        if not any(each.param == "top_logprobs" for each in warnings):
            warnings.append(Unhonoured("logprobs", "not accepted by this model while it reasons"))


def _built(request: ChatRequest, warnings: list[Unhonoured]) -> dict[str, Any]:
    warnings += fitting.extras(request, KNOWN_EXTRAS)
    warnings += fitting.left_out(request, NOT_OFFERED)
    warnings += fitting.one_choice(request) + fitting.no_prefill(request)
    warnings += fitting.foreign_thoughts(request.messages, "openai")
    body: dict[str, Any] = {"input": items_of(request.messages)}
    simple = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "parallel_tool_calls": request.parallel_tool_calls,
        "user": request.user,
        "metadata": request.metadata or None,
        "top_logprobs": (request.top_logprobs or 0) if request.logprobs else None,
    }
    body.update({name: value for name, value in simple.items() if value is not None})
    if request.logprobs:
        body["include"] = [LOGPROBS]
    if request.tools:
        body["tools"] = [tool_of(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = choice_word(request.tool_choice)
    text: dict[str, Any] = {}
    if request.response_format is not None:
        text["format"] = format_of(request.response_format)
    for name, value in request.extra.items():
        if name == "verbosity":
            text["verbosity"] = value
        elif name in KNOWN_EXTRAS:
            body[name] = value
    if text:
        body["text"] = text
    return body


def tool_of(tool: Tool) -> dict[str, Any]:
    """One tool; here ``strict`` is on unless it is said to be off."""
    found: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters or {"type": "object", "properties": {}},
        "strict": bool(tool.strict),
    }
    if tool.description is not None:
        found["description"] = tool.description
    return found


def choice_word(choice: ToolChoice) -> object:
    """``tool_choice``."""
    return {"type": "function", "name": choice.name} if choice.mode == "function" else choice.mode


def format_of(wanted: ResponseFormat) -> dict[str, Any]:
    """``text.format``."""
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    found: dict[str, Any] = {
        "type": "json_schema",
        "name": wanted.name or "answer",
        "schema": wanted.schema or {},
    }
    if wanted.description is not None:
        found["description"] = wanted.description
    if wanted.strict is not None:
        found["strict"] = wanted.strict
    return found
