"""Streams that break after the first token."""

import asyncio
import json
from pathlib import Path

import pytest
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_models.transport.protocol import Timeouts

from services.edge.tests.chats import (
    BROKEN,
    CHAT,
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
from tests.support.edge import edge_here
from tests.support.upstream import PATIENT, upstream


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cut", ErrorClass.TRUNCATED),
        ("truncate", ErrorClass.TRUNCATED),
        ("stall", ErrorClass.TIMEOUT_BETWEEN_TOKENS),
        ("stream_error", None),
    ],
)
@pytest.mark.parametrize("vendor", MODELS)
async def test_a_stream_that_breaks_never_looks_complete(
    tmp_path: Path, vendors: Vendors, vendor: str, kind: str, expected: ErrorClass | None
) -> None:
    if (
        kind == "stream_error"
    ):  # what comes in one piece with the error is lost: the tokens must come before it
        await vendors[vendor].control("PUT", "/_sim/latency", {"between_tokens": 0.3})
    await vendors[vendor].fault(kind, after_chunks=2)
    hasty = Timeouts(connect_s=10, first_byte_s=30, between_bytes_s=0.5, total_s=60)
    providers = specs(vendors, timeouts=hasty if kind == "stall" else PATIENT)
    async with edge_here(tmp_path, providers) as edge:
        answer = await edge.client().post(CHAT, json=ask(MODELS[vendor], stream=True))
        found = events(answer)
        assert answer.status_code == 200
        assert "[DONE]" not in found
        assert text_of([*found, ""])
        error = found[-1]["error"]
        assert error["type"] == "stream_error"
        call = await only_call(edge)
        assert (call.state, call.status, call.provider) == (CallState.TRUNCATED, 200, vendor)
        assert (call.attempts[-1].error_class, call.error_code) == (error["code"], error["code"])
        if expected is not None:
            assert error["code"] == expected
        model = MODELS[vendor].partition("/")[2]
        assert edge.fleet.breakers.states[Target(vendor, model)].failures_in_row == 1


async def test_tokens_before_an_error_in_the_same_bytes_reach_the_caller(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def breaking(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, {"content-type": "text/event-stream"})
        await writer.write(sse(token("Ships ")))
        await heard.wait()
        writer.end(sse(token("stay "), token("moored"), BROKEN, token("never")))

    async with upstream(breaking) as spec, edge_here(tmp_path, (spec,)) as edge:
        async with edge.client().stream("POST", CHAT, json=ask("openai/gpt-5.5", stream=True)) as answer:
            text = ""
            async for line in answer.aiter_lines():
                text += line
                heard.set()
        assert [word for word in ("Ships ", "stay ", "moored", "never") if word in text] == [
            "Ships ",
            "stay ",
            "moored",
        ]
        assert "The stream broke: boom" in text
        assert (await only_call(edge)).state is CallState.TRUNCATED


async def test_a_connection_lost_after_the_protocols_end_is_no_failure(tmp_path: Path) -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, {"content-type": "text/event-stream"})
        chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        await writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
        await asyncio.sleep(0.01)
        writer.abort()

    async with upstream(handler) as spec, edge_here(tmp_path, (spec,)) as edge:
        found = events(await edge.client().post(CHAT, json=ask(stream=True)))
        assert (found[-1], text_of(found)) == ("[DONE]", "Hi")
        assert (await only_call(edge)).state is CallState.OK
