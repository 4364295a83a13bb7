"""One client connection: bytes in, requests out, answers back in the order of their requests.

Bodies are read completely before the handler runs, within the limits. A client that goes away cancels the handler. A
request that must be refused unread gets its answer after those before it, and the connection is closed the way that
lets a client that is still sending read the answer: the rest of what it sends is thrown away for a while.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools

from fairlead_edge.http.messages import STOPPING, Request, ResponseWriter

if TYPE_CHECKING:
    from fairlead_edge.http.server import Server

logger = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
PIPELINED = 8
"""With this many requests waiting on one connection, reading pauses."""

NAMES: dict[bytes, str] = {}
TARGETS: dict[bytes, tuple[str, bytes, bytes]] = {}
"""Header names and request targets seen before, each as it came; both bounded in number and length."""
REMEMBERED = 512
REMEMBERED_BYTES = 128


def header_name(name: bytes) -> str:
    """``name`` in lower case, remembered in ``NAMES``."""
    found = name.decode("latin-1").lower()
    if len(NAMES) < REMEMBERED and len(name) <= REMEMBERED_BYTES:
        NAMES[name] = found
    return found


def target_of(url: bytes) -> tuple[str, bytes, bytes]:
    """(path, percent-decoded; query; path as it came), remembered in ``TARGETS``. Raises HttpParserError."""
    parsed = httptools.parse_url(url)
    raw_path = parsed.path or b"/"
    path = raw_path.decode("latin-1")
    found = (unquote(path) if "%" in path else path, parsed.query or b"", raw_path)
    if len(TARGETS) < REMEMBERED and len(url) <= REMEMBERED_BYTES:
        TARGETS[url] = found
    return found


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Times in seconds; they are checked every ``sweep_s``."""

    body_bytes: int = 20 * MEGABYTE
    head_bytes: int = 32 * 1024
    idle_s: float = 75.0
    """A connection without a request is closed after this."""
    receive_s: float = 60.0
    """A request must have arrived completely within this."""
    stalled_s: float = 120.0
    """A client that reads nothing of its answer for this long is given up."""
    linger_s: float = 10.0
    """How long a refused client may go on sending before the connection is cut."""
    write_buffer_bytes: int = 256 * 1024
    sweep_s: float = 5.0


class Connection(asyncio.Protocol):
    """One client connection; also the ``Sink`` of its writers."""

    def __init__(self, server: "Server", loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._limits = server.limits
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._requests: deque[Request] = deque()
        self._paused = False
        self._refusal: tuple[int, str] | None = None
        self._ending = False
        self._unsent = 0
        self._client = ""
        self._since = loop.time()
        self.receiving = False
        """A part of a request has arrived."""
        self.busy = False
        """A handler is at work."""
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._head_size = 0
        self._head_complete = False

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client connected."""
        self._transport = transport  # type: ignore[assignment]  # a server's transport can write
        transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)  # type: ignore[attr-defined]
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
        if self._refusal is not None:
            return
        if not self.receiving:
            self.receiving, self._since = True, self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data, upgrade)
        except httptools.HttpParserError:
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
        """httptools: one header, or one trailer: those are counted and not kept."""
        self._count(len(name) + len(value))
        if not self._head_complete:
            self._headers[NAMES.get(name) or header_name(name)] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        self._head_complete = True
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limits.body_bytes:
            self._refuse_body()
        elif "expect" in self._headers and self._headers["expect"].lower() == "100-continue":
            self._continue()

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        self._body_size += len(data)
        if self._body_size > self._limits.body_bytes:
            self._refuse_body()
        elif self._refusal is None:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        if self._refusal is not None:
            return
        self.receiving = False
        path, query, raw_path = TARGETS.get(self._url) or target_of(self._url)
        modern = self._parser.get_http_version() == "1.1"
        request = Request(
            self._parser.get_method().decode("latin-1"),
            path,
            query,
            self._headers,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            self._client,
            modern and self._parser.should_keep_alive(),
            raw_path,
            modern,
        )
        self._requests.append(request)
        self._wake()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.head_bytes:
            self._refuse(431, f"the request's head exceeds {self._limits.head_bytes} bytes")
            raise ValueError("head too large")

    def _refuse_body(self) -> None:
        self._refuse(413, f"the body exceeds {self._limits.body_bytes / MEGABYTE:g} MB")

    def _continue(self) -> None:
        """Let the body come; within a pipeline it comes anyway, and the answers before it must not be mixed up."""
        if self._transport is not None and not self.busy and not self._requests:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _decline_upgrade(self, data: bytes, upgrade: httptools.HttpParserUpgrade) -> None:
        """RFC 9110, 7.8: a server may ignore an upgrade. CONNECT cannot be ignored: what follows is no HTTP."""
        if self._parser.get_method() == b"CONNECT":
            self._refuse(400, "CONNECT is not supported")
        elif rest := data[upgrade.args[0] :]:
            self.data_received(rest)

    # the connection's task

    def _wake(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        elif not self._paused and self._transport is not None and self._pipeline_full():
            self._paused = True
            self._transport.pause_reading()

    def _pipeline_full(self) -> bool:
        waiting = self._requests
        return len(waiting) >= PIPELINED or sum(len(each.body) for each in waiting) > self._limits.body_bytes

    async def _serve(self) -> None:
        while True:
            while not self._requests:
                if self._refusal is not None:
                    self._say_refusal()
                    return
                if self._server.draining and not self.receiving:
                    self.close()
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
                self.close()
                return

    async def _answer(self, request: Request) -> bool:
        keep = request.keep_alive and not self._server.draining
        writer = ResponseWriter(
            self, keep_alive=keep, head_only=request.method == "HEAD", chunked=request.chunked
        )
        try:
            await self._server.handler(request, writer)
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
        if not writer.ended:
            self._fail(writer, request.path)
        return writer.keep_alive

    def _fail(self, writer: ResponseWriter, path: str) -> None:
        """The handler left its answer unfinished."""
        if writer.started:
            writer.abort()
            return
        headers, body = self._server.reject(500, "the edge failed on this request; its log says why", path)
        writer.close_after()
        writer.send(500, headers, body)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer instead of a handler, after everything before it was answered, and close."""
        if self._refusal is not None:
            return
        self._refusal = (status, reason)
        if not self.busy and not self._requests:
            self._say_refusal()

    def _say_refusal(self) -> None:
        if self._transport is None or self._refusal is None or self._ending:
            return
        path = self._url.partition(b"?")[0].decode("latin-1")
        headers, body = self._server.reject(*self._refusal, path)
        ResponseWriter(self, keep_alive=False, head_only=False).send(self._refusal[0], headers, body)
        self._ending, self._since = True, self._loop.time()
        if self._transport.can_write_eof():
            self._transport.write_eof()

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

    def close(self) -> None:
        """Close once everything that was written has left."""
        self._ending, self._since = True, self._loop.time()
        if self._transport is not None:
            self._transport.close()

    # what the server does with it

    def close_when_idle(self) -> None:
        """Draining: close now if nothing is under way; otherwise it closes after the answer."""
        if not self.busy and not self._requests and not self.receiving:
            self.close()

    def stop(self) -> asyncio.Task[None] | None:
        """The time to drain is over: cancel the handler, so that it can say a last word. Gives the task to wait for."""
        if self._task is not None and not self._task.done():
            self._task.cancel(STOPPING)
        return self._task

    def check_age(self, now: float) -> None:
        """Close what has been idle, has been sending one request, or has not been reading, for too long."""
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if unsent != self._unsent:
            self._unsent, self._since = unsent, now
        age_s = now - self._since
        if unsent:
            if age_s > self._limits.stalled_s:
                self.abort()
        elif self._ending:
            if age_s > self._limits.linger_s:
                self.abort()
        elif self.busy or self._requests:
            return
        elif self.receiving:
            if age_s > self._limits.receive_s:
                self._refuse(408, f"the request did not arrive within {self._limits.receive_s:g} s")
        elif age_s > self._limits.idle_s:
            self.close()
