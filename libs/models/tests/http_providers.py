"""Servers that do to an HTTP client what providers and their proxies do, and a client to ask them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fairlead_models.transport.http1 import Http1Transport
from fairlead_models.transport.protocol import HttpRequest, HttpResponse, PoolLimits, Timeouts

PATIENT = Timeouts(connect_s=20, first_byte_s=20, between_bytes_s=20, total_s=60)
Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes, extra: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode() + body


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request, its body included."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length")),
        0,
    )
    return head + await reader.readexactly(length)


class Provider:
    """A server whose every connection is a run of ``session``; remembers them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.connections = 0
        self.requests: list[bytes] = []
        self.ended = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended += 1
            writer.close()


@asynccontextmanager
async def provider(session: Session, tls: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    found = Provider(session)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(found.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
    found.url = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def transport(
    limits: PoolLimits | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Http1Transport]:
    found = Http1Transport(limits, tls)
    try:
        yield found
    finally:
        await found.close()


def saying(*parts: bytes, then_close: bool = False) -> Session:
    """Answers every request of a connection with ``parts``, one write each."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
            if then_close:
                return

    return session


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def post(server: Provider, body: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", f"{server.url}/v1/chat?x=1", {"accept": "application/json"}, body)


async def ask(client: Http1Transport, server: Provider, timeouts: Timeouts = PATIENT) -> HttpResponse:
    return await client.send(post(server), timeouts)
