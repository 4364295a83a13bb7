"""HTTP/1.1 over pooled asyncio connections, parsed by httptools: no task and no lock per request.

A connection serves one exchange at a time and goes back to its pool when the answer was complete. An idle connection
that the server closed meanwhile costs one silent retry on a fresh one, and only when not a single byte came back.
"""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools

from fairlead_models.transport.protocol import (
    BadResponse,
    ConnectFailed,
    ConnectionBroken,
    ConnectTimeout,
    FirstByteTimeout,
    HttpRequest,
    HttpResponse,
    Phases,
    PoolLimits,
    ResponseTooLarge,
    StallTimeout,
    Timeouts,
    TotalTimeout,
    TransportError,
)


class Origin(NamedTuple):
    """Where connections go."""

    secure: bool
    host: str
    port: int


class Exchange:
    """One request and its answer; the ``HttpResponse`` that callers read."""

    __slots__ = (
        "_broken",
        "_buffer",
        "_connection",
        "_deadline",
        "_done",
        "_head",
        "_loop",
        "_paused",
        "_size",
        "_timeouts",
        "_waiter",
        "headers",
        "phases",
        "status",
    )

    def __init__(self, connection: "Connection", timeouts: Timeouts, deadline: float) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.phases = Phases()
        self._connection: Connection | None = connection
        self._loop = connection.loop
        self._timeouts = timeouts
        self._deadline = deadline
        self._buffer: deque[bytes] = deque()
        self._size = 0
        self._head = False
        self._done = False
        self._paused = False
        self._broken: TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # what the connection tells

    def head_arrived(self, status: int, headers: dict[str, str]) -> None:
        """Status and headers are complete."""
        self.status, self.headers, self._head = status, headers, True
        self._wake()

    def body_arrived(self, data: bytes, bound: int) -> None:
        """A piece of the body."""
        self._buffer.append(data)
        self._size += len(data)
        if self._size > bound and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause()
        self._wake()

    def complete(self) -> None:
        """The answer is complete; the connection is free for others, who want to read from it."""
        if self._paused and self._connection is not None:
            self._paused = False
            self._connection.resume()
        self._done = True
        self._connection = None
        self._wake()

    def fail(self, error: TransportError) -> None:
        """The connection is gone; what has arrived can still be read, then the error is raised."""
        if not self._done and self._broken is None:
            self._broken = error
        self._connection = None
        self._wake()

    # what the caller does

    async def wait_head(self) -> None:
        """Wait for the head. Raises TransportError."""
        bound = min(self._loop.time() + self._timeouts.first_byte_s, self._deadline)
        while not self._head:
            if self._broken is not None:
                raise self._broken
            await self._wait(bound, FirstByteTimeout, f"no answer within {self._timeouts.first_byte_s:g} s")

    async def chunk(self, by: float | None = None) -> bytes:
        """See ``HttpResponse.chunk``."""
        while not self._buffer:
            if self._done:
                return b""
            if self._broken is not None:
                raise self._broken
            bound = min(self._loop.time() + self._timeouts.between_bytes_s, self._deadline)
            if by is not None and by < bound:
                text = f"no token within {self._timeouts.first_byte_s:g} s"
                await self._wait(by, FirstByteTimeout, text)
            else:
                await self._wait(bound, StallTimeout, f"no byte for {self._timeouts.between_bytes_s:g} s")
        data = self._buffer.popleft()
        self._size -= len(data)
        if self._paused and self._connection is not None and not self._buffer:
            self._paused = False
            self._connection.resume()
        return data

    async def body(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """See ``HttpResponse.body``."""
        parts: list[bytes] = []
        total = 0
        while data := await self.chunk():
            total += len(data)
            if total > limit:
                self.close()
                raise ResponseTooLarge(f"the answer exceeds {limit} bytes")
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """See ``HttpResponse.close``."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.abort()

    async def _wait(self, bound: float, error: type[TransportError], message: str) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(bound, self._expire, waiter, bound, error, message)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _expire(
        self, waiter: asyncio.Future[None], bound: float, error: type[TransportError], message: str
    ) -> None:
        if waiter.done():
            return
        late = bound >= self._deadline
        total = TotalTimeout(f"not finished within {self._timeouts.total_s:g} s")
        waiter.set_exception(total if late else error(message))
        self.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One TCP or TLS connection."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: PoolLimits, free: Callable[["Connection"], None]
    ) -> None:
        self.loop = loop
        self.idle_since = 0.0
        self.used = False
        self.closed = False
        self.received = False
        self._limits = limits
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._framed = False
        self._unasked = False
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]  # create_connection gives a full Transport

    def start(self, data: bytes, timeouts: Timeouts, deadline: float) -> Exchange:
        """Write a request and give its exchange."""
        exchange = self._exchange = Exchange(self, timeouts, deadline)
        self.received = False
        self._status = 0
        if self._transport is None or self.closed:
            exchange.fail(ConnectionBroken("the connection was closed by the provider"))
        else:
            self._transport.write(data)
        return exchange

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        if self._exchange is None:  # nobody asked: the server says something between requests
            self.abort()
            return
        self.received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lose(BadResponse(f"the provider's answer is not HTTP: {type(error).__name__}"))
        if self._unasked:
            self.abort()

    def eof_received(self) -> bool:
        """asyncio: the server will send no more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: gone."""
        self.closed = True
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            self._free(self)
            return
        if self._status and not self._framed and exc is None:
            exchange.complete()  # a body without a length ends with the connection
        else:
            exchange.fail(ConnectionBroken("the connection closed before the answer was complete"))
        self._free(self)

    def pause(self) -> None:
        """Stop reading: the consumer is slower than the provider."""
        if self._transport is not None and not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._lose(ConnectionBroken("closed by us"))

    def _lose(self, error: TransportError) -> None:
        exchange, self._exchange = self._exchange, None
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        if exchange is not None:
            exchange.fail(error)

    # httptools callbacks

    def on_message_begin(self) -> None:
        """httptools: an answer begins; one that nobody asked for would be taken for the answer to the next request."""
        self._unasked = self._exchange is None
        self._headers, self._head_size, self._status, self._framed = {}, 0, 0, False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._head_size += len(name) + len(value)
        if self._head_size > self._limits.head_bytes:
            raise ValueError("the head is too large")
        key = name.decode("latin-1").lower()
        if key in ("content-length", "transfer-encoding"):
            self._framed = True
        self._headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        self._status = self._parser.get_status_code()
        if self._status >= 200 and self._exchange is not None:
            self._exchange.head_arrived(self._status, self._headers)

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        if self._exchange is not None:
            self._exchange.body_arrived(data, self._limits.buffer_bytes)

    def on_message_complete(self) -> None:
        """httptools: the answer is complete."""
        if self._status < 200:
            return
        exchange, self._exchange = self._exchange, None
        self.used = True
        if exchange is None:
            return
        keep = self._parser.should_keep_alive()
        exchange.complete()
        if keep and not self.closed:
            self.idle_since = self.loop.time()
            self._free(self)
        else:
            self.closed = True
            if self._transport is not None:
                self._transport.close()


class _Pool:
    """Connections of one origin."""

    def __init__(self) -> None:
        self.idle: deque[Connection] = deque()
        self.open: set[Connection] = set()
        self.waiting: deque[asyncio.Future[None]] = deque()

    def wake_next(self) -> None:
        """A place is free for whoever waits first."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Http1Transport:
    """A ``Transport``. Make it inside a running event loop; close it at the end."""

    def __init__(self, limits: PoolLimits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._tls = tls
        self._pools: dict[Origin, _Pool] = {}
        self._heads: dict[str, tuple[Origin, str]] = {}

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """See ``Transport.send``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeouts.total_s
        origin, data = self._encode(request)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _Pool()
        began = time.perf_counter()
        connection = self._reuse(pool, loop.time())
        if connection is not None:
            try:
                return await self._exchange(connection, data, timeouts, deadline, began, None)
            except ConnectionBroken:
                if connection.received:
                    raise
        connection = await self._connect(pool, origin, timeouts, deadline)
        connected_ms = (time.perf_counter() - began) * 1000
        return await self._exchange(connection, data, timeouts, deadline, began, connected_ms)

    async def close(self) -> None:
        """See ``Transport.close``."""
        for pool in self._pools.values():
            for connection in tuple(pool.open):
                connection.abort()
        self._pools.clear()
        await asyncio.sleep(0)

    @staticmethod
    async def _exchange(
        connection: Connection,
        data: bytes,
        timeouts: Timeouts,
        deadline: float,
        began: float,
        connected_ms: float | None,
    ) -> Exchange:
        exchange = connection.start(data, timeouts, deadline)
        exchange.phases.reused = connected_ms is None
        exchange.phases.connect_ms = connected_ms
        try:
            await exchange.wait_head()
        except BaseException:
            exchange.close()
            raise
        exchange.phases.first_byte_ms = (time.perf_counter() - began) * 1000
        return exchange

    def _reuse(self, pool: _Pool, now: float) -> Connection | None:
        while pool.idle:
            connection = pool.idle.pop()
            if connection.closed:
                continue
            if now - connection.idle_since > self._limits.idle_s:
                connection.abort()
                continue
            return connection
        return None

    async def _connect(self, pool: _Pool, origin: Origin, timeouts: Timeouts, deadline: float) -> Connection:
        loop = asyncio.get_running_loop()
        bound = min(loop.time() + timeouts.connect_s, deadline)
        try:
            async with asyncio.timeout_at(bound):
                while len(pool.open) >= self._limits.per_origin:
                    await self._free_slot(pool)
                    if (connection := self._reuse(pool, loop.time())) is not None:
                        return connection
                return await self._open(pool, origin)
        except TimeoutError:
            raise ConnectTimeout(
                f"no connection to {origin.host}:{origin.port} within {timeouts.connect_s:g} s"
            ) from None

    @staticmethod
    async def _free_slot(pool: _Pool) -> None:
        waiter = asyncio.get_running_loop().create_future()
        pool.waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in pool.waiting:
                pool.waiting.remove(waiter)
            elif not waiter.cancelled():
                pool.wake_next()  # the place was ours already: the next in line gets it
            raise

    async def _open(self, pool: _Pool, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._limits, lambda each: self._freed(pool, each))
        pool.open.add(connection)
        context = self._context() if origin.secure else None
        try:
            await loop.create_connection(lambda: connection, origin.host, origin.port, ssl=context)
        except BaseException as error:
            pool.open.discard(connection)
            pool.wake_next()
            if isinstance(error, OSError):
                raise ConnectFailed(f"{origin.host}:{origin.port}: {error}", _kind(error)) from error
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _freed(self, pool: _Pool, connection: Connection) -> None:
        if connection.closed:
            pool.open.discard(connection)
        else:
            oldest = pool.idle[0] if pool.idle else None
            if oldest is not None and connection.idle_since - oldest.idle_since > self._limits.idle_s:
                pool.idle.popleft().abort()
            pool.idle.append(connection)
        pool.wake_next()

    def _encode(self, request: HttpRequest) -> tuple[Origin, bytes]:
        known = self._heads.get(request.url)
        if known is None:
            known = _split(request.url)
            if len(self._heads) < 4096:
                self._heads[request.url] = known
        origin, target = known
        lines = [f"{request.method} {target}"]
        lines += [f"{name}: {value}" for name, value in _checked(request.headers).items()]
        if request.body or request.method not in ("GET", "HEAD", "DELETE"):
            lines.append(f"content-length: {len(request.body)}")
        return origin, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if "\r" in value or "\n" in value or "\n" in name or "\r" in name:
            raise ValueError(f"header {name!r} contains a line break")
    return headers


def _split(url: str) -> tuple[Origin, str]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = f"[{host}]" if ":" in host else host
    authority = name if parts.port is None else f"{name}:{port}"
    return Origin(secure, host, port), f"{target} HTTP/1.1\r\nhost: {authority}"


def _kind(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ssl.SSLError):
        return "tls"
    return "refused" if isinstance(error, ConnectionRefusedError) else "network"
