"""Callers who leave, and an edge that stops."""

import asyncio
from pathlib import Path

import httpx
import pytest
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_simulator.testing import Running

from services.edge.tests.chats import (
    CHAT,
    Vendors,
    ask,
    events,
    leave,
    only_call,
    specs,
)
from tests.support.edge import edge_here, journalled
from tests.support.upstream import upstream
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("stream", "after", "chunks"), [(False, b"", 0), (True, b"", 0), (True, b'"content"', 3)]
)
async def test_a_caller_who_leaves_ends_the_call_everywhere(
    tmp_path: Path, vendors: Vendors, stream: bool, after: bytes, chunks: int
) -> None:
    await vendors["openai"].fault("stall", after_chunks=chunks)
    async with edge_here(tmp_path, specs(vendors)) as edge:
        await leave(edge, ask(stream=stream), after=after)
        call = await only_call(edge)
        assert (call.state, call.status, call.error_code) == (CallState.ABORTED, 499, "caller_gone")
        assert [attempt.error_class for attempt in call.attempts] == [ErrorClass.CALLER_GONE]
        assert (call.provider is not None) == bool(after)
        async with asyncio.timeout(20):
            while (await vendors["openai"].requests())[-1]["outcome"] != "client left":
                await asyncio.sleep(0.02)
        assert not edge.fleet.breakers.states


async def test_the_provider_is_let_go_within_100_ms_of_the_callers_leaving(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    gone: list[float] = []

    async def handler(request: Request, writer: ResponseWriter) -> None:
        try:
            await loop.create_future()
        finally:
            gone.append(loop.time())

    async with upstream(handler) as spec, edge_here(tmp_path, (spec,)) as edge:
        took_s: list[float] = []
        for number in range(5):  # the machine may be busy: the quickest of five shows what the code does
            await leave(edge, ask(stream=bool(number % 2)), after=b"")
            left = loop.time()
            await until(lambda expected=number + 1: len(gone) == expected)  # type: ignore[misc]
            took_s.append(gone[-1] - left)
        assert min(took_s) < 0.1
        assert {call.state for call in await journalled(edge, 5)} == {CallState.ABORTED}


async def test_an_edge_that_stops_tells_those_it_cuts_off(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("stall", after_chunks=2)
    async with httpx.AsyncClient(timeout=60) as client:
        async with edge_here(tmp_path, specs(vendors), drain_s=0.05) as edge:
            headers = {"authorization": "Bearer fl-admin-key-of-the-tests"}
            url = f"{edge.url}{CHAT}"
            stream = asyncio.create_task(client.post(url, json=ask(stream=True), headers=headers))
            whole = asyncio.create_task(client.post(url, json=ask(), headers=headers))
            before = (await vendors["openai"].control("GET", "/_sim/state"))["requests"]
            async with asyncio.timeout(20):
                while (await vendors["openai"].control("GET", "/_sim/state"))[
                    "requests"
                ] < before + 2 and not (await _stalled(vendors["openai"])):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)
        broken, refused = await stream, await whole
        assert events(broken)[-1]["error"]["code"] == "edge_stopping"
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "edge_stopping")
        assert refused.headers["retry-after"] == "1"
        states = {call.stream: (call.state, call.error_code) for call in edge.calls()}
        assert states == {
            True: (CallState.TRUNCATED, "edge_stopping"),
            False: (CallState.FAILED, "edge_stopping"),
        }


async def _stalled(simulator: Running) -> bool:
    return [each["outcome"] for each in (await simulator.requests())[-2:]] == ["fault: stall"] * 2
