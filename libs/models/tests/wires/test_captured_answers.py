"""The answers that the vendors' official clients parsed, as our wires read them, cut in every way; none of them is drift."""

import json
from collections.abc import Iterator

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.providers import WIRES
from fairlead_models.unified import ChatChunk, ChatResponse, FinishReason
from fairlead_models.wires.protocol import Wire
from fairlead_models.wires.responses.wire import ResponsesWire

from libs.models.tests.captured import absent, answered, capture, captures

VENDORS = {
    "openai": WIRES["openai-native"],
    "anthropic": WIRES["anthropic"],
    "google": WIRES["google"],
    "mistral": WIRES["mistral"],
    "cohere": WIRES["cohere"],
}
STREAMED = ("chat_stream", "stream_unnamed")


def wire_of(name: str) -> Wire:
    return VENDORS[name.partition("/")[0]]


def whole_answers() -> Iterator[str]:
    for vendor in VENDORS:
        for name in captures(vendor, "chat_", "async_chat", "prompt_blocked"):
            if "chat_stream" not in name:
                yield name


def streamed_answers() -> Iterator[str]:
    for vendor in VENDORS:
        yield from captures(vendor, *STREAMED)


def wanted(name: str) -> tuple[str | None, FinishReason]:
    """(text, finish) of a capture, by its case."""
    case = name.partition("/")[2]
    if case == "prompt_blocked":
        return None, FinishReason.CONTENT_FILTER
    body = json.dumps(capture(name)["responses"][0])
    if "get_weather" in body:
        return None, FinishReason.TOOL_CALLS
    return ('{"city":"Oslo","temp_c":3}' if "temp_c" in body else "Hello there."), FinishReason.STOP


@pytest.mark.parametrize("name", list(whole_answers()))
def test_whole_answers_are_read(name: str) -> None:
    if absent(name):
        return
    before = dict(DRIFT.counts)
    status, headers, body = answered(name)
    assert status == 200
    found = wire_of(name).decode(headers, body)
    assert dict(DRIFT.counts) == before
    choice, (text, finish) = found.choices[0], wanted(name)
    assert choice.finish_reason is finish
    if finish is FinishReason.TOOL_CALLS:
        assert [(c.name, json.loads(c.arguments)) for c in choice.tool_calls] == [
            ("get_weather", {"city": "Oslo"})
        ]
    else:
        assert choice.text == text
    billed = 5 if "cohere" in name else 11
    made = 0 if finish is FinishReason.CONTENT_FILTER else 3
    assert (found.usage.input_tokens, found.usage.output_tokens) == (billed, made)
    if name == "google/prompt_blocked":
        assert choice.refusal == "The prompt was blocked: SAFETY."
    elif "rid" not in name:
        assert found.provider_request_id


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", list(streamed_answers()))
def test_streams_are_read_however_their_bytes_are_split(name: str, size: int) -> None:
    if absent(name):
        return
    before = dict(DRIFT.counts)
    _, _, body = answered(name)
    decoder = wire_of(name).stream_decoder()
    chunks: list[ChatChunk] = []
    for at in range(0, len(body), size):
        chunks += decoder.feed(body[at : at + size])
    decoder.finish()
    assert dict(DRIFT.counts) == before
    text, finish = wanted(name)
    assert [c.finish_reason for c in chunks if c.finish_reason] == [finish]
    if finish is FinishReason.TOOL_CALLS:
        deltas = [delta for chunk in chunks for delta in chunk.tool_calls or ()]
        assert deltas[0].id
        assert [delta.name for delta in deltas if delta.name] == ["get_weather"]
        assert json.loads("".join(delta.arguments for delta in deltas)) == {"city": "Oslo"}
    else:
        assert "".join(chunk.text or "" for chunk in chunks) == text


@pytest.mark.parametrize("name", list(streamed_answers()))
def test_a_stream_cut_anywhere_is_truncated_or_complete(name: str) -> None:
    """Complete only where the protocol's own end, or every finish reason, was there."""
    if absent(name):
        return
    _, _, body = answered(name)
    _, finish = wanted(name)
    complete: list[int] = []
    for at in range(len(body)):
        decoder = wire_of(name).stream_decoder()
        chunks = decoder.feed(body[:at])
        try:
            decoder.finish()
        except ProviderError as error:
            if error.error_class is not ErrorClass.TRUNCATED:
                raise
            assert not complete
        else:
            complete.append(at)
            assert [c.finish_reason for c in chunks if c.finish_reason] == [finish]


@pytest.mark.parametrize("vendor", VENDORS)
def test_captured_streams_that_break_say_how(vendor: str) -> None:
    for name in captures(vendor, "stream_mid_error", "stream_error_finish", "stream_truncated"):
        if absent(name):
            return
        decoder = VENDORS[vendor].stream_decoder()
        _, _, body = answered(name)
        try:
            decoder.feed(body)
            decoder.finish()
        except ProviderError as error:
            found = error.error_class
        expected = (
            ErrorClass.TRUNCATED if "truncated" in name else BROKEN.get(vendor, ErrorClass.STREAM_ERROR)
        )
        assert found is expected, name


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_came_before_an_error_is_given_out_however_the_bytes_are_split(vendor: str) -> None:
    for name in captures(vendor, "stream_mid_error", "stream_error_finish"):
        if absent(name):
            return
        _, _, body = answered(name)
        by_byte = told_before_failing(vendor, [body[at : at + 1] for at in range(len(body))])
        assert told_before_failing(vendor, [body]) == by_byte
        for at in range(len(body)):
            assert told_before_failing(vendor, [body[:at], body[at:]]) == by_byte


def told_before_failing(vendor: str, pieces: list[bytes]) -> tuple[list[ChatChunk], ErrorClass]:
    """The chunks of a stream that fails, and how it fails; the failure is known with the piece that holds it."""
    decoder = VENDORS[vendor].stream_decoder()
    chunks: list[ChatChunk] = []

    def read() -> None:
        for piece in pieces:
            chunks.extend(decoder.feed(piece))
        decoder.finish()

    with pytest.raises(ProviderError) as failed:
        read()
    assert decoder.failure is failed.value
    return chunks, failed.value.error_class


BROKEN = {"anthropic": ErrorClass.OVERLOADED, "google": ErrorClass.OVERLOADED}


@pytest.mark.parametrize("vendor", VENDORS)
def test_lists_of_models_are_read(vendor: str) -> None:
    for name in captures(vendor, "models_list"):
        if absent(name):
            return
        _, _, body = answered(name)
        assert len(VENDORS[vendor].decode_models(body)) == 1


@pytest.mark.parametrize("name", captures("openai", "responses_"))
def test_responses_are_read(name: str) -> None:
    if absent(name):
        return
    before = dict(DRIFT.counts)
    _, headers, body = answered(name)
    wire = ResponsesWire()
    if "stream" not in name:
        found: ChatResponse = wire.decode(headers, body)
        assert (found.choices[0].text, found.choices[0].finish_reason) == ("Hello there.", FinishReason.STOP)
        assert (found.usage.input_tokens, found.usage.output_tokens) == (11, 3)
    else:
        decoder = wire.stream_decoder()
        chunks = [chunk for at in range(len(body)) for chunk in decoder.feed(body[at : at + 1])]
        decoder.finish()
        assert "".join(chunk.text or "" for chunk in chunks) == "Hello there."
        assert chunks[-1].finish_reason is FinishReason.STOP
    assert dict(DRIFT.counts) == before


ONE_VECTOR = {
    "google/embeddings_one",
    "google/embeddings_v2",
    "openai/embeddings_base64_asked_float_returned",
    "openai/embeddings_float",
}


@pytest.mark.parametrize("vendor", ["openai", "google", "mistral", "cohere"])
def test_embeddings_are_read(vendor: str) -> None:
    for name in captures(vendor, "embeddings"):
        if absent(name):
            return
        _, headers, body = answered(name)
        count = 1 if name in ONE_VECTOR else 2
        if name.endswith("_one"):  # the capture server always sent two
            with pytest.raises(ProviderError, match="expected 1 vectors, found 2"):
                VENDORS[vendor].decode_embeddings(headers, body, count)
            continue
        found = VENDORS[vendor].decode_embeddings(headers, body, count)
        assert len(found.vectors) == count
        assert found.vectors[0][0] == pytest.approx(0.1, abs=1e-6)
