"""An endpoint that speaks OpenAI's chat completions without being OpenAI: vLLM, DeepSeek, OpenRouter and their like.

It serves whatever model is asked for, lets unknown parameters through, knows ``max_tokens`` as well as its successor, and
shows thoughts in the field ``reasoning_content``.
"""

from typing import Any

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice
from fairlead_simulator.ask import Ask, Thinking
from fairlead_simulator.checks import Path, check, need
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.messages import MessageReader, texts, tools_of
from fairlead_simulator.vendors.openai import chat as openai_chat
from fairlead_simulator.vendors.openai.api import OpenAI
from fairlead_simulator.vendors.openai.chat_answers import ChatWriter
from fairlead_simulator.vendors.openai.models import EFFORTS
from fairlead_simulator.vendors.vendor import Chat, Frames, Plain, Refused, bearer, data, dumps, load

MODELS = ("llama-4-70b", "qwen-3-32b", "deepseek-v4")
CONTEXT = 131_072
LOOSE = {
    name: rule for name, rule in openai_chat.RULES.items() if name not in ("reasoning_effort", "service_tier")
}


class LooseReader(MessageReader):
    """Reads messages: pictures may be given as a bare address."""

    def url(self, value: Any, path: Path) -> str:
        """The address in an ``image_url``."""
        return value if isinstance(value, str) else super().url(value, path)


READER = LooseReader()


class Compatible(OpenAI):
    """``.../chat/completions`` and ``.../models``."""

    name = "compatible"
    models = MODELS

    def read(self, request: Request) -> Chat | Plain:
        """See ``Vendor.read``."""
        path = request.path.rstrip("/")
        if bearer(request) is None:
            raise Refused(401, "Authentication Fails (no api key)", kind="authentication_error")
        if request.method == "GET" and path.endswith("/models"):
            rows = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in MODELS]
            return Plain({"object": "list", "data": rows})
        if request.method == "POST" and path.endswith("/chat/completions"):
            return _read(load(request))
        raise self._unknown(request)


def _read(body: dict[str, Any]) -> Chat:
    need(body, "model", "messages")
    check(body, LOOSE, open_=True)
    system, turns = READER.read(body["messages"])
    tools = tools_of(body.get("tools"))
    openai_chat.check_tools(tools, "tools[{}].function")
    effort = EFFORTS.get(body.get("reasoning_effort") or "none", 0)
    ask = Ask(
        model=body["model"],
        turns=turns,
        system=system,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_tokens") or body.get("max_completion_tokens"),
        stop=texts(body.get("stop"), ("stop",), 16),
        tools=tools,
        parallel=body.get("parallel_tool_calls") is not False,
        thinking=Thinking(effort) if effort else None,
        seed=body.get("seed"),
        n=body.get("n") or 1,
        logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        context_window=CONTEXT,
        cached_from=openai_chat.CACHED_FROM,
        settings={name: value for name, value in body.items() if name not in ("messages", "tools")},
    )
    openai_chat.choose_tool(ask, body.get("tool_choice"))
    openai_chat.shape(ask, body.get("response_format"))
    if ask.input_tokens > CONTEXT:
        message = (
            f"This model's maximum context length is {CONTEXT} tokens, but you requested {ask.input_tokens}."
        )
        raise openai_chat.refused(message, code="context_length_exceeded")
    return Chat(ask, CompatibleWriter({"include_obfuscation": False}))


class CompatibleWriter(ChatWriter):
    """Writes what OpenAI writes, and the thoughts beside it."""

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        found = self.body(ask, answer)
        for row, choice in zip(found["choices"], answer.choices, strict=True):
            if choice.reasoning:
                row["message"]["reasoning_content"] = choice.reasoning
        return dumps(found)

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        frames = super().frames(ask, answer)
        thoughts = [
            data(self._thought(ask, answer, index, piece))
            for index, choice in enumerate(answer.choices)
            for piece in _thoughts(choice)
        ]
        return Frames(frames.begin, [*thoughts, *frames.tokens], frames.end)

    def _thought(self, ask: Ask, answer: Answer, index: int, piece: str) -> dict[str, Any]:
        choice = {
            "index": index,
            "delta": {"reasoning_content": piece},
            "logprobs": None,
            "finish_reason": None,
        }
        return {**self.head(ask, answer, "chat.completion.chunk"), "choices": [choice]}


def _thoughts(choice: Choice) -> list[str]:
    return tokens.pieces(choice.reasoning)
