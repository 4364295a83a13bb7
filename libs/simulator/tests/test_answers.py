"""What simulated models say, and what is charged for it, alike for all vendors."""

import json

import pytest
from fairlead_simulator import tokens
from fairlead_simulator.ask import Ask, CacheMark, Image, Turn
from fairlead_simulator.embeddings import base64_of, bits_of, int8_of, vector
from fairlead_simulator.images import looked_at
from fairlead_simulator.limits import WINDOW_S, Window
from fairlead_simulator.markers import marks
from fairlead_simulator.reciting import recited
from fairlead_simulator.testing import Launched
from fairlead_simulator.usage import PromptCache

from libs.simulator.tests.asking import MODELS, ask, send, text_of

LONG = "The cheapest request is the one that need not be made. " * 200


def asked(text: str, **more: object) -> Ask:
    return Ask("m", [Turn("user", [text])], **more)  # type: ignore[arg-type]  # any field of Ask


def test_an_echo_says_what_arrived(simulator: Launched) -> None:
    got = ask(simulator, "Please simulate an echo, and keep the ünïcödé.")
    found = json.loads(text_of(simulator, got))
    assert found["model"] == MODELS[simulator.vendor]
    assert found["turns"] == [{"role": "user", "parts": ["Please simulate an echo, and keep the ünïcödé."]}]


def test_an_answer_is_as_long_as_asked_for(simulator: Launched) -> None:
    assert len(text_of(simulator, ask(simulator, "simulate 33 words")).split()) == 33


@pytest.mark.parametrize(
    ("begun", "then", "expected"),
    [
        ("", [], "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,\n11, 12."),
        ("1, 2, 3, 4,", [], " 5, 6, 7, 8, 9, 10,\n11, 12."),
        ("1, 2, 3, 4,", ["Begin with:\n3, 4,"], "3, 4, 5, 6, 7, 8, 9, 10,\n11, 12."),
        ("1, 2, 3, 4,", ["Go on."], "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,\n11, 12."),
        ("I see.", ["Go on."], "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,\n11, 12."),
    ],
)
def test_every_model_goes_on_with_counting(begun: str, then: list[str], expected: str) -> None:
    turns = [Turn("user", ["simulate counting to 12"])]
    turns += [Turn("assistant", [begun])] if begun else []
    turns += [Turn("user", [text]) for text in then]
    assert recited(Ask("m", turns), "openai") == expected
    prefixed = turns[-1].role == "assistant"
    assert recited(Ask("m", turns), "mistral") == (begun if prefixed else "") + expected


def test_the_same_question_has_the_same_answer_with_another_id(simulator: Launched) -> None:
    one, other = ask(simulator).json, ask(simulator).json
    key = "responseId" if simulator.vendor == "google" else "id"
    assert one.pop(key) != other.pop(key)
    for each in (one, other):
        each.pop("created", None)
    assert one == other


def test_limits_go_down_with_use(simulator: Launched) -> None:
    def left() -> list[int]:
        headers = ask(simulator).headers
        return [int(value) for name, value in headers.items() if "remaining" in name]

    first, second = left(), left()
    assert all(later < earlier for earlier, later in zip(first, second, strict=True))


def test_an_unknown_parameter_is_refused_where_the_vendor_refuses_it(simulator: Launched) -> None:
    got = ask(simulator, surprise=1)
    expected = {"mistral": 422, "cohere": 422, "compatible": 200}
    assert got.status == expected.get(simulator.vendor, 400)
    if simulator.vendor == "mistral":
        assert got.json["detail"][0] == {
            "type": "extra_forbidden",
            "loc": ["body", "surprise"],
            "msg": "Extra inputs are not permitted",
            "input": 1,
        }


def test_a_compatible_endpoint_shows_its_thoughts_beside_the_answer(simulator: Launched) -> None:
    if simulator.vendor != "compatible":
        assert "reasoning_content" not in ask(simulator).body.decode()
        return
    message = ask(simulator, reasoning_effort="high", max_tokens=500).json["choices"][0]["message"]
    events = ask(simulator, reasoning_effort="high", max_tokens=500, stream=True).events
    deltas = [event["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message["reasoning_content"]
    assert "".join(delta.get("content") or "" for delta in deltas) == message["content"]
    assert send(simulator, "/v1/models", None).json["data"]


def test_unmarked_prompts_are_cached_by_their_beginning() -> None:
    cache = PromptCache()
    first = cache.charge(asked(LONG + "One?", cached_from=1024))
    assert (first.cached, first.written > 1000) == (0, True)
    second = cache.charge(asked(LONG + "Two?", cached_from=1024))
    assert second.cached == first.written
    assert cache.charge(asked("Short", cached_from=1024)).written == 0
    assert cache.charge(asked(LONG)).cached == 0
    other = Ask("other", [Turn("user", [LONG])], cached_from=1024)
    assert cache.charge(other).cached == 0


def test_marked_prompts_are_cached_up_to_the_marks() -> None:
    cache = PromptCache()
    marked = asked(LONG + "One?", marks=[CacheMark(len(LONG), "1h")])
    first = cache.charge(marked)
    assert (first.cached, first.written, first.written_1h) == (0, tokens.count(LONG), tokens.count(LONG))
    longer = asked(LONG + LONG + "x", marks=[CacheMark(len(LONG)), CacheMark(2 * len(LONG))])
    second = cache.charge(longer)
    assert (second.cached, second.written) == (tokens.count(LONG), tokens.count(LONG))
    assert (cache.charge(longer).cached, cache.charge(longer).written) == (2 * tokens.count(LONG), 0)
    cache.clear()
    assert cache.charge(longer).cached == 0


def test_a_cache_forgets_the_oldest() -> None:
    cache = PromptCache(kept=2)
    for text in ("a", "b", "c"):
        cache.charge(asked(text * 50, marks=[CacheMark(50)], cached_from=0))
    assert cache.charge(asked("a" * 50, marks=[CacheMark(50)], cached_from=0)).cached == 0


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes.fromhex("00000140000000f0"), "PNG", (320, 240)),
        (b"GIF89a" + bytes.fromhex("4001f000"), "GIF", (320, 240)),
        (bytes.fromhex("ffd8ffe00004abcdffc0001108 00f00140 03".replace(" ", "")), "JPEG", (320, 240)),
        (b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + bytes.fromhex("3f0100ef0000"), "WebP", (320, 240)),
        (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + bytes.fromhex("4001f000"), "WebP", (320, 240)),
        (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + ((239 << 14) | 319).to_bytes(4, "little"), "WebP", (320, 240)),
    ],
)
def test_pictures_are_measured(data: bytes, kind: str, size: tuple[int, int]) -> None:
    found = looked_at(data)
    assert found is not None
    assert (found.kind, (found.width, found.height)) == (kind, size)
    assert Image("image/png", data).tokens == 320 * 240 // 750


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8?", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture(data: bytes) -> None:
    assert looked_at(data) is None
    assert "file of type x" in Image("x", data).described()


def test_vectors() -> None:
    one, again, near, far = (vector(t, "m", 64) for t in ("red door", "red door", "a red door", "quantum"))
    assert one == again
    assert sum(value * value for value in one) == pytest.approx(1, abs=1e-6)

    def likeness(other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert likeness(near) > 0.5 > abs(likeness(far))
    assert vector("red door", "other", 64) != one
    assert bits_of([1.0, -1.0, 1.0]) == [0b10100000]
    assert int8_of([1.0, -1.0, 0.0]) == [127, -127, 0]
    assert base64_of([1.0]) == "AACAPw=="


def test_tokens_and_pieces() -> None:
    assert tokens.count("A careful comparison!") == 6
    assert tokens.shortened("A careful comparison!", 2) == "A carefu"
    assert (tokens.shortened("A", 0), tokens.shortened("A", 9)) == ("", "A")
    assert "".join(tokens.pieces(" A  b\nc ")) == " A  b\nc"
    assert tokens.slices("{}") == ["{", "}"]
    assert "".join(tokens.slices("x" * 50)) == "x" * 50


def test_a_window_begins_anew() -> None:
    window = Window()
    window.use(WINDOW_S + 1, 10, 5)
    assert (window.left(WINDOW_S + 1).reset_s, window.requests) == (WINDOW_S, 1)
    window.use(3 * WINDOW_S)
    assert (window.requests, window.input_tokens) == (1, 0)


def test_markers() -> None:
    assert marks("Just a question") == marks("")
    found = marks("Simulate a refusal and SIMULATE 20 WORDS")
    assert (found.refusal, found.words, found.filtered) == (True, 20, False)
