"""The request path against simulated vendors: who answers, and what is journalled."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.outcomes import CallState
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot, Strategy

from services.edge.tests.chats import (
    CHAT,
    MODEL,
    MODELS,
    Vendors,
    ask,
    events,
    leave,
    only_call,
    specs,
    text_of,
)
from tests.support.edge import edge_here, journalled
from tests.support.waiting import until


@pytest.mark.parametrize("vendor", MODELS)
async def test_an_answer_says_who_gave_it_and_is_journalled(
    tmp_path: Path, vendors: Vendors, vendor: str
) -> None:
    async with edge_here(tmp_path, specs(vendors)) as edge:
        answer = await edge.client().post(CHAT, json=ask(MODELS[vendor]))
        assert answer.status_code == 200
        body, call = answer.json(), await only_call(edge)
        assert body["model"] == MODELS[vendor]
        assert body["choices"][0]["finish_reason"] == "stop"
        assert answer.headers["x-fairlead-provider"] == vendor
        assert answer.headers["x-fairlead-model"] == MODELS[vendor].partition("/")[2]
        assert answer.headers["x-fairlead-attempts"] == "1"
        assert answer.headers["x-request-id"] == call.call_id
        assert (call.state, call.status, call.provider) == (CallState.OK, 200, vendor)
        assert (call.key_id, call.workspace_id) == ("admin", 1)
        assert (call.decision.strategy, call.decision.candidates[0].target) == ("balanced", MODELS[vendor])
        assert (call.input_tokens, call.output_tokens) == (
            body["usage"]["prompt_tokens"],
            body["usage"]["completion_tokens"],
        )
        if call.cost_usd is not None:
            assert float(answer.headers["x-fairlead-cost-usd"]) == pytest.approx(call.cost_usd, abs=1e-9)
        (attempt,) = call.attempts
        assert (attempt.ok, attempt.status, attempt.finish_reason) == (True, 200, "stop")
        assert call.overhead_ms is not None
        assert 0 <= call.overhead_ms <= call.duration_ms


@pytest.mark.parametrize("vendor", MODELS)
async def test_a_stream_says_the_same_as_the_whole_answer(
    tmp_path: Path, vendors: Vendors, vendor: str
) -> None:
    async with edge_here(tmp_path, specs(vendors)) as edge:
        client = edge.client()
        whole = (await client.post(CHAT, json=ask(MODELS[vendor]))).json()
        options = {"stream": True, "stream_options": {"include_usage": True}}
        answer = await client.post(CHAT, json=ask(MODELS[vendor], **options))
        found = events(answer)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert found[-1] == "[DONE]"
        assert text_of(found) == whole["choices"][0]["message"]["content"]
        assert found[-2]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
        assert {each["model"] for each in found[:-1]} == {MODELS[vendor]}
        call = (await journalled(edge, 2))[1]
        assert (call.stream, call.state, call.output_tokens) == (
            True,
            CallState.OK,
            whole["usage"]["completion_tokens"],
        )
        assert call.ttft_ms is not None
        assert 0 < call.ttft_ms <= call.duration_ms
        assert call.attempts[0].finish_reason == "stop"


async def test_the_trace_of_the_caller_is_kept(tmp_path: Path, vendors: Vendors) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with edge_here(tmp_path, specs(vendors, "openai")) as edge:
        for header in (f"00-{trace}-b7ad6b7169203331-01", "nonsense", f"00-{'z' * 32}-b7ad6b7169203331-01"):
            await edge.client(traceparent=header).post(CHAT, json=ask())
        assert [call.trace_id for call in await journalled(edge, 3)] == [trace, None, None]


async def test_a_large_body_passes(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_here(tmp_path, specs(vendors, "google")) as edge:
        gif = b"GIF89a" + (64).to_bytes(2, "little") * 2 + bytes(7_500_000)
        image = f"data:image/gif;base64,{base64.b64encode(gif).decode()}"
        content = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": image}}]
        body = ask(MODELS["google"], messages=[{"role": "user", "content": content}])
        assert (await edge.client().post(CHAT, json=body)).status_code == 200


async def test_a_name_with_a_line_break_is_no_header(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_here(tmp_path, specs(vendors, "google")) as edge:
        answer = await edge.client().post(CHAT, json=ask("google/x\r\nset-cookie: a=b" + "m" * 5000))
        assert answer.status_code in (200, 400, 404)
        assert "set-cookie" not in answer.headers
        assert len((await only_call(edge)).requested_model) <= 200


async def test_the_rule_that_decided_is_named(tmp_path: Path, vendors: Vendors) -> None:
    rule = RuleSnapshot(
        rule_id=1,
        name="keep in Europe",
        strategy=Strategy.COST,
        priority=1,
        conditions={"providers": ["mistral"]},
    )
    routes = RoutesSnapshot(workspace_id=1, version=7, rules=(rule,))
    async with edge_here(tmp_path, specs(vendors), routes=routes) as edge:
        answer = await edge.client().post(CHAT, json=ask("auto"))
        assert answer.headers["x-fairlead-provider"] == "mistral"
        assert answer.headers["x-fairlead-rule"] == "keep in Europe"
        call = await only_call(edge)
        assert (call.rule, call.table_version) == ("keep in Europe", 7)


async def test_every_request_is_journalled_exactly_once(tmp_path: Path, vendors: Vendors) -> None:
    for kind in ("error_500", "cut", "truncate", "malformed", "stream_error", "rate_limited"):
        for simulator in vendors.values():
            await simulator.fault(kind, probability=0.12, after_chunks=2, retry_after_s=0.01)
    bodies: list[Any] = []
    for number in range(150):
        model = ("auto", MODEL, "class:fast", *MODELS.values(), "nothing", "openai/nothing")[number % 10]
        bodies.append(ask(model, stream=number % 3 == 0))
    async with edge_here(tmp_path, specs(vendors)) as edge:
        client = edge.client()

        async def one(number: int) -> str | None:
            if number % 7 == 3:
                await leave(edge, bodies[number], after=b"")
                return None
            if number % 11 == 5:
                return (await client.post(CHAT, content=b"{")).headers["x-request-id"]
            return (await client.post(CHAT, json=bodies[number])).headers["x-request-id"]

        seen = await asyncio.gather(*(one(number) for number in range(len(bodies))))
        await until(lambda: len(edge.calls()) >= len(bodies))
        calls = edge.calls()
        assert len(calls) == len(bodies)
        ids = [call.call_id for call in calls]
        assert len(set(ids)) == len(ids)
        assert {each for each in seen if each} <= set(ids)
        assert {CallState.OK, CallState.REJECTED} <= {call.state for call in calls}
        for call in calls:
            assert all(attempt.error_class for attempt in call.attempts[:-1])
            assert (call.state is CallState.OK) == (bool(call.attempts) and call.attempts[-1].ok)
