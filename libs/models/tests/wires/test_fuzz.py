"""Broken answers by the ten thousand: every decoder gives a well-typed answer or a ProviderError, and nothing else.

Deterministic: the same cases in every run. Each adapter sees ``CASES`` whole answers and ``CASES`` streams.
"""

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import orjson
import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models.errors import ProviderError
from fairlead_models.unified import ChatChunk

from libs.models.tests.wires.checking import check_chunks, check_chunks_written, check_response, check_written
from libs.models.tests.wires.samples import EVENTS, SAMPLED, WHOLE, stream_of

CASES = 10_000
WRITTEN = 0.2
"""Share of the cases that are also written in every inbound format."""
ADAPTERS = ("openai", "responses", "anthropic", "google", "mistral", "cohere")
ALLOWED = {
    ErrorClass.MALFORMED,
    ErrorClass.TRUNCATED,
    ErrorClass.STREAM_ERROR,
    ErrorClass.SERVER_ERROR,
    ErrorClass.OVERLOADED,
    ErrorClass.RATE_LIMITED,
    ErrorClass.QUOTA_EXHAUSTED,
}
WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    3.7,
    1e308,
    2**63,
    "",
    "x",
    "\x00\ud7ff\uffff",
    [],
    [None],
    [[]],
    ["a"],
    {},
    {"a": {}},
    [{}],
    {"type": "text"},
    [{"type": "text", "text": 7}],
    "error",
    {"message": "boom", "code": 503},
)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values inside ``value``."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in nodes(each, (*path, key)))]


def changed(value: Any, draw: random.Random) -> Any:
    """A copy with one to three values replaced, taken out, or doubled."""
    found = orjson.loads(orjson.dumps(value))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        paths = nodes(found)[1:]
        if not paths:
            break
        path = draw.choice(paths)
        holder = found
        for step in path[:-1]:
            holder = holder[step]
        kind = draw.random()
        if kind < 0.7:
            holder[path[-1]] = deepcopy(draw.choice(WRONG))
        elif kind < 0.9 or isinstance(holder, dict):
            del holder[path[-1]]
        else:
            holder.append(deepcopy(holder[path[-1]]))
    return found


def broken(data: bytes, draw: random.Random) -> bytes:
    """``data`` with bytes flipped, cut, doubled or put in."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        if not found:
            break
        at = draw.randrange(len(found))
        kind = draw.random()
        if kind < 0.3:
            found[at] = draw.randrange(256)
        elif kind < 0.5:
            del found[at:]
        elif kind < 0.7:
            del found[at : at + draw.randrange(1, 40)]
        elif kind < 0.85:
            found[at:at] = draw.randbytes(draw.randrange(1, 8))
        else:
            found[at:at] = found[at : at + draw.randrange(1, 200)]
    return bytes(found)


def whole_case(wire: str, draw: random.Random) -> bytes:
    """A whole answer that something is wrong with."""
    if draw.random() < 0.6:
        return orjson.dumps(changed(WHOLE[wire], draw))
    return broken(orjson.dumps(WHOLE[wire]), draw)


def stream_case(wire: str, draw: random.Random) -> bytes:
    """A stream that something is wrong with: a value, the order, an event too many or too few, or its bytes."""
    events = list(EVENTS[wire])
    kind = draw.random()
    if kind < 0.5:
        at = draw.randrange(len(events))
        held = changed(events[at], draw)
        events[at] = held if isinstance(held, dict) else {}
    elif kind < 0.6:
        draw.shuffle(events)
    elif kind < 0.7:
        del events[draw.randrange(len(events))]
    elif kind < 0.75:
        events.append(draw.choice(events))
    body = stream_of(wire, events)
    return broken(body, draw) if kind >= 0.75 else body


def pieces(data: bytes, draw: random.Random) -> list[bytes]:
    """``data`` as the network may bring it."""
    if draw.random() < 0.5:
        return [data]
    size = draw.choice((3, 17, 64, 500))
    return [data[at : at + size] for at in range(0, len(data), size)]


def run(cases: int, seed: str, decode: Callable[[random.Random], None]) -> dict[str, int]:
    """How often ``decode`` gave an answer, and how often which class of error."""
    draw, counts = random.Random(seed), {"answer": 0}
    for _ in range(cases):
        try:
            decode(draw)
        except ProviderError as error:
            if error.error_class not in ALLOWED:
                raise
            counts[error.error_class] = counts.get(error.error_class, 0) + 1
        else:
            counts["answer"] += 1
    return counts


@pytest.mark.parametrize("name", ADAPTERS)
def test_whole_answers(name: str) -> None:
    wire = SAMPLED[name]

    def decode(draw: random.Random) -> None:
        found = wire.decode({}, whole_case(name, draw))
        check_response(found)
        if draw.random() < WRITTEN:
            check_written(found)

    counts = run(CASES, f"whole {name}", decode)
    assert counts[ErrorClass.MALFORMED] > CASES // 10
    assert counts["answer"] > CASES // 20


@pytest.mark.parametrize("name", ADAPTERS)
def test_streams(name: str) -> None:
    wire = SAMPLED[name]

    def decode(draw: random.Random) -> None:
        decoder, chunks = wire.stream_decoder(), list[ChatChunk]()
        try:
            for piece in pieces(stream_case(name, draw), draw):
                chunks += decoder.feed(piece)
            decoder.finish()
        finally:
            check_chunks(chunks)
            if draw.random() < WRITTEN:
                check_chunks_written(chunks)

    counts = run(CASES, f"stream {name}", decode)
    assert counts[ErrorClass.MALFORMED] > CASES // 20
    assert counts["answer"] > CASES // 20


@pytest.mark.parametrize("name", ["openai", "google", "mistral", "cohere"])
def test_vectors(name: str) -> None:
    wire = SAMPLED[name]
    rows: dict[str, Any] = {
        "openai": {
            "object": "list",
            "data": [{"index": 0, "embedding": "AACAPw=="}, {"index": 1, "embedding": [1, 2.5]}],
        },
        "google": {
            "embeddings": [{"values": [0.1]}, {"values": [0.2]}],
            "usageMetadata": {"promptTokenCount": 3},
        },
        "cohere": {
            "id": "e",
            "embeddings": {"float": [[0.1], [0.2]]},
            "meta": {"billed_units": {"input_tokens": 2}},
        },
    }
    sample = rows.get(name, rows["openai"])

    def decode(draw: random.Random) -> None:
        body = (
            orjson.dumps(changed(sample, draw)) if draw.random() < 0.6 else broken(orjson.dumps(sample), draw)
        )
        found = wire.decode_embeddings({}, body, 2)
        assert len(found.vectors) == 2
        assert all(type(number) in (int, float) for vector in found.vectors for number in vector)

    counts = run(2000, f"vectors {name}", decode)
    assert counts[ErrorClass.MALFORMED] > 500


@pytest.mark.parametrize("name", SAMPLED)
def test_errors_never_break_their_reader(name: str) -> None:
    draw = random.Random(name)
    bodies = (
        b'{"error":{"message":"m","type":"t","code":"c","param":"p","details":[{"@type":"RetryInfo"}]}}',
    )
    for _ in range(2000):
        body = broken(draw.choice(bodies), draw)
        held = orjson.dumps(changed(orjson.loads(bodies[0]), draw)) if draw.random() < 0.5 else body
        found = SAMPLED[name].decode_error(draw.choice((400, 429, 500, 503)), {}, held)
        assert isinstance(found.message, str)
        assert found.code is None or isinstance(found.code, str)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_field_of_the_wrong_type_is_never_an_answer(name: str) -> None:
    """Everything that carries content, in turn, as a number, a flag, a list and an object."""
    for path in nodes(WHOLE[name]):
        value = WHOLE[name]
        for step in path:
            value = value[step]
        if not path or path[-1] not in CONTENT or not isinstance(value, str):
            continue
        for wrong in (7, 1.5, True, [], ["x"], {}, {"text": "x"}):
            found = orjson.loads(orjson.dumps(WHOLE[name]))
            holder = found
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = wrong
            if (path[-1], wrong) in OTHERWISE:
                continue
            with pytest.raises(ProviderError) as failed:
                SAMPLED[name].decode({}, orjson.dumps(found))
            assert failed.value.error_class is ErrorClass.MALFORMED


OTHERWISE = [("arguments", {}), ("arguments", {"text": "x"}), ("content", [])]
"""What some compatible endpoints send instead of a text."""
CONTENT = {
    "text",
    "content",
    "refusal",
    "thinking",
    "name",
    "arguments",
    "call_id",
    "finish_reason",
    "stop_reason",
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_huge_event_in_tiny_pieces_ends_soon(name: str) -> None:
    """Work is linear in the bytes: three megabytes in pieces of seven, and then the bound."""
    decoder = SAMPLED[name].stream_decoder()
    decoder.feed(b'data: "')

    def go_on() -> None:
        for _ in range(700_000):
            decoder.feed(b"aaaaaaa")

    with pytest.raises(ProviderError) as failed:
        go_on()
    assert failed.value.error_class is ErrorClass.MALFORMED
