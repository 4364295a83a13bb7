"""Unified answers of many kinds, whole and as the chunks of a stream, for the tests of the inbound formats."""

from collections.abc import Callable
from dataclasses import dataclass

from fairlead_models.inbound.protocol import InboundFormat, StreamRenderer
from fairlead_models.unified import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    Thought,
    ToolCall,
    ToolCallDelta,
    Usage,
)

USAGE = Usage(120, 30, cached_input_tokens=80, cache_write_tokens=20, reasoning_tokens=7)
TARGET = "google/gemini-3.8-flash"
WEATHER = '{"city":"Oslo"}'


@dataclass(frozen=True)
class Kind:
    """The same answer in both ways."""

    choice: Callable[[], Choice]
    chunks: Callable[[], list[ChatChunk]]


def _text() -> Choice:
    return Choice(text="Hello there.", finish_reason=FinishReason.STOP)


def _text_chunks() -> list[ChatChunk]:
    return [
        ChatChunk(text="Hello"),
        ChatChunk(text=" there."),
        ChatChunk(finish_reason=FinishReason.STOP, usage=USAGE),
    ]


def _cut() -> Choice:
    return Choice(text="Hello", finish_reason=FinishReason.LENGTH)


def _cut_chunks() -> list[ChatChunk]:
    return [ChatChunk(text="Hello"), ChatChunk(finish_reason=FinishReason.LENGTH)]


def _thought() -> Choice:
    return Choice(
        text="Four.",
        thoughts=[Thought("Two and two.", "c2VhbA==", "google")],
        finish_reason=FinishReason.STOP,
    )


def _thought_chunks() -> list[ChatChunk]:
    return [
        ChatChunk(reasoning="Two and"),
        ChatChunk(reasoning=" two."),
        ChatChunk(thought=Thought(seal="c2VhbA==", wire="google")),
        ChatChunk(text="Four."),
        ChatChunk(finish_reason=FinishReason.STOP),
    ]


def _unsealed() -> Choice:
    return Choice(
        text="Four.", thoughts=[Thought("Two and two.", wire=None)], finish_reason=FinishReason.STOP
    )


def _unsealed_chunks() -> list[ChatChunk]:
    return [
        ChatChunk(reasoning="Two and two."),
        ChatChunk(text="Four."),
        ChatChunk(finish_reason=FinishReason.STOP),
    ]


def _calls() -> Choice:
    return Choice(
        text="Let me look.",
        thoughts=[Thought(seal="c2lnbg==", wire="google", call_id="call_a")],
        tool_calls=[
            ToolCall("call_a", "get_weather", WEATHER),
            ToolCall("call_b", "get_time", "{}"),
        ],
        finish_reason=FinishReason.TOOL_CALLS,
    )


def _call_chunks() -> list[ChatChunk]:
    return [
        ChatChunk(text="Let me look."),
        ChatChunk(
            tool_calls=[ToolCallDelta(0, "call_a", "get_weather", "")],
            thought=Thought(seal="c2lnbg==", wire="google", call_id="call_a"),
        ),
        ChatChunk(tool_calls=[ToolCallDelta(0, arguments='{"city":')]),
        ChatChunk(tool_calls=[ToolCallDelta(0, arguments='"Oslo"}')]),
        ChatChunk(tool_calls=[ToolCallDelta(1, "call_b", "get_time", "{}")]),
        ChatChunk(finish_reason=FinishReason.TOOL_CALLS),
    ]


def _refused() -> Choice:
    return Choice(refusal="I cannot help with that.", finish_reason=FinishReason.CONTENT_FILTER)


def _refused_chunks() -> list[ChatChunk]:
    return [
        ChatChunk(refusal="I cannot help with that."),
        ChatChunk(finish_reason=FinishReason.CONTENT_FILTER),
    ]


KINDS = {
    "text": Kind(_text, _text_chunks),
    "cut": Kind(_cut, _cut_chunks),
    "thought": Kind(_thought, _thought_chunks),
    "unsealed": Kind(_unsealed, _unsealed_chunks),
    "calls": Kind(_calls, _call_chunks),
    "refused": Kind(_refused, _refused_chunks),
}


def whole(form: InboundFormat, kind: str) -> bytes:
    """The answer of this kind as a body."""
    response = ChatResponse("up_1", "gemini", [KINDS[kind].choice()], USAGE)
    return form.render(response, "r1", TARGET)


def renderer(form: InboundFormat) -> StreamRenderer:
    """A fresh renderer for a caller who wants usage."""
    request = ChatRequest("any", [Message("user", "Hi")], stream=True, include_usage=True)
    return form.stream_renderer(request, "r1", TARGET, 1_790_000_000)


def streamed(form: InboundFormat, kind: str) -> bytes:
    """The answer of this kind as a stream."""
    written = renderer(form)
    body = written.begin() + b"".join(written.chunk(chunk) for chunk in KINDS[kind].chunks())
    return body + written.done(USAGE)
