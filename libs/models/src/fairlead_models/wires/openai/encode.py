"""From a unified request to a chat-completions body.

A request that came in this format goes out as it came, with only what the target demands changed, so that parameters
nobody here knows survive.
"""

from collections.abc import Iterable
from typing import Any

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Format, ImagePart, Unhonoured
from fairlead_models.wires import fitting
from fairlead_models.wires.openai.body import body_of
from fairlead_models.wires.openai.dialects import Dialect
from fairlead_models.wires.openai.replay import replayed
from fairlead_models.wires.protocol import unsupported

DEFAULTS: dict[str, object] = {
    "temperature": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
}
"""Sampling parameters, and the values at which leaving them out changes nothing."""


def chat_body(
    request: ChatRequest, model: str, profile: Profile, dialect: Dialect, *, stream: bool
) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings).

    Raises:
        ProviderError: UNSUPPORTED.
    """
    warnings: list[Unhonoured] = []
    body = request.raw_in(Format.OPENAI_CHAT)
    if body is None:
        warnings += fitting.extras(request) + fitting.no_prefill(request)
        body = body_of(request, dialect)
    else:
        body["messages"] = replayed(request, body["messages"], dialect)
    body["model"] = model
    _streaming(body, stream=stream)
    _limit(body, request, profile, dialect, warnings)
    _choices(body, request, dialect, warnings)
    _tools(body, request, dialect)
    _refused(body, dialect, warnings)
    _reasoning(body, request, profile, dialect, warnings)
    warnings += fitting.foreign_thoughts(
        request.messages, dialect.name if dialect.thoughts else "", plain=dialect.thoughts is not None
    )
    return body, warnings


def _streaming(body: dict[str, Any], *, stream: bool) -> None:
    body.pop("stream", None)
    options = body.pop("stream_options", None)
    if stream:
        body["stream"] = True
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}


def _limit(
    body: dict[str, Any],
    request: ChatRequest,
    profile: Profile,
    dialect: Dialect,
    warnings: list[Unhonoured],
) -> None:
    body.pop("max_tokens", None)
    body.pop("max_completion_tokens", None)
    limit = fitting.output_limit(request, profile, warnings)
    if limit is not None:
        body[dialect.max_tokens] = limit


def _choices(
    body: dict[str, Any], request: ChatRequest, dialect: Dialect, warnings: list[Unhonoured]
) -> None:
    if not dialect.many_choices and body.pop("n", None) is not None:
        warnings += fitting.one_choice(request)
    if len(request.stop) > dialect.stop_limit:
        body["stop"] = fitting.stops(request, dialect.stop_limit, warnings)


def _tools(body: dict[str, Any], request: ChatRequest, dialect: Dialect) -> None:
    if not dialect.image_urls and any(
        isinstance(part, ImagePart) and part.url is not None
        for message in request.messages
        for part in message.parts()
    ):
        raise unsupported("this provider takes images as data only, not by URL", "messages")
    choice = request.tool_choice
    if choice is None or dialect.forced_tools:
        return
    if choice.forced:
        raise unsupported("this provider cannot be made to call a tool", "tool_choice")
    del body["tool_choice"]
    if choice.mode == "none":
        body.pop("tools", None)


def _refused(body: dict[str, Any], dialect: Dialect, warnings: list[Unhonoured]) -> None:
    for name, why in dialect.refuses.items():
        value = body.pop(name, None)
        if value is not None and (name not in DEFAULTS or value != DEFAULTS[name]):
            warnings.append(Unhonoured(name, why))
    if not dialect.metadata:
        body.pop("metadata", None)


def _reasoning(
    body: dict[str, Any],
    request: ChatRequest,
    profile: Profile,
    dialect: Dialect,
    warnings: list[Unhonoured],
) -> None:
    if not dialect.modern and profile.reasoning_efforts is None:
        return
    effort = fitting.effort_for(request, profile, warnings)
    body.pop("reasoning_effort", None)
    if effort is not None:
        body["reasoning_effort"] = effort
    if not profile.stop and body.pop("stop", None):
        warnings.append(Unhonoured("stop", "not accepted by this model"))
    if dialect.modern:
        if body.pop("top_k", None) is not None:
            warnings.append(Unhonoured("top_k", "not offered by the OpenAI API"))
        sampling(body, profile, reasoning=fitting.reasons(effort, profile), warnings=warnings)
    elif not profile.penalties:
        _without(body, ("frequency_penalty", "presence_penalty"), "not accepted by this model", warnings)


def sampling(body: dict[str, Any], profile: Profile, *, reasoning: bool, warnings: list[Unhonoured]) -> bool:
    """Take out of ``body`` what a reasoning model does not accept; a default's absence is nothing to tell.

    True when the model accepts none of it.
    """
    if profile.sampling == "free" or (profile.sampling == "unless_reasoning" and not reasoning):
        return False
    _without(body, DEFAULTS, "not accepted by this model while it reasons", warnings)
    return True


def _without(body: dict[str, Any], names: Iterable[str], why: str, warnings: list[Unhonoured]) -> None:
    given = {name: body.pop(name, None) for name in names}
    warnings += [
        Unhonoured(name, why)
        for name, value in given.items()
        if value is not None and value != DEFAULTS[name]
    ]
