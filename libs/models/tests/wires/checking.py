"""What any decoded answer must be, whatever the bytes were: well typed, so that it cannot break anything later."""

import json

from fairlead_models.inbound.formats import FORMATS
from fairlead_models.unified import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    Choice,
    FinishReason,
    Message,
    Thought,
    Usage,
)

TARGET = "provider/model"


def check_response(found: ChatResponse) -> None:
    """A whole answer: typed and finished."""
    assert found.choices
    for choice in found.choices:
        check_choice(choice)
    check_usage(found.usage)
    for text in (found.id, found.model, found.provider_request_id):
        assert text is None or isinstance(text, str)


def check_written(found: ChatResponse) -> None:
    """Every inbound format can write it."""
    for form in FORMATS.values():
        json.loads(form.render(found, "r1", TARGET))


def check_choice(choice: Choice) -> None:
    """One choice of a whole answer."""
    assert isinstance(choice.index, int)
    assert isinstance(choice.finish_reason, FinishReason)
    assert choice.finish_reason is not FinishReason.ERROR
    for text in (choice.text, choice.refusal, choice.vendor_finish, choice.stop_sequence):
        assert text is None or isinstance(text, str)
    for call in choice.tool_calls:
        assert call.id
        assert all(isinstance(part, str) for part in (call.id, call.name, call.arguments))
    for thought in choice.thoughts:
        check_thought(thought)


def check_thought(thought: Thought) -> None:
    """A thought, whole or as the seal of a streamed one."""
    for text in (thought.text, thought.seal, thought.wire, thought.id, thought.call_id):
        assert text is None or isinstance(text, str)


def check_usage(usage: Usage) -> None:
    """Whole numbers of at least 0, or unknown."""
    counts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
    assert all(count is None or (type(count) is int and count >= 0) for count in counts)


def check_chunks(chunks: list[ChatChunk]) -> None:
    """What came of a stream: typed."""
    for chunk in chunks:
        assert isinstance(chunk.index, int)
        for text in (chunk.text, chunk.reasoning, chunk.refusal, chunk.id, chunk.vendor_finish):
            assert text is None or isinstance(text, str)
        assert chunk.finish_reason is None or isinstance(chunk.finish_reason, FinishReason)
        for call in chunk.tool_calls or ():
            assert isinstance(call.index, int)
            assert isinstance(call.arguments, str)
        if chunk.usage is not None:
            check_usage(chunk.usage)
        if chunk.thought is not None:
            check_thought(chunk.thought)


def check_chunks_written(chunks: list[ChatChunk]) -> None:
    """Every inbound format can write it."""
    request = ChatRequest("m", [Message("user", "Hi")], include_usage=True)
    for form in FORMATS.values():
        written = form.stream_renderer(request, "r1", TARGET, 1)
        out = [written.begin(), *(written.chunk(chunk) for chunk in chunks)]
        out.append(written.error("broke", "stream_error", None))
        assert isinstance(b"".join(out), bytes)
