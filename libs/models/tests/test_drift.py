"""What adapters have never seen is counted once per kind, and rich normal answers hold nothing new."""

from typing import Any

import orjson
import pytest
from fairlead_models.drift import DRIFT, MAX_KINDS, Drift, DriftLog

from libs.models.tests.wires.samples import EVENTS, SAMPLED, WHOLE, stream_of


@pytest.fixture(autouse=True)
def _log() -> None:
    """As in a new process: what other tests fed to the adapters is forgotten."""
    DRIFT.clear()


@pytest.mark.parametrize("name", SAMPLED)
def test_rich_normal_answers_are_familiar(name: str) -> None:
    before = dict(DRIFT.counts)
    SAMPLED[name].decode({}, orjson.dumps(WHOLE[name]))
    decoder = SAMPLED[name].stream_decoder()
    decoder.feed(stream_of(name, EVENTS[name]))
    decoder.finish()
    assert dict(DRIFT.counts) == before


NEW: dict[str, tuple[dict[str, Any], str]] = {
    "openai": ({"aura": 1}, "openai:answer.aura"),
    "responses": ({"aura": 1}, "openai-responses:answer.aura"),
    "anthropic": ({"aura": 1}, "anthropic:answer.aura"),
    "google": ({"aura": 1}, "google:answer.aura"),
    "mistral": ({"aura": 1}, "mistral:answer.aura"),
    "cohere": ({"aura": 1}, "cohere:answer.aura"),
}


@pytest.mark.parametrize("name", NEW)
def test_a_new_field_is_fresh_once(name: str) -> None:
    DRIFT.take_fresh()
    more, kind = NEW[name]
    drift = Drift("", kind)
    already = DRIFT.counts[drift]
    for _ in range(3):
        SAMPLED[name].decode({}, orjson.dumps({**WHOLE[name], **more}))
    assert DRIFT.counts[drift] == already + 3
    assert [each.drift for each in DRIFT.take_fresh()] == ([] if already else [drift])


@pytest.mark.parametrize(
    ("name", "event", "kind"),
    [
        ("anthropic", {"type": "message_mood", "mood": "good"}, "anthropic:event.message_mood"),
        (
            "anthropic",
            {"type": "content_block_start", "index": 9, "content_block": {"type": "hologram"}},
            "anthropic:content.hologram",
        ),
        (
            "anthropic",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "mood_delta"}},
            "anthropic:delta.mood_delta",
        ),
        (
            "responses",
            {"type": "response.mood.delta", "delta": "x"},
            "openai-responses:event.response.mood.delta",
        ),
        ("cohere", {"type": "mood-delta", "delta": {}}, "cohere:event.mood-delta"),
        ("google", {"candidates": [], "mood": 1}, "google:chunk.mood"),
        ("openai", {"choices": [], "mood": 1}, "openai:chunk.mood"),
        ("openai", {"choices": [{"index": 0, "delta": {"mood": 1}}]}, "openai:delta.mood"),
    ],
)
def test_a_new_event_does_not_break_the_stream(name: str, event: dict[str, Any], kind: str) -> None:
    before = DRIFT.counts[Drift("", kind)]
    decoder = SAMPLED[name].stream_decoder()
    events = [EVENTS[name][0], event, *EVENTS[name][1:]]
    decoder.feed(stream_of(name, events))
    decoder.finish()
    assert DRIFT.counts[Drift("", kind)] == before + 1


def test_a_new_finish_reason_counts_as_a_stop_and_is_told() -> None:
    body = {**WHOLE["cohere"], "finish_reason": "BORED"}
    bored = Drift("", "cohere:finish_reason.BORED")
    before = DRIFT.counts[bored]
    found = SAMPLED["cohere"].decode({}, orjson.dumps(body))
    assert found.choices[0].finish_reason == "stop"
    assert DRIFT.counts[bored] == before + 1


def test_garbage_cannot_fill_the_log() -> None:
    log = DriftLog()
    for number in range(MAX_KINDS * 2):
        log.note("w", "x", f"{number}" * 500)
    assert len(log.counts) == MAX_KINDS
    assert len(log.take_fresh()) == MAX_KINDS
    assert max(len(drift.kind) for drift in log.counts) <= 120
    with log.of("another"):
        log.note("w", "x", "aura")
    assert Drift("another", "w:x.aura") in log.counts, "garbage of one hides nothing of another"


def test_names_are_told_in_printable_ascii() -> None:
    log = DriftLog()
    log.note("w", "x", "a\x00b\nü")
    assert list(log.counts) == [Drift("", "w:x.a?b??")]


def test_drift_belongs_to_the_provider_whose_bytes_were_decoded() -> None:
    log = DriftLog()
    for provider in ("openai", "openai-eu", "openai"):
        with log.of(provider):
            log.note("openai", "chunk", "aura")
    log.note("openai", "chunk", "aura")
    assert log.counts == {
        Drift("openai", "openai:chunk.aura"): 2,
        Drift("openai-eu", "openai:chunk.aura"): 1,
        Drift("", "openai:chunk.aura"): 1,
    }
