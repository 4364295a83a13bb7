"""How Mistral's chat completions are written, whole and as chunks."""

from typing import Any

from fairlead_simulator.answers import Answer, Choice, logprob
from fairlead_simulator.ask import Ask
from fairlead_simulator.tokens import pieces
from fairlead_simulator.usage import Usage
from fairlead_simulator.vendors.vendor import SSE, Frames, data, dumps

FINISH = {"tool": "tool_calls", "broken_tool": "tool_calls", "length": "length", "filter": "error"}


def usage_of(usage: Usage) -> dict[str, Any]:
    """The usage object; thoughts are part of the completion, and not told apart."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "num_cached_tokens": usage.cached,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


class ChatWriter:
    """Writes ``chat.completion`` and ``chat.completion.chunk`` objects."""

    media = SSE

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        choices = []
        for index, choice in enumerate(answer.choices):
            message = {
                "role": "assistant",
                "content": _content(choice),
                "tool_calls": _calls(answer, choice, index) or None,
                "prefix": False,
            }
            found = {"index": index, "message": message, "finish_reason": FINISH.get(choice.finish, "stop")}
            choices.append({**found, **_logprobs(choice.text, ask)})
        head = {"id": answer.id, "object": "chat.completion", "created": answer.made_at, "model": ask.model}
        return dumps({**head, "choices": choices, "usage": usage_of(answer.usage)})

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``: calls come whole, in the chunk that ends the choice; the last chunk has the usage."""
        head = {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.made_at,
            "model": ask.model,
        }

        def chunk(
            index: int, delta: dict[str, Any], finish: str | None = None, **more: Any
        ) -> dict[str, Any]:
            choice = {"index": index, "delta": delta, "finish_reason": finish}
            return {**head, "choices": [{**choice, **more}]}

        begin = [data(chunk(index, {"role": "assistant", "content": ""})) for index in range(ask.n)]
        found: list[dict[str, Any]] = []
        for index, choice in enumerate(answer.choices):
            found += [chunk(index, {"content": [_thought(piece)]}) for piece in pieces(choice.reasoning)]
            found += [chunk(index, {"content": piece}, **_logprobs(piece, ask)) for piece in choice.pieces]
            calls = _calls(answer, choice, index)
            delta = {"content": "", **({"tool_calls": calls} if calls else {})}
            found.append(chunk(index, delta, FINISH.get(choice.finish, "stop")))
        found[-1]["usage"] = usage_of(answer.usage)
        return Frames(begin, [data(each) for each in found], [b"data: [DONE]\n\n"])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        return data(
            {
                "object": "error",
                "message": "Internal server error",
                "type": "internal_server_error",
                "param": None,
                "code": "1000",
            }
        )

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``: chunks have no types."""
        return b""


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _content(choice: Choice) -> Any:
    if not choice.reasoning:
        return choice.text
    return [{**_thought(choice.reasoning), "closed": True}, {"type": "text", "text": choice.text}]


def _calls(answer: Answer, choice: Choice, index: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{answer.id[:7]}{index % 10}{position % 10}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.text},
            "index": position,
        }
        for position, call in enumerate(choice.calls)
    ]


def _logprobs(text: str, ask: Ask) -> dict[str, Any]:
    if ask.logprobs is None:
        return {}
    content = [
        {**_logprob(piece, 0), "top_logprobs": [_logprob(piece, place) for place in range(ask.logprobs)]}
        for piece in pieces(text)
    ]
    return {"logprobs": {"content": content}}


def _logprob(token: str, place: int) -> dict[str, Any]:
    text = token if place == 0 else f"{token}{place}"
    return {
        "token": text,
        "logprob": logprob(token) - place,
        "bytes": list(text.encode()),
        "token_id": sum(text.encode()),
    }
