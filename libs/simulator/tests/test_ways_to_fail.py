"""Every fault of every simulated vendor, as a client without an SDK sees it."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from fairlead_simulator.faults import ANSWERED, KINDS
from fairlead_simulator.testing import Launched

from libs.simulator.tests.asking import ask, send, text_of

STATUS = {
    "auth": 401,
    "bad_key": 401,
    "forbidden": 403,
    "error_500": 500,
    "timeout": 504,
    "rate_limited": 429,
    "slow_down": 429,
    "quota_exhausted": 402,
    "spend_limit": 429,
    "overloaded": 503,
    "capacity": 503,
    "too_large": 413,
}
OTHERWISE = {
    ("google", "bad_key"): 400,
    ("google", "too_large"): 400,
    ("openai", "quota_exhausted"): 429,
    ("compatible", "quota_exhausted"): 429,
    ("mistral", "spend_limit"): 402,
    ("mistral", "capacity"): 429,
    ("anthropic", "overloaded"): 529,
    ("anthropic", "capacity"): 529,
}


def leaves(value: Any) -> Iterator[Any]:
    """All values of a JSON document that are neither objects nor lists."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value


@pytest.mark.parametrize("kind", ANSWERED)
def test_errors_are_in_the_vendors_form(simulator: Launched, kind: str) -> None:
    simulator.fault(kind, retry_after_s=3)
    for stream in (False, True):
        got = ask(simulator, stream=stream)
        assert got.status == OTHERWISE.get((simulator.vendor, kind), STATUS[kind])
        assert got.headers["content-type"] == "application/json"
        assert isinstance(got.json, dict)
    simulator.clear()
    assert ask(simulator).status == 200


@pytest.mark.parametrize(
    ("kind", "status", "media", "beginning"),
    [
        ("unavailable", 503, "text/plain", b"upstream"),
        ("bad_gateway", 502, "text/html", b"<html>"),
        ("malformed", 200, "application/json", b'{"id": "broken"'),
        ("error_in_200", 200, "application/json", b'{"error"'),
        ("wrong_content_type", 200, "text/html", b"<html>"),
    ],
)
def test_what_proxies_answer(
    simulator: Launched, kind: str, status: int, media: str, beginning: bytes
) -> None:
    simulator.fault(kind)
    for stream in (False, True):
        got = ask(simulator, stream=stream)
        assert (got.status, got.headers["content-type"]) == (status, media)
        assert got.body.startswith(beginning)


@pytest.mark.parametrize("stream", [False, True])
def test_bodies_that_are_none(simulator: Launched, stream: bool) -> None:
    simulator.fault("empty")
    assert ask(simulator, stream=stream).body == b""
    simulator.clear()
    simulator.fault("garbage")
    with pytest.raises(UnicodeDecodeError):
        ask(simulator, stream=stream).body.decode()
    simulator.clear()
    simulator.fault("oversized", size_mb=2)
    got = ask(simulator, stream=stream)
    assert len(got.body) > 2_000_000
    assert got.body.startswith(b"data: {" if stream else b"{")


def test_spoilt_answers(simulator: Launched) -> None:
    good = ask(simulator)
    simulator.fault("wrong_types")
    spoilt = ask(simulator)
    assert spoilt.json.keys() == good.json.keys()
    assert all(value in (None, 7) or value.startswith("<") for value in leaves(spoilt.json))
    simulator.clear()
    simulator.fault("hollow")
    assert ask(simulator).json == {}
    simulator.clear()
    simulator.fault("invalid_utf8")
    with pytest.raises(UnicodeDecodeError):
        ask(simulator).body.decode()


def test_spoilt_events(simulator: Launched) -> None:
    good = ask(simulator, stream=True).events
    simulator.fault("hollow", after_chunks=2)
    assert {} in ask(simulator, stream=True).events
    simulator.clear()
    simulator.fault("wrong_types", after_chunks=2)
    spoilt = ask(simulator, stream=True).events
    assert sum(one.keys() == other.keys() for one, other in zip(spoilt, good, strict=True)) == len(good)
    simulator.clear()
    simulator.fault("invalid_utf8", after_chunks=2)
    body = ask(simulator, stream=True).body
    assert body.count(b"\xff\xc0") == 1


def test_a_drift_adds_and_takes_nothing_away(simulator: Launched) -> None:
    expected = text_of(simulator, ask(simulator))
    simulator.fault("drift")
    got = ask(simulator)
    assert text_of(simulator, got) == expected
    assert "x_simulated_field" in got.json
    assert any("x_simulated_field" in event for event in ask(simulator, stream=True).events)


def test_slow_drips_and_comments_change_nothing(simulator: Launched) -> None:
    whole, stream = text_of(simulator, ask(simulator)), len(ask(simulator, stream=True).events)
    simulator.fault("slow_drip", chunk_bytes=5, interval_s=0)
    assert text_of(simulator, ask(simulator)) == whole
    assert len(ask(simulator, stream=True).events) == stream
    simulator.clear()
    simulator.fault("comments")
    got = ask(simulator)
    assert got.body.startswith(b"\n\n{")
    assert text_of(simulator, got) == whole
    commented = ask(simulator, stream=True)
    assert commented.body.count(b": keep-alive\n\n") > stream / 2
    assert len(commented.events) == stream


@pytest.mark.parametrize("stream", [False, True])
def test_connections_break(simulator: Launched, stream: bool) -> None:
    for kind in ("down", "cut"):
        simulator.fault(kind, after_chunks=2)
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(simulator, stream=stream)
        simulator.clear()
    assert ask(simulator, stream=stream).status == 200


def test_a_stream_that_stops_too_early(simulator: Launched) -> None:
    good = ask(simulator, stream=True).events
    simulator.fault("truncate", after_chunks=2)
    assert len(ask(simulator, stream=True).events) < len(good)
    simulator.clear()
    simulator.fault("stream_error", after_chunks=2)
    last = json.dumps(ask(simulator, stream=True).events[-1]).lower()
    assert "error" in last


def test_faults_for_some_models_and_some_requests(simulator: Launched) -> None:
    simulator.fault("error_500", models=["another-model"])
    assert ask(simulator).status == 200
    simulator.fault("error_500", probability=0)
    assert ask(simulator).status == 200
    simulator.fault("error_500", probability=0.5)
    assert {ask(simulator).status for _ in range(30)} == {200, 500}
    simulator.fault("error_500", for_s=0)
    assert ask(simulator).status == 200


def test_a_draw_counts_for_a_whole_request(simulator: Launched) -> None:
    simulator.fault("truncate", probability=0.5, after_chunks=1)
    lengths = {len(ask(simulator, stream=True).events) for _ in range(30)}
    assert len(lengths) == 2


def test_what_cannot_be_switched_on_is_said(simulator: Launched) -> None:
    for path, body, text in (
        ("/_sim/faults/flood", {}, "unknown fault 'flood'"),
        ("/_sim/faults/cut", {"size": 1}, "unknown option 'size'"),
        ("/_sim/faults/cut", {"after_chunks": -1}, "'after_chunks' must be a number of at least 0"),
        ("/_sim/faults/cut", {"models": "x"}, "'models' must be a list"),
        ("/_sim/latency", {"whole": "fast"}, "expected seconds"),
    ):
        with pytest.raises(HTTPError) as failed:
            simulator.control("PUT", path, body)
        assert text in json.load(failed.value)["error"]
        failed.value.close()


def test_the_log_says_what_struck(simulator: Launched) -> None:
    simulator.fault("rate_limited")
    ask(simulator)
    simulator.clear()
    ask(simulator)
    seen = simulator.control("GET", "/_sim/requests")["requests"]
    assert [(each["outcome"], each["status"]) for each in seen] == [
        ("fault: rate_limited", 429),
        ("answered", 200),
    ]
    state = simulator.control("GET", "/_sim/state")
    assert state["known_faults"] == KINDS
    assert state["requests"] == 2


def test_unknown_paths_and_bodies_that_are_no_json(simulator: Launched) -> None:
    assert send(simulator, "/v9/nothing", {}).status == 404
    assert send(simulator, "/livez", None).json == {"status": "ok"}
    assert send(simulator, "/v1/models", None, {}).status in (401, 403)
