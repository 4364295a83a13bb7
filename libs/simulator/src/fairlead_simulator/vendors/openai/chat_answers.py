"""How OpenAI's chat completions are written, whole and as chunks."""

from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice, logprob
from fairlead_simulator.ask import Ask
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors.vendor import SSE, Frames, data, dumps

FINISH = {"tool": "tool_calls", "broken_tool": "tool_calls", "length": "length", "filter": "content_filter"}


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object: cached tokens are part of the prompt, thoughts part of the completion."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "audio_tokens": 0,
            "cache_write_tokens": usage.written,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs_of(text: str, top: int) -> list[dict[str, Any]]:
    """Log probabilities of each piece of ``text``, with ``top`` alternatives."""
    return [
        {
            **_logprob(piece, logprob(piece)),
            "top_logprobs": [_logprob(piece, logprob(piece))][:top]
            + [_logprob(f"{piece}{i}", logprob(piece) - i) for i in range(1, top)],
        }
        for piece in tokens.pieces(text)
    ]


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


class ChatWriter:
    """Writes ``chat.completion`` and ``chat.completion.chunk`` objects."""

    media = SSE

    def __init__(self, stream_options: dict[str, Any]) -> None:
        self._obfuscated = stream_options.get("include_obfuscation") is not False

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        return dumps(self.body(ask, answer))

    def body(self, ask: Ask, answer: Answer) -> dict[str, Any]:
        """The whole answer."""
        choices: list[dict[str, Any]] = [
            {
                "index": index,
                "message": self._message(choice),
                "logprobs": _logprobs(ask, choice),
                "finish_reason": FINISH.get(choice.finish, "stop"),
            }
            for index, choice in enumerate(answer.choices)
        ]
        head = self.head(ask, answer, "chat.completion")
        return {**head, "choices": choices, "usage": usage_of(answer.usage)}

    @staticmethod
    def head(ask: Ask, answer: Answer, kind: str) -> dict[str, Any]:
        """What whole answers and chunks have in common."""
        return {
            "id": f"chatcmpl-{answer.id}",
            "object": kind,
            "created": answer.made_at,
            "model": ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }

    @staticmethod
    def _message(choice: Choice) -> dict[str, Any]:
        refuses = choice.finish == "refusal"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refuses or choice.calls else choice.text,
            "refusal": choice.text if refuses else None,
            "annotations": [],
        }
        if choice.calls:
            message["tool_calls"] = [
                {
                    "id": f"call_{call.id}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.text},
                }
                for call in choice.calls
            ]
        return message

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        head = self.head(ask, answer, "chat.completion.chunk")
        if ask.include_usage:
            head["usage"] = None

        def chunk(
            index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None
        ) -> bytes:
            choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            padding = {"obfuscation": "simulated"[: 1 + len(delta)]} if self._obfuscated else {}
            return data({**head, "choices": [choice], **padding})

        begin, found, end = [], [], []
        for index, choice in enumerate(answer.choices):
            content = None if choice.calls else ""
            begin.append(chunk(index, {"role": "assistant", "content": content, "refusal": None}))
            field = "refusal" if choice.finish == "refusal" else "content"
            for piece in choice.pieces:
                listed = (
                    None
                    if ask.logprobs is None
                    else {"content": logprobs_of(piece, ask.logprobs), "refusal": None}
                )
                found.append(chunk(index, {field: piece}, logprobs=listed))
            found += [chunk(index, {"tool_calls": [delta]}) for delta in _call_deltas(choice)]
            end.append(chunk(index, {}, FINISH.get(choice.finish, "stop")))
        if ask.include_usage:
            end.append(data({**head, "choices": [], "usage": usage_of(answer.usage)}))
        return Frames(begin, found, [*end, b"data: [DONE]\n\n"])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        message = "The server had an error while processing your request. Sorry about that!"
        return data({"error": {"message": message, "type": "server_error", "param": None, "code": None}})

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``: chunks have no types."""
        return b""


def _logprobs(ask: Ask, choice: Choice) -> dict[str, Any] | None:
    if ask.logprobs is None:
        return None
    return {"content": logprobs_of(choice.text, ask.logprobs), "refusal": None}


def _call_deltas(choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, call in enumerate(choice.calls):
        function = {"name": call.name, "arguments": ""}
        found.append({"index": index, "id": f"call_{call.id}", "type": "function", "function": function})
        found += [{"index": index, "function": {"arguments": piece}} for piece in tokens.slices(call.text)]
    return found
