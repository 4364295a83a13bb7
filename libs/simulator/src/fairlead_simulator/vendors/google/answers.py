"""How Gemini's content is written: whole, as events, or as one JSON array."""

from base64 import b64encode
from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice, logprob
from fairlead_simulator.ask import Ask
from fairlead_simulator.vendors.google import models
from fairlead_simulator.vendors.vendor import JSON, SSE, Frames, data, dumps

FINISH = {
    "length": "MAX_TOKENS",
    "window": "MAX_TOKENS",
    "refusal": "SAFETY",
    "filter": "SAFETY",
    "broken_tool": "MALFORMED_FUNCTION_CALL",
}
SIGNATURE = b64encode(b"a signature of the simulator").decode()


class ContentWriter:
    """Writes ``GenerateContentResponse`` objects. A stream is server-sent events, or one JSON array."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self.media = SSE if events else JSON

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        candidates = [
            _candidate(index, _parts(ask, choice), choice, ask) for index, choice in enumerate(answer.choices)
        ]
        return dumps(_body(ask, answer, candidates, done=True))

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        found: list[Any] = []
        ends: list[Any] = []
        for index, choice in enumerate(answer.choices):
            found += [
                _body(ask, answer, [_candidate(index, [part])], done=False) for part in _streamed(ask, choice)
            ]
            last = [] if choice.finish in ("refusal", "broken_tool") else [{"text": ""}]
            ends.append(_body(ask, answer, [_candidate(index, last, choice, ask)], done=index == ask.n - 1))
        if answer.blocked:
            ends.append(_body(ask, answer, [], done=True))
        if self._events:
            return Frames([], [data(each) for each in found], [data(each) for each in ends])
        pieces = [(b",\r\n" if place else b"[") + dumps(each) for place, each in enumerate([*found, *ends])]
        return Frames([], pieces[: len(found)], [*pieces[len(found) :], b"]"])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        message = "The service is currently unavailable."
        error = {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}
        return data(error) if self._events else b",\r\n" + dumps(error) + b"]"

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``: chunks have no types."""
        return b""


def _body(ask: Ask, answer: Answer, candidates: list[Any], *, done: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"candidates": candidates}
    if answer.blocked:
        ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH"}]
        found = {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": ratings}}
    usage = _usage(ask, answer, done=done)
    return {**found, "usageMetadata": usage, "modelVersion": ask.model, "responseId": answer.id}


def _usage(ask: Ask, answer: Answer, *, done: bool) -> dict[str, Any]:
    """Cached tokens are part of the prompt's; thoughts are counted apart from the candidates'."""
    usage = answer.usage
    pictures = sum(image.tokens for image in ask.images)
    details = [{"modality": "TEXT", "tokenCount": usage.input - pictures}]
    details += [{"modality": "IMAGE", "tokenCount": pictures}] if pictures else []
    found: dict[str, Any] = {"promptTokenCount": usage.input, "promptTokensDetails": details}
    if usage.cached:
        found["cachedContentTokenCount"] = usage.cached
        found["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached}]
    if not done or answer.blocked:
        return {**found, "totalTokenCount": usage.input}
    found["candidatesTokenCount"] = usage.output - usage.reasoning
    if usage.reasoning:
        found["thoughtsTokenCount"] = usage.reasoning
    return {**found, "totalTokenCount": usage.total}


def _candidate(
    index: int, parts: list[dict[str, Any]], choice: Choice | None = None, ask: Ask | None = None
) -> dict[str, Any]:
    """One candidate; with ``choice`` it is the finished one."""
    content: dict[str, Any] = {"role": "model"}
    if parts:
        content["parts"] = parts
    found: dict[str, Any] = {"content": content, "index": index}
    if choice is None or ask is None:
        return found
    found["finishReason"] = FINISH.get(choice.finish, "STOP")
    if choice.finish == "broken_tool":
        found["finishMessage"] = f"Malformed function call: {choice.calls[0].name}({choice.calls[0].text}"
    if choice.finish in ("refusal", "filter"):
        found["safetyRatings"] = [
            {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        ]
    if ask.logprobs is not None and choice.text:
        found |= _logprobs(choice, ask.logprobs)
    return found


def _logprobs(choice: Choice, top: int) -> dict[str, Any]:
    chosen = [_logprob(piece, logprob(piece)) for piece in choice.pieces]
    others = [
        {
            "candidates": [
                _logprob(piece if place == 0 else f"{piece}{place}", logprob(piece) - place)
                for place in range(max(1, top))
            ]
        }
        for piece in choice.pieces
    ]
    total = sum(each["logProbability"] for each in chosen)
    result = {"chosenCandidates": chosen, "topCandidates": others, "logProbabilitySum": total}
    return {"avgLogprobs": total / len(chosen), "logprobsResult": result}


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "tokenId": sum(token.encode()), "logProbability": value}


def _parts(ask: Ask, choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if ask.thinking is not None and ask.thinking.shown and choice.reasoning:
        found.append({"text": choice.reasoning, "thought": True})
    if choice.text and choice.finish != "refusal":
        found.append({"text": choice.text})
    return found + _calls(ask, choice)


def _calls(ask: Ask, choice: Choice) -> list[dict[str, Any]]:
    if choice.finish == "broken_tool":
        return []
    found: list[dict[str, Any]] = [
        {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}} for call in choice.calls
    ]
    if found and "signed" in models.MODELS[ask.model].traits:
        found[0]["thoughtSignature"] = SIGNATURE
    return found


def _streamed(ask: Ask, choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if ask.thinking is not None and ask.thinking.shown:
        found += [{"text": piece, "thought": True} for piece in tokens.pieces(choice.reasoning)]
    if choice.finish != "refusal":
        found += [{"text": piece} for piece in choice.pieces]
    return found + _calls(ask, choice)
