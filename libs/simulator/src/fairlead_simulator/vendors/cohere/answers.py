"""How Cohere's chat answers are written, whole and as events."""

from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice, logprob
from fairlead_simulator.ask import Ask, Call
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors.vendor import SSE, Frames, dumps, event

FINISH = {
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool": "TOOL_CALL",
    "broken_tool": "TOOL_CALL",
    "filter": "ERROR",
}
PREAMBLE_TOKENS = 60
"""What the model reads beside the prompt; it is counted, and not billed."""


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object: what is billed, what was counted, and what came from the cache."""
    billed = {"input_tokens": usage.input, "output_tokens": usage.output}
    counted = {"input_tokens": usage.input + PREAMBLE_TOKENS, "output_tokens": usage.output}
    return {"billed_units": billed, "tokens": counted, "cached_tokens": usage.cached}


class ChatWriter:
    """Writes chat answers and their events."""

    media = SSE

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        choice = answer.first
        content: list[dict[str, Any]] = []
        if choice.reasoning:
            content.append({"type": "thinking", "thinking": choice.reasoning})
        if choice.text:
            content.append({"type": "text", "text": choice.text})
        message: dict[str, Any] = {"role": "assistant", **({"content": content} if content else {})}
        if choice.calls:
            message |= {
                "tool_plan": _plan(choice),
                "tool_calls": [_call(call, call.text) for call in choice.calls],
            }
        finish = FINISH.get(choice.finish, "COMPLETE")
        found: dict[str, Any] = {
            "id": answer.id,
            "finish_reason": finish,
            "message": message,
            "usage": usage_of(answer.usage),
        }
        if ask.logprobs is not None:
            found["logprobs"] = [_logprob(piece) for piece in choice.pieces]
        return dumps(found)

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        choice = answer.first
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        begin = [_event("message-start", id=answer.id, delta={"message": message})]
        found = _content(0, "thinking", tokens.pieces(choice.reasoning), None)
        found += _content(1 if choice.reasoning else 0, "text", choice.pieces, ask.logprobs)
        if choice.calls:
            plan = tokens.pieces(_plan(choice))
            found += [_event("tool-plan-delta", delta={"message": {"tool_plan": piece}}) for piece in plan]
        for index, call in enumerate(choice.calls):
            found += _call_frames(index, call)
        finish = {"finish_reason": FINISH.get(choice.finish, "COMPLETE"), "usage": usage_of(answer.usage)}
        return Frames(begin, found, [_event("message-end", id=answer.id, delta=finish)])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``: the stream ends with the finish reason ERROR."""
        usage = usage_of(Usage())
        return _event(
            "message-end", delta={"finish_reason": "ERROR", "error": "internal server error", "usage": usage}
        )

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``."""
        return _event("simulated-event")


def _event(kind: str, **fields: Any) -> bytes:
    return event(kind, {"type": kind, **fields})


def _plan(choice: Choice) -> str:
    return f"I will use {', '.join(call.name for call in choice.calls)}."


def _call(call: Call, arguments: str) -> dict[str, Any]:
    identity = f"{call.name}_{call.id}"
    return {"id": identity, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _content(index: int, kind: str, pieces: list[str], logprobs: int | None) -> list[bytes]:
    """Events of one content block; the first delta carries its start along, the last its end."""
    if not pieces:
        return []
    found = []
    for piece in pieces:
        more = {} if logprobs is None else {"logprobs": _logprob(piece)}
        found.append(
            _event("content-delta", index=index, delta={"message": {"content": {kind: piece}}}, **more)
        )
    start = {"message": {"content": {"type": kind, kind: ""}}}
    found[0] = _event("content-start", index=index, delta=start) + found[0]
    found[-1] += _event("content-end", index=index)
    return found


def _call_frames(index: int, call: Call) -> list[bytes]:
    found = [_event("tool-call-start", index=index, delta={"message": {"tool_calls": _call(call, "")}})]
    for piece in tokens.slices(call.text):
        delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
        found.append(_event("tool-call-delta", index=index, delta=delta))
    found[-1] += _event("tool-call-end", index=index)
    return found


def _logprob(piece: str) -> dict[str, Any]:
    return {"text": piece, "token_ids": [sum(piece.encode())], "logprobs": [logprob(piece)]}
