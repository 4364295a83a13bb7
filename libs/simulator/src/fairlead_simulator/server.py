"""A small HTTP/1.1 server that can misbehave: it can stay silent, close without an answer, or break off in the middle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httptools


@dataclass
class Request:
    """One request, complete."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Gone(Exception):
    """The client left."""


Handler = Callable[[Request, "Reply"], Awaitable[None]]


class Reply:
    """Answers one request."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self.status = 0

    def send(self, status: int, headers: dict[str, str], body: bytes, *, claim: int | None = None) -> None:
        """A whole answer; ``claim`` states another length than the body has."""
        self.status = status
        self._head(status, {**headers, "content-length": str(len(body) if claim is None else claim)})
        self._connection.write(body)

    def announce(self, status: int, headers: dict[str, str], length: int) -> None:
        """Head of an answer of ``length`` bytes, which ``raw`` sends."""
        self.status = status
        self._head(status, {**headers, "content-length": str(length)})

    def raw(self, data: bytes) -> None:
        """Bytes of an announced answer. Raises Gone when the client has left."""
        if self._connection.gone:
            raise Gone
        self._connection.write(data)

    def start(self, status: int, headers: dict[str, str]) -> None:
        """Head of a chunked answer."""
        self.status = status
        self._head(status, {**headers, "transfer-encoding": "chunked"})

    def chunk(self, data: bytes) -> None:
        """A piece of a chunked answer. Raises Gone when the client has left."""
        if self._connection.gone:
            raise Gone
        self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """Regular end of a chunked answer."""
        self._connection.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close the TCP connection now."""
        self._connection.abort()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Simulated", *(f"{name}: {value}" for name, value in headers.items())]
        self._connection.write("\r\n".join(lines).encode() + b"\r\n\r\n")


class Connection(asyncio.Protocol):
    """One client connection; requests are answered one after the other."""

    def __init__(self, handler: Handler, everyone: set["Connection"]) -> None:
        self._handler = handler
        self._everyone = everyone
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: asyncio.Queue[Request] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]  # a server's transport can write
        self._everyone.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the client is gone."""
        self.gone = True
        self._everyone.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is not None and not self.gone:
            self._transport.write(data)

    def abort(self) -> None:
        """Reset the connection."""
        self.gone = True
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._url, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """httptools: (a piece of) the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        if self._headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        self._queue.put_nowait(Request(method, path, query, self._headers, b"".join(self._body)))

    async def _serve(self) -> None:
        try:
            while True:
                request = await self._queue.get()
                await self._handler(request, Reply(self))
        except Gone:
            pass
        finally:
            self.abort()  # also when the handler failed: a client must not wait for an answer that never comes


@dataclass
class Listener:
    """A port that can be closed (connections are refused) and opened again."""

    handler: Handler
    host: str
    port: int
    connections: set[Connection] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; with port 0 the port found stays the same afterwards. Raises OSError."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: Connection(self.handler, self.connections), self.host, self.port, backlog=1024
            )
            self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse connections, and reset those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.connections):
            connection.abort()
