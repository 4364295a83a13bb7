"""Events from bytes: any split gives the same, whatever ends the lines."""

from itertools import pairwise

import pytest
from fairlead_models.sse import MAX_EVENT_BYTES, SseEvent, SseParser, SseTooLarge
from hypothesis import given
from hypothesis import strategies as st

BODY = (
    b"\xef\xbb\xbf: a comment\r\n"
    b"event: first\r\ndata: one\r\ndata:two\r\nid: 7\r\nretry: 9\r\n\r\n"
    b"data\r\rdata:  \xe2\x82\xac \n\nevent: lonely\n\nunknown: x\ndata: three\r\n\r\n"
)
EVENTS = [
    SseEvent("first", b"one\ntwo"),
    SseEvent("", b""),
    SseEvent("", b" \xe2\x82\xac "),
    SseEvent("", b"three"),
]


def parse(*pieces: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_fields_comments_and_line_ends() -> None:
    assert parse(BODY) == EVENTS


@given(st.sets(st.integers(0, len(BODY))))
def test_any_split_gives_the_same_events(cuts: set[int]) -> None:
    places = sorted({0, len(BODY), *cuts})
    assert parse(*(BODY[a:b] for a, b in pairwise(places))) == EVENTS


def test_one_byte_at_a_time_gives_the_same_events() -> None:
    assert parse(*(BODY[i : i + 1] for i in range(len(BODY)))) == EVENTS


def test_an_event_without_its_blank_line_has_not_come() -> None:
    assert parse(b"data: x\n") == []
    assert parse(b"data: x\n", b"\n") == [SseEvent("", b"x")]
    assert parse(b"data: x\r", b"\n\r", b"\n") == [SseEvent("", b"x")]


@given(st.binary(max_size=300), st.integers(1, 9))
def test_garbage_is_no_obstacle(garbage: bytes, size: int) -> None:
    pieces = [garbage[i : i + size] for i in range(0, len(garbage), size)]
    assert parse(*pieces) == parse(garbage)


@pytest.mark.parametrize("size", [1024, 65536, MAX_EVENT_BYTES + 1])
def test_an_endless_event_is_refused(size: int) -> None:
    parser = SseParser()
    piece = b"x" * size

    def go_on() -> None:
        parser.feed(b"data: ")
        for _ in range(MAX_EVENT_BYTES // size + 2):
            parser.feed(piece)

    with pytest.raises(SseTooLarge):
        go_on()


def test_many_lines_of_one_event_are_bounded_too() -> None:
    parser = SseParser()
    lines = b"data: " + b"x" * 1000 + b"\n"

    def go_on() -> None:
        for _ in range(MAX_EVENT_BYTES // 1000 + 2):
            parser.feed(lines)

    with pytest.raises(SseTooLarge):
        go_on()


def test_large_events_after_each_other_are_fine() -> None:
    event = b"data: " + b"x" * (MAX_EVENT_BYTES // 2) + b"\n\n"
    assert len(parse(event, event, event)) == 3
