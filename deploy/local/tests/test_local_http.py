"""The small HTTP client: every way an answer can end, and every way it can break off."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fairlead.local_http import request


@asynccontextmanager
async def answering(raw: bytes, *, hang: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    seen: list[bytes] = []
    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        seen.append(head + await reader.readexactly(int(length or 0)))
        writer.write(raw)
        with contextlib.suppress(ConnectionError):
            if hang:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
        await asyncio.gather(*serving)


@pytest.mark.parametrize(
    "raw",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\n\r\n',
        b'HTTP/1.1 200\r\ncontent-length: 7\r\n\r\n{"a":1}',
    ],
    ids=["length", "chunked", "no reason"],
)
async def test_a_whole_answer_does_not_wait_for_the_end_of_the_connection(raw: bytes) -> None:
    async with answering(raw, hang=True) as (url, _):
        answer = await request("GET", url)
    assert (answer.status, answer.json()) == (200, {"a": 1})


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async with answering(b"HTTP/1.1 503 No\r\n\r\nnot now") as (url, _):
        answer = await request("GET", url)
    assert (answer.status, answer.body) == (503, b"not now")


async def test_what_is_sent() -> None:
    async with answering(b"HTTP/1.1 204 OK\r\nContent-Length: 0\r\n\r\n") as (url, seen):
        await request("PUT", f"{url}/a/b?c=d", {"for_s": 3}, {"X-Key": "k"})
    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"PUT /a/b?c=d HTTP/1.1"
    assert b"X-Key: k" in lines
    assert lines[-1] == b'{"for_s": 3}'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_none_is_a_connection_error(raw: bytes) -> None:
    async with answering(raw) as (url, _):
        with pytest.raises(ConnectionError, match="is cut off or no HTTP"):
            await request("GET", url)


async def test_silence_is_a_time_out() -> None:
    async with answering(b"", hang=True) as (url, _):
        with pytest.raises(TimeoutError):
            await request("GET", url, timeout_s=0.05)


async def test_nobody_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="Connect call failed"):
        await request("GET", "http://127.0.0.1:1")
