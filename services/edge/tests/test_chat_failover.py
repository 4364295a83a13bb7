"""Failures before the first token: who answers instead, and what the caller is told when nobody can."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_models.transport.protocol import Timeouts

from services.edge.tests.chats import (
    BROKEN,
    CHAT,
    MODEL,
    MODELS,
    Vendors,
    ask,
    events,
    only_call,
    specs,
    sse,
    text_of,
    token,
)
from tests.support.edge import edge_here, journalled
from tests.support.upstream import PATIENT, upstream

BEFORE_ANY_ANSWER = [
    ("refuse", ErrorClass.CONNECT),
    ("down", ErrorClass.CONNECT),
    ("auth", ErrorClass.AUTH),
    ("error_500", ErrorClass.SERVER_ERROR),
    ("rate_limited", ErrorClass.RATE_LIMITED),
    ("quota_exhausted", ErrorClass.QUOTA_EXHAUSTED),
    ("overloaded", ErrorClass.OVERLOADED),
    ("unavailable", ErrorClass.OVERLOADED),
    ("malformed", ErrorClass.MALFORMED),
    ("wrong_content_type", ErrorClass.MALFORMED),
]
WHOLE = [
    *BEFORE_ANY_ANSWER,
    ("cut", ErrorClass.TRUNCATED),
    ("truncate", ErrorClass.TRUNCATED),
    ("stream_error", ErrorClass.SERVER_ERROR),
    ("stall", ErrorClass.TIMEOUT_FIRST_TOKEN),
    ("slow_first_token", ErrorClass.TIMEOUT_FIRST_TOKEN),
]
STREAMED = [
    *BEFORE_ANY_ANSWER,
    ("cut", ErrorClass.TRUNCATED),
    ("truncate", ErrorClass.TRUNCATED),
    ("stream_error", None),
    ("stall", ErrorClass.TIMEOUT_FIRST_TOKEN),
    ("slow_first_token", ErrorClass.TIMEOUT_FIRST_TOKEN),
]
HASTY = Timeouts(connect_s=10, first_byte_s=1.0, between_bytes_s=30, total_s=60)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("vendor", ["openai", "anthropic", "cohere"])
@pytest.mark.parametrize("position", range(len(WHOLE)))
async def test_failures_before_the_first_token_stay_unseen(
    tmp_path: Path, vendors: Vendors, position: int, vendor: str, stream: bool
) -> None:
    kind, expected = (STREAMED if stream else WHOLE)[position]
    slow = kind in ("stall", "slow_first_token")
    await vendors[vendor].fault(kind, after_chunks=0, delay_s=60)
    providers = specs(vendors, vendor, "google", timeouts=HASTY if slow else PATIENT)
    async with edge_here(tmp_path, providers, whole_answer_timeout_s=1.0 if slow else 60) as edge:
        answer = await edge.client().post(CHAT, json=ask(MODELS[vendor], stream=stream))
        assert answer.status_code == 200
        assert answer.headers["x-fairlead-provider"] == "google"
        assert answer.headers["x-fairlead-attempts"] == "2"
        if stream:
            found = events(answer)
            assert found[-1] == "[DONE]"
            assert "gemini" in text_of(found)
        call = await only_call(edge)
        assert (call.state, call.failover, call.provider) == (CallState.OK, True, "google")
        assert [(attempt.provider, attempt.reason) for attempt in call.attempts] == [
            (vendor, "primary"),
            ("google", "failover"),
        ]
        assert call.attempts[0].error_class is not None
        if expected is not None:
            assert call.attempts[0].error_class is expected
        assert call.attempts[1].ok


async def test_a_stream_that_only_drips_before_its_first_token_fails_over(tmp_path: Path) -> None:
    async def dripping(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, {"content-type": "text/event-stream"})
        while True:
            await writer.write(b": still thinking\n\n")
            await asyncio.sleep(0.02)

    async def quick(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, {"content-type": "text/event-stream"})
        chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        writer.end(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")

    async with upstream(dripping) as one, upstream(quick, "mistral") as two:
        hasty = replace(
            one, timeouts=Timeouts(connect_s=10, first_byte_s=0.3, between_bytes_s=30, total_s=60)
        )
        async with edge_here(tmp_path, (hasty, two)) as edge:
            answer = await edge.client().post(CHAT, json=ask(stream=True))
            assert (answer.headers["x-fairlead-provider"], text_of(events(answer))) == ("mistral", "Hi")
            assert (await only_call(edge)).attempts[0].error_class is ErrorClass.TIMEOUT_FIRST_TOKEN


async def test_a_first_token_that_came_with_an_error_fails_over_unseen(tmp_path: Path) -> None:
    async def breaking(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, {"content-type": "text/event-stream"})
        writer.end(sse(token("Ships "), BROKEN))

    async def well(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, {"content-type": "text/event-stream"})
        writer.end(sse(token("Hi", "stop")))

    async with (
        upstream(breaking) as one,
        upstream(well, "mistral") as two,
        edge_here(tmp_path, (one, two)) as edge,
    ):
        answer = await edge.client().post(CHAT, json=ask(stream=True))
        assert (answer.headers["x-fairlead-provider"], text_of(events(answer))) == ("mistral", "Hi")


async def test_a_redirect_is_the_providers_fault(tmp_path: Path) -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.send(302, {"location": "https://elsewhere"}, b"")

    async with upstream(handler) as spec, edge_here(tmp_path, (spec,)) as edge:
        answer = await edge.client().post(CHAT, json=ask("openai/gpt-5.5"))
        assert answer.status_code == 503
        assert (await only_call(edge)).attempts[0].error_class is ErrorClass.MALFORMED


async def test_a_stand_in_that_refuses_the_request_does_not_blame_the_caller(tmp_path: Path) -> None:
    async def broken(request: Request, writer: ResponseWriter) -> None:
        writer.send(500, {}, b"{}")

    async def picky(request: Request, writer: ResponseWriter) -> None:
        writer.send(400, {}, b'{"error": {"message": "temperature is unsupported", "param": "temperature"}}')

    async with (
        upstream(broken) as one,
        upstream(picky, "google") as two,
        edge_here(tmp_path, (one, two)) as edge,
    ):
        answer = await edge.client().post(CHAT, json=ask())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_provider_available")
        named = await edge.client().post(CHAT, json=ask("gemini-3.8-flash"))
        assert (named.status_code, named.json()["error"]["param"]) == (400, "temperature")
        assert named.headers["x-fairlead-attempts"] == "1"
        assert [len(call.attempts) for call in await journalled(edge, 2)] == [3, 1]


@pytest.mark.parametrize("stream", [False, True])
async def test_failover_off_means_one_attempt_at_what_was_named(
    tmp_path: Path, vendors: Vendors, stream: bool
) -> None:
    async with edge_here(tmp_path, specs(vendors)) as edge:
        client = edge.client(**{"x-fairlead-failover": "OFF"})
        assert (await client.post(CHAT, json=ask(stream=stream))).status_code == 200
        await vendors["openai"].fault("error_500")
        for model in (MODEL, MODELS["openai"]):
            for _ in range(6):  # its breaker opens on the way
                answer = await client.post(CHAT, json=ask(model, stream=stream))
                assert (answer.status_code, answer.headers["x-fairlead-attempts"]) == (503, "1")
        await vendors["openai"].clear()
        await vendors["openai"].fault("rate_limited", retry_after_s=30)
        limited = await client.post(CHAT, json=ask("openai/gpt-5.5", stream=stream))
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "30")
        calls = await journalled(edge, 14)
        assert {attempt.provider for call in calls for attempt in call.attempts} == {"openai"}


async def test_failover_off_takes_one_of_a_class(tmp_path: Path, vendors: Vendors) -> None:
    for simulator in vendors.values():
        await simulator.fault("error_500")
    async with edge_here(tmp_path, specs(vendors)) as edge:
        client = edge.client(**{"x-fairlead-failover": "off"})
        for model in ("auto", "class:fast"):
            answer = await client.post(CHAT, json=ask(model))
            assert (answer.status_code, answer.headers["x-fairlead-attempts"]) == (503, "1")


async def test_an_unknown_value_of_the_failover_header_is_refused(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_here(tmp_path, specs(vendors, "openai")) as edge:
        answer = await edge.client(**{"x-fairlead-failover": "maybe"}).post(CHAT, json=ask())
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-fairlead-failover")
        assert (await only_call(edge)).state is CallState.REJECTED


@pytest.mark.parametrize("stream", [False, True])
async def test_all_down_is_a_503_with_the_reason_of_each(
    tmp_path: Path, vendors: Vendors, stream: bool
) -> None:
    kinds = {
        "openai": "refuse",
        "anthropic": "overloaded",
        "google": "error_500",
        "mistral": "down",
        "cohere": "malformed",
    }
    for vendor, kind in kinds.items():
        await vendors[vendor].fault(kind, retry_after_s=9)
    async with edge_here(tmp_path, specs(vendors)) as edge:
        answer = await edge.client().post(CHAT, json=ask(stream=stream))
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["retry-after"]) >= 1
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("no_provider_available", "server_error")
        assert "openai/gpt-5.4-mini: connect" in error["message"]
        call = await only_call(edge)
        assert len({attempt.provider for attempt in call.attempts}) == 4
        for attempt in call.attempts:
            assert f"{attempt.provider}/{attempt.model}: {attempt.error_class}" in error["message"]
        assert (call.state, call.status, call.provider) == (CallState.FAILED, 503, None)
        assert len(call.attempts) == int(answer.headers["x-fairlead-attempts"])


async def test_when_everybody_limits_the_caller_is_told_when_the_first_is_free(
    tmp_path: Path, vendors: Vendors
) -> None:
    await vendors["openai"].fault("rate_limited", retry_after_s=40)
    await vendors["google"].fault("rate_limited", retry_after_s=7)
    async with edge_here(tmp_path, specs(vendors, "openai", "google")) as edge:
        for _ in range(2):  # the second time both are known to rest
            answer = await edge.client().post(CHAT, json=ask())
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
            assert answer.json()["error"]["type"] == "rate_limit_error"


async def test_the_providers_verdict_on_a_bad_request_is_passed_on(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_here(tmp_path, specs(vendors)) as edge:
        film = {"type": "input_video", "input_video": {"data": "AAAA", "format": "mp4"}}
        body = ask(MODELS["cohere"], messages=[{"role": "user", "content": [film]}])
        answer = await edge.client(**{"x-fairlead-failover": "off"}).post(CHAT, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_content")
        assert (await only_call(edge)).state is CallState.FAILED


async def test_a_model_only_the_caller_believes_in_speaks_against_nobody(
    tmp_path: Path,
) -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.send(404, {}, b'{"error": {"message": "no such model", "code": "model_not_found"}}')

    async with upstream(handler) as spec, edge_here(tmp_path, (spec,)) as edge:
        for _ in range(6):
            answer = await edge.client().post(CHAT, json=ask("openai/gpt-of-dreams"))
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert Target("openai", "gpt-of-dreams") not in edge.fleet.breakers.states
        for call in await journalled(edge, 6):
            assert [attempt.error_class for attempt in call.attempts] == [ErrorClass.BAD_REQUEST]


async def test_the_breaker_opens_and_lets_the_provider_back(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("error_500")
    async with edge_here(tmp_path, specs(vendors, "openai", "google")) as edge:
        client = edge.client()
        attempts = [(await client.post(CHAT, json=ask())).headers["x-fairlead-attempts"] for _ in range(7)]
        assert attempts == ["2"] * 5 + ["1"] * 2
        await vendors["openai"].clear()
        providers: list[str] = []
        async with asyncio.timeout(30):
            while "openai" not in providers:
                answer = await client.post(CHAT, json=ask())
                assert answer.status_code == 200
                providers.append(answer.headers["x-fairlead-provider"])
                await asyncio.sleep(0.05)
        trial = edge.calls()[-1]
        assert [attempt.reason for attempt in trial.attempts] == ["half_open"]


@pytest.mark.parametrize("stream", [False, True])
async def test_one_deadline_holds_for_all_attempts(tmp_path: Path, vendors: Vendors, stream: bool) -> None:
    for simulator in vendors.values():
        await simulator.fault("stall", after_chunks=0)
    hasty = Timeouts(connect_s=10, first_byte_s=0.3, between_bytes_s=30, total_s=60)
    providers = specs(vendors, timeouts=hasty)
    async with edge_here(tmp_path, providers, whole_answer_timeout_s=0.3, request_timeout_s=0.5) as edge:
        answer = await edge.client().post(CHAT, json=ask(stream=stream))
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        call = await only_call(edge)
        assert [attempt.error_class for attempt in call.attempts] == [
            ErrorClass.TIMEOUT_FIRST_TOKEN,
            ErrorClass.TIMEOUT_TOTAL,
        ]
        assert call.duration_ms >= 480
        assert len(edge.fleet.breakers.states) == 1, (
            "the second was given no fair time: nothing is held against it"
        )


async def test_further_attempts_are_budgeted(tmp_path: Path, vendors: Vendors) -> None:
    for simulator in vendors.values():
        await simulator.fault("slow_first_token", delay_s=0.1)
        await simulator.fault("error_500")
    async with edge_here(tmp_path, specs(vendors)) as edge:
        client = edge.client()
        answers = await asyncio.gather(*(client.post(CHAT, json=ask()) for _ in range(30)))
        assert {answer.status_code for answer in answers} == {503}
        attempts = sorted(int(answer.headers["x-fairlead-attempts"]) for answer in answers)
        assert attempts[0] >= 2
        assert attempts[-1] <= 4
