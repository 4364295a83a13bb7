"""Reading generateContent answers; a chunk of a stream has the same form as a whole answer."""

import hashlib
from typing import Any

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.unified import Choice, FinishReason, Thought, ToolCall, Usage
from fairlead_models.wires.reading import (
    as_int,
    joined,
    label,
    optional_record,
    optional_text,
    position,
    record,
    records,
    text,
    word,
)

WIRE = "google"
FILTERED = (
    "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII LANGUAGE IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT"
    " IMAGE_RECITATION MODEL_ARMOR ESCALATION PUP_LIMITED_DISABLED".split()
)
FAILED = (
    "MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE MALFORMED_RESPONSE"
    " OTHER IMAGE_OTHER NO_IMAGE FINISH_REASON_UNSPECIFIED".split()
)
FINISH = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
    **dict.fromkeys(FILTERED, FinishReason.CONTENT_FILTER),
    **dict.fromkeys(FAILED, FinishReason.ERROR),
}

KNOWN_TOP = frozenset(
    "candidates usageMetadata modelVersion responseId promptFeedback createTime modelStatus error serviceTier".split()
)
KNOWN_CANDIDATE = frozenset(
    "content citationMetadata finishMessage tokenCount finishReason groundingMetadata avgLogprobs index logprobsResult"
    " safetyRatings urlContextMetadata continuationToken groundingAttributions".split()
)
KNOWN_PART = frozenset("text thought thoughtSignature functionCall partMetadata".split())
KNOWN_USAGE = frozenset(
    "promptTokenCount cachedContentTokenCount candidatesTokenCount totalTokenCount thoughtsTokenCount"
    " toolUsePromptTokenCount promptTokensDetails cacheTokensDetails candidatesTokensDetails"
    " toolUsePromptTokensDetails trafficType serviceTier".split()
)


def blocked(found: dict[str, Any]) -> Choice:
    """An answer without candidates: the prompt was blocked, or the answer is broken.

    Raises:
        ProviderError: MALFORMED.
    """
    feedback = optional_record(found.get("promptFeedback"))
    reason = label(feedback.get("blockReason"))
    if reason is None:
        raise ProviderError(ErrorClass.MALFORMED, "the answer has no candidates")
    told = label(feedback.get("blockReasonMessage")) or f"The prompt was blocked: {reason}."
    return Choice(refusal=told, finish_reason=FinishReason.CONTENT_FILTER, vendor_finish=reason)


class CallNames:
    """Ids for calls that come without one: unique within a conversation, the same for the same answer."""

    __slots__ = ("_made", "_seed")

    def __init__(self, response_id: object) -> None:
        self._seed = label(response_id)
        self._made: dict[int, int] = {}

    def name(self, choice: int, found: dict[str, Any]) -> str:
        """The id of the next call of ``choice``."""
        place = self._made[choice] = self._made.get(choice, -1) + 1
        given = optional_text(found.get("id"))
        if given:
            return given
        seed = self._seed or orjson.dumps(found).decode()
        return f"call_{hashlib.sha256(seed.encode()).hexdigest()[:16]}_{choice}_{place}"


def choice_of(found: dict[str, Any], place: int, names: CallNames) -> Choice:
    """One candidate. Raises what ``reading`` raises."""
    DRIFT.fields(WIRE, "candidate", found, KNOWN_CANDIDATE)
    choice = Choice(index=position(found, place))
    said: list[str] = []
    thought: list[str] = []
    for part in records(optional_record(found.get("content")).get("parts")):
        _part(part, choice, said, thought, names)
    choice.text = joined(said)
    if thought:
        choice.thoughts.insert(0, Thought("".join(thought), wire=WIRE))
    choice.vendor_finish = optional_text(found.get("finishReason"))
    choice.finish_reason = finish_of(choice.vendor_finish, called=bool(choice.tool_calls))
    choice.logprobs = logprobs_of(found.get("logprobsResult"))
    return choice


def _part(
    part: dict[str, Any], choice: Choice, said: list[str], thought: list[str], names: CallNames
) -> None:
    seal = optional_text(part.get("thoughtSignature"))
    if "functionCall" in part:
        call = record(part["functionCall"])
        arguments = orjson.dumps(optional_record(call.get("args"))).decode()
        made = ToolCall(names.name(choice.index, call), word(call["name"]), arguments)
        choice.tool_calls.append(made)
        if seal:
            choice.thoughts.append(Thought(seal=seal, wire=WIRE, call_id=made.id))
        return
    if "text" in part:
        (thought if part.get("thought") is True else said).append(text(part["text"]))
    if seal:
        choice.thoughts.append(Thought(seal=seal, wire=WIRE))
    DRIFT.fields(WIRE, "part", part, KNOWN_PART)


def finish_of(word: str | None, *, called: bool) -> FinishReason | None:
    """Canonical finish reason; Gemini says STOP also when it calls a function."""
    if word is None:
        return None
    if word not in FINISH:
        DRIFT.note(WIRE, "finishReason", word)
    found = FINISH.get(word, FinishReason.STOP)
    return FinishReason.TOOL_CALLS if called and found is FinishReason.STOP else found


def logprobs_of(found: object) -> dict[str, Any] | None:
    """Log probabilities in the OpenAI form."""
    if found is None:
        return None
    result = record(found)
    tops = records(result.get("topCandidates"))
    content = []
    for place, chosen in enumerate(records(result.get("chosenCandidates"))):
        others = records(tops[place].get("candidates")) if place < len(tops) else []
        content.append({**_logprob(chosen), "top_logprobs": [_logprob(other) for other in others]})
    return {"content": content, "refusal": None} if content else None


def _logprob(found: dict[str, Any]) -> dict[str, Any]:
    token = text(found.get("token", ""))
    return {"token": token, "logprob": found.get("logProbability"), "bytes": list(token.encode())}


def usage_of(found: object) -> Usage:
    """Gemini counts thoughts apart from the candidates; our output includes them."""
    if not isinstance(found, dict):
        return Usage()
    DRIFT.fields(WIRE, "usage", found, KNOWN_USAGE)
    answer, thoughts = as_int(found.get("candidatesTokenCount")), as_int(found.get("thoughtsTokenCount"))
    prompt, tools = as_int(found.get("promptTokenCount")), as_int(found.get("toolUsePromptTokenCount"))
    total = as_int(found.get("totalTokenCount"))
    given = None if prompt is None else prompt + (tools or 0)
    made = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
    if made is None and given is not None and total is not None and total >= given:
        made = total - given
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cached_input_tokens=as_int(found.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        image_input_tokens=_of_kind("IMAGE", found.get("promptTokensDetails")),
        audio_input_tokens=_of_kind("AUDIO", found.get("promptTokensDetails")),
        cached_audio_input_tokens=_of_kind("AUDIO", found.get("cacheTokensDetails")),
        service_tier=_tier(found.get("serviceTier")),
    )


def _of_kind(modality: str, found: object) -> int | None:
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict) and each.get("modality") == modality:
            return as_int(each.get("tokenCount"))
    return None


def _tier(found: object) -> str | None:
    word = label(found)
    return word.lower() if word is not None else None
