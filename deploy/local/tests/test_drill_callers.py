"""The callers of a drill, on servers that behave in every way an edge may."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fairlead.drills.callers import Callers
from fairlead.drills.requests import Asked, Ending

from tests.support.servers import free_port
from tests.support.waiting import until

HEAD = b"HTTP/1.1 200 OK\r\nx-request-id: c1\r\nx-fairlead-provider: openai\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
TOKEN = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
BROKE = b'data: {"error":{"code":"truncated"}}\n\n'
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"
WHOLE = HEAD + b"content-length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def edge(*answers: bytes) -> AsyncIterator[str]:
    """Answers the requests of each connection with these bytes, one after the other, and then closes it."""

    open_now: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await answer_all(reader, writer)
        writer.close()
        open_now.discard(writer)

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(answer)
            await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await until(lambda: not open_now)


def asked(number: int = 0, *, edge: int = 0, stream: bool = False) -> Asked:
    return Asked(number, edge, stream=stream, due=time.time())


@pytest.mark.parametrize(
    ("stream", "answer", "ending"),
    [
        (False, WHOLE, Ending.ANSWERED),
        (False, BUSY, Ending.FAILED),
        (False, HEAD + b"content-length: 9\r\n\r\n{}", Ending.LOST),
        (False, b"nonsense\r\n\r\n", Ending.LOST),
        (True, CHUNKED + chunk(TOKEN) + chunk(DONE) + END, Ending.ANSWERED),
        (True, CHUNKED + chunk(TOKEN) + chunk(BROKE) + END, Ending.TOLD),
        (True, CHUNKED + chunk(TOKEN) + END, Ending.SILENT),
        (True, CHUNKED + chunk(TOKEN), Ending.LOST),
    ],
)
async def test_what_became_of_a_request(stream: bool, answer: bytes, ending: Ending) -> None:
    async with edge(answer) as url:
        callers = Callers([url], "key", "openai/m", 1)
        found = asked(stream=stream)
        await callers.ask(found)
        callers.close()
    assert found.ending is ending
    assert found.ended >= found.due
    assert (found.first_token is not None) == (TOKEN in answer)
    if answer.startswith(HEAD):
        assert (found.call_id, found.provider, found.status) == ("c1", "openai", 200)


async def test_an_edge_that_refuses_is_passed_over_and_counted() -> None:
    async with edge(WHOLE) as url:
        callers = Callers([f"http://127.0.0.1:{free_port()}", url], "key", "openai/m", 1)
        found = asked()
        await callers.ask(found)
        callers.close()
    assert (found.ending, found.edge, found.refused) == (Ending.ANSWERED, 1, 1)


async def test_a_request_whose_edge_dies_before_it_answers_is_sent_to_the_next_one() -> None:
    async with edge() as dying, edge(WHOLE) as url:
        callers = Callers([dying, url], "key", "openai/m", 1)
        found = asked()
        await callers.ask(found)
        callers.close()
    assert (found.ending, found.edge, [cut.edge for cut in found.cuts]) == (Ending.ANSWERED, 1, [0])


async def test_a_stream_that_had_begun_is_not_sent_again() -> None:
    async with edge(CHUNKED + chunk(TOKEN)) as dying, edge(WHOLE) as url:
        callers = Callers([dying, url], "key", "openai/m", 1)
        found = asked(stream=True)
        await callers.ask(found)
        callers.close()
    assert (found.ending, found.edge, found.cuts) == (Ending.LOST, 0, [])


async def test_a_request_is_sent_again_twice_at_most() -> None:
    async with edge() as url:
        callers = Callers([url], "key", "openai/m", 1)
        found = asked()
        await callers.ask(found)
        callers.close()
    assert (found.ending, len(found.cuts)) == (Ending.LOST, 2)


async def test_when_every_edge_refuses_the_request_ends_unanswered() -> None:
    callers = Callers([f"http://127.0.0.1:{free_port()}"] * 3, "key", "openai/m", 1)
    found = asked()
    await callers.ask(found)
    assert (found.ending, found.refused) == (Ending.REFUSED, 3)


async def test_a_connection_serves_one_request_after_the_other_and_is_not_used_once_closed() -> None:
    async with edge(WHOLE, WHOLE) as url:
        callers = Callers([url], "key", "openai/m", 1)
        found = [asked(number) for number in range(5)]
        for each in found:
            await callers.ask(each)
        callers.close()
    assert {each.ending for each in found} <= {Ending.ANSWERED, Ending.LOST}
    assert found[0].ending is Ending.ANSWERED


async def test_the_loop_is_open_spread_over_the_edges_and_half_of_it_streams() -> None:
    async with edge(*[WHOLE] * 50) as one, edge(*[WHOLE] * 50) as two:
        callers, stop = Callers([one, two], "key", "openai/m", 200), asyncio.Event()
        running = asyncio.create_task(callers.run(stop))
        await until(lambda: len(callers.asked) >= 20)
        stop.set()
        await running
        callers.close()
    sent = callers.asked[:20]
    gaps = [after.due - before.due for before, after in itertools.pairwise(sent)]
    assert gaps == pytest.approx([1 / 200] * 19, abs=1e-5)
    assert sum(each.stream for each in sent) == 10
    assert {(each.number % 2, each.stream) for each in sent} == {(0, False), (0, True), (1, False), (1, True)}
