"""Going on with a broken answer: what is asked for the rest, and that nothing is lost or said twice at the seam."""

from typing import Any

import pytest
from fairlead_models.continuation import (
    INSTRUCTION,
    Handover,
    allows_continuation,
    anchor,
    continued,
    handover,
    joined,
)
from fairlead_models.inbound.formats import FORMATS
from fairlead_models.unified import ChatRequest, Format, Message, ResponseFormat
from hypothesis import assume, given
from hypothesis import strategies as st

TEXTS = st.text(st.sampled_from("abcdefghij éß世界.,\n\t-0"), min_size=2, max_size=200)
WAYS = st.sampled_from(Handover)


def asked(**more: Any) -> ChatRequest:
    return ChatRequest("any", [Message("user", "Hi")], **more)


def pieces(text: str, sizes: list[int]) -> list[str]:
    """``text`` cut after so many characters each time; the rest is the last piece."""
    found = []
    for size in sizes:
        found.append(text[:size])
        text = text[size:]
    return [*found, text]


def shown(partial: str, opening: list[str], way: Handover) -> str:
    """What the caller has at the end, when the next model's text comes in these pieces."""
    held = ""
    for place, piece in enumerate(opening, 1):
        held += piece
        found = joined(partial, held, way, ended=place == len(opening))
        if found is not None:
            return partial + found + "".join(opening[place:])
    raise AssertionError("the end decides")


def longest_common(base: str, said: str) -> int:
    return next(size for size in range(len(said), -1, -1) if base.endswith(said[:size]))


# what is asked


@pytest.mark.parametrize(
    ("wire", "model", "more", "expected"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", {}, Handover.PREFILL),
        ("anthropic", "claude-3-7-sonnet-latest", {}, Handover.PREFILL),
        ("anthropic", "claude-opus-4-1", {}, Handover.PREFILL),
        ("anthropic", "claude-haiku-4-5", {"reasoning_effort": "low"}, Handover.INSTRUCTION),
        ("anthropic", "claude-haiku-4-5", {"reasoning_budget_tokens": 2048}, Handover.INSTRUCTION),
        ("anthropic", "claude-opus-4-8", {}, Handover.INSTRUCTION),
        ("anthropic", "claude-sonnet-4-6", {}, Handover.INSTRUCTION),
        ("anthropic", "claude-haiku-5-5", {}, Handover.INSTRUCTION),
        ("mistral", "mistral-medium-3-5", {}, Handover.PREFIX),
        ("openai", "gpt-5.4-mini", {}, Handover.INSTRUCTION),
        ("google", "gemini-3.8-flash", {"reasoning_effort": "none"}, Handover.INSTRUCTION),
    ],
)
def test_who_takes_a_begun_answer(wire: str, model: str, more: dict[str, Any], expected: Handover) -> None:
    assert handover(asked(**more), wire, model) is expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"n": 1, "response_format": ResponseFormat("text")}, True),
        ({"n": 2}, False),
        ({"logprobs": True}, False),
        ({"response_format": ResponseFormat("json_object")}, False),
        ({"response_format": ResponseFormat("json_schema")}, False),
    ],
)
def test_only_plain_text_is_continued(more: dict[str, Any], expected: bool) -> None:
    assert allows_continuation(asked(**more)) is expected


def test_what_is_left_of_the_callers_limit_is_asked_for() -> None:
    assert continued(asked(max_output_tokens=100), "One", Handover.PREFILL, 30).max_output_tokens == 70
    assert continued(asked(max_output_tokens=100), "One", Handover.PREFILL, 130).max_output_tokens == 1
    assert continued(asked(), "One", Handover.PREFILL, 30).max_output_tokens is None


def test_a_begun_answer_ends_with_no_white_space() -> None:
    """Anthropic refuses white space at the end, and tokens mostly begin with it."""
    (_, begun) = continued(asked(), "One two \n", Handover.PREFILL, 0).messages
    assert (begun.role, begun.content) == ("assistant", "One two")
    (_, begun, told) = continued(asked(), "One two \n", Handover.INSTRUCTION, 0).messages
    assert (begun.content, told.role, told.content) == ("One two", "user", INSTRUCTION + "One two")


@pytest.mark.parametrize(
    ("path", "format_", "body", "where"),
    [
        (
            "/v1/chat/completions",
            Format.OPENAI_CHAT,
            b'{"messages":[{"role":"user","content":"Hi"}],',
            "messages",
        ),
        (
            "/v1/messages",
            Format.ANTHROPIC_MESSAGES,
            b'{"messages":[{"role":"user","content":"Hi"}],',
            "messages",
        ),
        ("/v1/responses", Format.OPENAI_RESPONSES, b'{"input":"Hi",', "input"),
        ("/v1/responses", Format.OPENAI_RESPONSES, b'{"input":[{"role":"user","content":"Hi"}],', "input"),
    ],
)
def test_the_callers_own_body_gets_the_turns_too(path: str, format_: Format, body: bytes, where: str) -> None:
    request = FORMATS[path].parse(body + b'"model":"any","max_tokens":50,"stream":true}')
    again = continued(request, "One", Handover.INSTRUCTION, 0)
    raw = again.raw_in(format_)
    assert raw is not None
    assert [each["role"] for each in raw[where]] == ["user", "assistant", "user"]
    assert raw[where][1]["content"] == "One"
    assert request.messages == again.messages[:1], "the request itself is as it was"
    assert request.raw is not None
    assert request.raw[where] != raw[where]


def test_the_anchor_begins_at_a_word() -> None:
    base = " ".join(f"word{number}" for number in range(40))
    assert base.endswith(f" {anchor(base)}")
    assert 16 <= len(anchor(base)) <= 80
    assert anchor("short") == "short"
    assert anchor("a" * 200) == "a" * 80
    assert anchor("x " + "b" * 79 + " c") == "b" * 78 + " c", "too little is left behind the only space"


# the seam


@pytest.mark.parametrize(
    ("partial", "opening", "way", "expected"),
    [
        ("The quick bro", "The quick brown fox", Handover.INSTRUCTION, "wn fox"),
        ("The quick brown", "fox", Handover.INSTRUCTION, " fox"),
        ("The quick brown", " fox", Handover.INSTRUCTION, " fox"),
        ("The quick brown ", "fox", Handover.INSTRUCTION, "fox"),
        ("The quick brown ", "\n fox", Handover.INSTRUCTION, "fox"),
        ("The end.", "Next", Handover.INSTRUCTION, " Next"),
        ("The end", ".", Handover.INSTRUCTION, "."),
        ("世界", "和平", Handover.INSTRUCTION, "和平"),
        ("The quick brown", "\n\nThe quick brown fox", Handover.INSTRUCTION, " fox"),
        ("One.\n\n", "One.\n\nTwo.", Handover.INSTRUCTION, "Two."),
        ("One.\n\n", "One. Two.", Handover.INSTRUCTION, "Two."),
        ("One.\n\n", "One.", Handover.INSTRUCTION, ""),
        ("def f():\n    ", "\n    return 1", Handover.PREFILL, "return 1"),
        ("bon", "bon", Handover.PREFILL, "bon"),
        ("Hel", "lo", Handover.PREFILL, "lo"),
        ("Hi", "Hi there", Handover.PREFIX, " there"),
        ("Hi ", "Hi there", Handover.PREFIX, "there"),
        ("a" * 30, "a" * 30, Handover.PREFILL, "a" * 30),
        ("| Oslo is far | 0 |\n" * 2, "\n| Oslo is far | 0 |\n", Handover.PREFILL, "| Oslo is far | 0 |\n"),
        ("He measured latency twice", " measured latency twice, then", Handover.PREFILL, ", then"),
        ("One", "", Handover.PREFILL, ""),
        ("One ", " ", Handover.PREFILL, ""),
    ],
)
def test_what_goes_out_behind_the_seam(partial: str, opening: str, way: Handover, expected: str) -> None:
    assert joined(partial, opening, way, ended=True) == expected


@given(TEXTS, st.data())
def test_a_model_that_repeats_the_last_words_gives_the_whole_text(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(text)), "cut")
    partial = text[:cut]
    base = partial.rstrip()
    assume(base)
    back = data.draw(st.integers(len(anchor(base)), len(base)), "repeated characters")
    opening = text[len(base) - back :]
    assume(opening == opening.lstrip())
    assume(longest_common(base, opening) == back)  # a periodic text does not show how much of it is repeated
    sizes = data.draw(st.lists(st.integers(0, 7)), "sizes")
    assert shown(partial, pieces(opening, sizes), Handover.INSTRUCTION) == text


@given(TEXTS, st.data())
def test_a_model_that_goes_on_gives_the_whole_text(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(text)), "cut")
    partial = text[:cut]
    base = partial.rstrip()
    opening = text[len(base) :]
    assume(longest_common(base, opening.lstrip()) < 16)
    sizes = data.draw(st.lists(st.integers(0, 7)), "sizes")
    assert shown(partial, pieces(opening, sizes), Handover.PREFILL) == text


@given(TEXTS, st.data())
def test_an_answer_that_begins_with_the_prefix_gives_the_whole_text(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(text)), "cut")
    partial = text[:cut]
    assume(partial.strip() and text == text.lstrip())
    sizes = data.draw(st.lists(st.integers(0, 7)), "sizes")
    assert shown(partial, pieces(text, sizes), Handover.PREFIX) == text


@given(TEXTS, TEXTS, WAYS, st.lists(st.integers(0, 7)))
def test_it_does_not_matter_in_what_pieces_a_text_comes(
    partial: str, opening: str, way: Handover, sizes: list[int]
) -> None:
    assert shown(partial, pieces(opening, sizes), way) == shown(partial, [opening], way)


@given(TEXTS, TEXTS, WAYS)
def test_nothing_is_made_up_and_nothing_lost_but_what_was_said_already(
    partial: str, opening: str, way: Handover
) -> None:
    found = joined(partial, opening, way, ended=True)
    assert found is not None
    if opening.endswith(found):
        cut = opening[: len(opening) - len(found)]
        assert cut.strip() == "" or partial.rstrip().endswith(cut.strip())
    else:
        assert found == f" {opening}"
