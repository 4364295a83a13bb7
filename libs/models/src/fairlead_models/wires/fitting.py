"""Fitting a request to a target: what all encoders check, clamp and say.

A parameter that a target cannot honour becomes a warning; where leaving it out would change what was asked, the target
is refused (UNSUPPORTED), so that another one gets the request.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.catalog.file import Effort
from fairlead_models.catalog.profiles import EFFORTS, Profile, nearest_effort
from fairlead_models.errors import ProviderError
from fairlead_models.unified import (
    ChatRequest,
    EmbeddingRequest,
    Format,
    Message,
    OtherPart,
    Part,
    Thought,
    Unhonoured,
)
from fairlead_models.wires.protocol import unsupported

MEANINGFUL = frozenset(
    "functions function_call audio web_search_options mcp_servers container inference_geo max_tokens".split()
)
"""Parameters of callers' formats without which the answer would be another one."""

HINTS = frozenset(
    "cache_control prompt_cache_key prompt_cache_retention prompt_cache_options service_tier diagnostics store"
    " stream_options safety_identifier".split()
)
"""Parameters that only concern price, caching or records: left out, the answer is the same."""

BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 256,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
"""Tokens to think with, per effort, where a wire takes a budget."""

CAPABILITY_WORDS = {
    "vision": ("images", "messages"),
    "files": ("files", "messages"),
    "audio": ("audio", "messages"),
    "tools": ("tools", "tools"),
    "structured_output": ("an output schema", "response_format"),
}


def check(request: ChatRequest, profile: Profile, model: str) -> None:
    """Refuse what the model is known not to do, and tool choices that name nothing.

    Raises:
        ProviderError: UNSUPPORTED, or BAD_REQUEST for the caller's own contradiction.
    """
    for need in request.needs():
        if profile.lacks(need):
            what, param = CAPABILITY_WORDS[need]
            raise unsupported(f"the model '{model}' does not take {what}", param)
    choice = request.tool_choice
    if choice is not None and choice.forced:
        if not any(choice.mode == "required" or tool.name == choice.name for tool in request.tools):
            named = f"the tool '{choice.name}'" if choice.name else "at least one tool"
            raise ProviderError(
                ErrorClass.BAD_REQUEST,
                f"'tool_choice' needs {named} in 'tools'",
                param="tool_choice",
                status=400,
            )
        if not profile.forced_tool_choice:
            raise unsupported(f"the model '{model}' cannot be made to call a tool", "tool_choice")
    shaped = request.response_format is not None and request.response_format.kind != "text"
    if shaped and request.tools and not profile.schema_with_tools:
        raise unsupported(
            f"the model '{model}' does not take tools and an output format together", "response_format"
        )


def left_out(request: ChatRequest, reasons: Mapping[str, str]) -> list[Unhonoured]:
    """A warning for each parameter of ``reasons`` that the caller gave."""
    return [
        Unhonoured(name, why) for name, why in reasons.items() if getattr(request, name) not in (None, [])
    ]


def extras(request: ChatRequest, known: Iterable[str] = ()) -> list[Unhonoured]:
    """A warning for each parameter that nobody here knows and that is not ``known`` to the wire.

    Raises:
        ProviderError: UNSUPPORTED, for one that changes the meaning.
    """
    found = []
    for name, value in request.extra.items():
        if name in known:
            continue
        if name in MEANINGFUL or name.startswith("tools.") or (name == "modalities" and value != ["text"]):
            raise unsupported(f"'{name}' is not offered by this provider", name)
        if name != "modalities":
            found.append(Unhonoured(name, "unknown to this provider's wire", note=name in HINTS))
    return found


def embedding_extras(request: EmbeddingRequest) -> list[Unhonoured]:
    """A warning for each parameter of an embeddings request that nobody here knows."""
    return [Unhonoured(name, "unknown to this provider's wire") for name in request.extra]


def one_choice(request: ChatRequest) -> list[Unhonoured]:
    """The warning of wires that give one answer per call."""
    if request.n is None or request.n == 1:
        return []
    return [Unhonoured("n", "this provider gives one answer per call")]


def output_limit(request: ChatRequest, profile: Profile, warnings: list[Unhonoured]) -> int | None:
    """The caller's limit of output tokens, at most what the model can."""
    wanted, most = request.max_output_tokens, profile.max_output_tokens
    if wanted is None or most is None or wanted <= most:
        return wanted
    warnings.append(Unhonoured("max_tokens", f"{wanted} is more than the model's {most}; sent as {most}"))
    return most


def clamped(
    value: float | None, low: float, high: float, name: str, warnings: list[Unhonoured]
) -> float | None:
    """``value`` within the range that the provider takes."""
    if value is None or low <= value <= high:
        return value
    nearest = min(max(value, low), high)
    warnings.append(Unhonoured(name, f"{value:g} is outside {low:g} to {high:g} here; sent as {nearest:g}"))
    return nearest


def stops(request: ChatRequest, most: int, warnings: list[Unhonoured]) -> list[str]:
    """The first ``most`` stop sequences."""
    if len(request.stop) > most:
        warnings.append(Unhonoured("stop", f"only the first {most} of {len(request.stop)} are taken here"))
    return request.stop[:most]


def effort_of(budget_tokens: int) -> Effort:
    """The effort whose budget is nearest to this many tokens."""
    return min(BUDGETS, key=lambda effort: (abs(BUDGETS[effort] - budget_tokens), EFFORTS.index(effort)))


def effort_for(request: ChatRequest, profile: Profile, warnings: list[Unhonoured]) -> Effort | None:
    """The effort to ask the model for, or None = say nothing."""
    wanted = request.reasoning_effort
    if wanted is None and request.reasoning_budget_tokens is not None:
        wanted = effort_of(request.reasoning_budget_tokens)
        if profile.reasoning_efforts != ():
            warnings.append(
                Unhonoured(
                    "thinking.budget_tokens",
                    f"a budget is not offered here; {request.reasoning_budget_tokens} is sent as effort '{wanted}'",
                )
            )
    if wanted is None:
        return None
    if wanted not in EFFORTS:
        warnings.append(Unhonoured("reasoning_effort", f"'{wanted}' is not one of {', '.join(EFFORTS)}"))
        return None
    offered = EFFORTS if profile.reasoning_efforts is None else profile.reasoning_efforts
    if not offered:
        if wanted != "none":
            warnings.append(Unhonoured("reasoning_effort", "the model does not reason"))
        return None
    found = nearest_effort(wanted, offered)
    if found != wanted:
        warnings.append(
            Unhonoured("reasoning_effort", f"'{wanted}' is not offered by the model; sent as '{found}'")
        )
    return found


def reasons(effort: Effort | None, profile: Profile) -> bool:
    """The model will reason when asked with this effort."""
    if profile.reasoning_efforts == ():
        return False
    return (effort or profile.reasoning_default or "none") != "none"


def split_system(
    messages: list[Message], warnings: list[Unhonoured], *, anywhere: bool
) -> tuple[list[Message], list[Message]]:
    """(system messages for the place the wire has for them, the conversation).

    Without ``anywhere`` system messages inside the conversation move to its start; with it they stay in place. A
    conversation of nothing but system messages has its last one said by the user, since every wire wants a turn.
    """
    first = next((i for i, m in enumerate(messages) if not _is_system(m)), len(messages))
    if first == len(messages):
        warnings.append(Unhonoured("messages", "the last system message is sent as the user's", note=True))
        return messages[:-1], [Message("user", messages[-1].content)]
    if anywhere or not any(_is_system(m) for m in messages[first:]):
        return messages[:first], messages[first:]
    warnings.append(
        Unhonoured("messages", "system messages inside the conversation are moved to its start", note=True)
    )
    return (
        [m for m in messages if _is_system(m)],
        [m for m in messages if not _is_system(m)],
    )


def _is_system(message: Message) -> bool:
    return message.role in ("system", "developer")


def ends_as_prefill(request: ChatRequest) -> bool:
    """The conversation ends with the beginning of an answer that the model is to go on with."""
    last = request.messages[-1]
    return last.role == "assistant" and not last.tool_calls


def no_prefill(request: ChatRequest) -> list[Unhonoured]:
    """The warning of wires that answer a begun answer instead of going on with it, as callers of Anthropic expect."""
    if request.raw_format is not Format.ANTHROPIC_MESSAGES or not ends_as_prefill(request):
        return []
    return [Unhonoured("messages", "this provider does not go on with a begun answer; it answers anew")]


def own_thoughts(message: Message, wire: str, *, plain: bool = False) -> list[Thought]:
    """The thoughts that can be shown again to ``wire``; with ``plain`` also those without a seal and an origin."""
    return [
        thought
        for thought in message.thoughts
        if (thought.wire == wire and (thought.seal is not None or plain))
        or (plain and thought.wire is None and thought.text)
    ]


def foreign_thoughts(messages: list[Message], wire: str, *, plain: bool = False) -> list[Unhonoured]:
    """A note when thinking in the history came from another provider, and is left out for that.

    Thinking of this provider's own that carries no seal needs none: it may be left out.
    """
    for message in messages:
        own = own_thoughts(message, wire, plain=plain)
        if any(thought.wire != wire and thought not in own for thought in message.thoughts):
            return [Unhonoured("messages", "thinking of another provider is not passed on", note=True)]
    return []


def arguments_object(arguments: str) -> dict[str, Any]:
    """Tool arguments as an object; what is not one is kept under ``_raw`` rather than lost."""
    try:
        found = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return {"_raw": arguments}
    return found if isinstance(found, dict) else {"_raw": arguments}


def strange_part(part: Part) -> ProviderError:
    """The refusal of a content part that the wire has no form for."""
    kind = part.kind if isinstance(part, OtherPart) else type(part).__name__.removesuffix("Part").lower()
    return unsupported(f"content of type '{kind}' cannot be sent to this provider", "messages")


def tool_text(message: Message) -> str:
    """A tool's result as text, for wires that have no flag for a failed call."""
    text = message.text()
    if message.is_error and not text.lower().startswith("error"):
        return f"Error: {text}"
    return text


def media(message: Message) -> list[Part]:
    """What of a message's content is not text."""
    return [part for part in message.parts() if not hasattr(part, "text")]


def texts_only(request: EmbeddingRequest) -> list[str]:
    """The inputs as texts. Raises ProviderError(UNSUPPORTED) for inputs given as tokens of a vocabulary."""
    texts = [each for each in request.inputs if isinstance(each, str)]
    if len(texts) < len(request.inputs):
        raise unsupported("this provider takes texts, not tokens", "input")
    return texts
