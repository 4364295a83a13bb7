"""The server: listens, parses with httptools, and runs the handler on the connection's own task.

A peer that goes away cancels the task, so a handler learns of it at its next ``await`` and cleans up in ``finally``.
Requests on one connection are answered in order. Bodies are read completely before the handler runs, within the limit.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httptools

from fairlead_edge.http.messages import Request, ResponseWriter

logger = logging.getLogger(__name__)

Handler = Callable[[Request, ResponseWriter], Awaitable[None]]
Reject = Callable[[int, str], tuple[dict[str, str], bytes]]
"""Gives headers and body for a request that is refused before any handler sees it."""

MEGABYTE = 1024 * 1024
SWEEP_S = 5.0


@dataclass(frozen=True)
class Limits:
    """Bounds of one server."""

    body_bytes: int = 20 * MEGABYTE
    head_bytes: int = 32 * 1024
    idle_s: float = 75.0
    """A connection without a request is closed after this."""
    receive_s: float = 60.0
    """A request must have arrived completely within this."""
    write_buffer_bytes: int = 256 * 1024


class Server:
    """A listening server."""

    def __init__(self, handler: Handler, reject: Reject, limits: Limits) -> None:
        self.handler = handler
        self.reject = reject
        self.limits = limits
        self.connections: set[Connection] = set()
        self.draining = False
        self.port = 0
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    async def listen(self, host: str, port: int, *, reuse_port: bool = False) -> None:
        """Begin to accept. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self, loop), host, port, reuse_port=reuse_port, backlog=2048
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self._sweep()

    @property
    def in_flight(self) -> int:
        """Requests being handled now."""
        return sum(connection.busy for connection in self.connections)

    async def drain(self, timeout_s: float) -> None:
        """Accept nothing new, let running answers finish for up to ``timeout_s``, then close everything."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.close_when_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.connections:
                    self._changed.clear()
                    await self._changed.wait()
        for connection in tuple(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def lost(self, connection: "Connection") -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._changed.set()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in tuple(self.connections):
            connection.check_age(loop.time())
        self._sweeper = loop.call_later(SWEEP_S, self._sweep)


class Connection(asyncio.Protocol):
    """One client connection; also the ``Sink`` of its writers."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._requests: deque[Request] = deque()
        self._paused = False
        self._refused = False
        self._client = ""
        self._since = loop.time()
        self._receiving = False
        self.busy = False
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._head_size = 0

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client connected."""
        self._transport = transport  # type: ignore[assignment]  # a server's transport can write
        transport.set_write_buffer_limits(high=self._server.limits.write_buffer_bytes)  # type: ignore[attr-defined]
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the client is gone; whoever works for it is cancelled."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
        self._server.lost(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        if self._refused:
            return
        if not self._receiving:
            self._receiving, self._since = True, self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "protocol upgrades are not supported")
        except httptools.HttpParserError:
            if not self._refused:
                self._refuse(400, "the request is not valid HTTP/1.1")

    def eof_received(self) -> bool:
        """asyncio: the client will send no more; it has left or is about to."""
        return False

    def pause_writing(self) -> None:
        """asyncio: the client reads too slowly."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """asyncio: the client has caught up."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # httptools

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._reset()

    def on_url(self, url: bytes) -> None:
        """httptools: (a piece of) the target."""
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._count(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length) > self._server.limits.body_bytes:
            self._too_large()
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        self._body_size += len(data)
        if self._body_size > self._server.limits.body_bytes:
            self._too_large()
        elif not self._refused:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        if self._refused:
            return
        self._receiving = False
        parsed = httptools.parse_url(self._url)
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method = self._parser.get_method().decode("latin-1")
        request = Request(
            method,
            parsed.path.decode("latin-1") if parsed.path else "/",
            parsed.query or b"",
            self._headers,
            body,
            self._client,
            self._parser.should_keep_alive(),
            parsed.path or b"/",
        )
        self._requests.append(request)
        self._wake()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._server.limits.head_bytes and not self._refused:
            self._refuse(431, f"the request's head exceeds {self._server.limits.head_bytes} bytes")
            raise ValueError("head too large")

    def _too_large(self) -> None:
        if not self._refused:
            megabytes = self._server.limits.body_bytes / MEGABYTE
            self._refuse(413, f"the body exceeds {megabytes:g} MB")

    # the connection's task

    def _wake(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        elif len(self._requests) >= 8 and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    async def _serve(self) -> None:
        while True:
            while not self._requests:
                if self._refused or self._server.draining:
                    self._close()
                    return
                waiter = self._waiter = self._loop.create_future()
                await waiter
            request = self._requests.popleft()
            self.busy = True
            keep = await self._answer(request)
            self.busy = False
            self._since = self._loop.time()
            if self._paused and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()
            if not keep:
                self._close()
                return

    async def _answer(self, request: Request) -> bool:
        keep = request.keep_alive and not self._server.draining
        writer = ResponseWriter(self, keep_alive=keep, head_only=request.method == "HEAD")
        try:
            await self._server.handler(request, writer)
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            self._fail(writer)
        return writer.keep_alive

    def _fail(self, writer: ResponseWriter) -> None:
        if writer.started:
            writer.abort()
            return
        headers, body = self._server.reject(500, "the edge failed on this request; its log says why")
        writer.close_after()
        writer.send(500, headers, body)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer instead of a handler, and close once everything before it was answered."""
        self._refused = True
        headers, body = self._server.reject(status, reason)
        if self._transport is None:
            return
        if self.busy or self._requests:
            self._close()
            return
        ResponseWriter(self, keep_alive=False, head_only=False).send(status, headers, body)
        self._loop.call_later(1.0, self.abort)  # let the client read the answer while it still sends

    # Sink

    def write(self, data: bytes) -> None:
        """See ``Sink.write``."""
        if self._transport is not None:
            self._transport.write(data)

    async def drained(self) -> None:
        """See ``Sink.drained``."""
        if self._writable is not None:
            await self._writable

    def abort(self) -> None:
        """See ``Sink.abort``."""
        if self._transport is not None:
            self._transport.abort()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def close_when_idle(self) -> None:
        """Draining: close now if nothing is under way; a running answer closes at its end."""
        if not self.busy and not self._requests:
            self._close()

    def check_age(self, now: float) -> None:
        """Close a connection that has been idle, or has been sending one request, for too long."""
        if self.busy or self._requests:
            return
        limit = self._server.limits.receive_s if self._receiving else self._server.limits.idle_s
        if now - self._since > limit:
            self._close()


async def serve(
    handler: Handler,
    host: str,
    port: int,
    *,
    reject: Reject,
    limits: Limits | None = None,
    reuse_port: bool = False,
) -> Server:
    """Listen on ``host:port`` (0 = any free one; see ``Server.port``). Raises OSError when that cannot be had."""
    server = Server(handler, reject, limits or Limits())
    await server.listen(host, port, reuse_port=reuse_port)
    return server
