"""One HTTP/1.1 connection to a provider, and the one exchange that is under way on it."""

import asyncio
from collections import deque
from collections.abc import Callable

import httptools

from fairlead_models.transport.protocol import (
    BadResponse,
    ConnectionBroken,
    FirstByteTimeout,
    Phases,
    PoolLimits,
    ResponseTooLarge,
    StallTimeout,
    Timeouts,
    TotalTimeout,
    TransportError,
)

TICK_S = 0.001
"""The event loop's timers may be early by this much; so long is left as well for reading what has come already."""
NAMES = {
    spelling.encode(): name
    for name in (
        "access-control-expose-headers alt-svc cf-cache-status cf-ray cache-control connection content-encoding"
        " content-length content-type date keep-alive request-id retry-after server set-cookie"
        " strict-transport-security transfer-encoding vary via x-request-id"
    ).split()
    for spelling in (name, name.title())
}
"""Header names as providers usually spell them: looking up is quicker than decoding."""


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
        "_overdue",
        "_paused",
        "_size",
        "_timeouts",
        "_waiter",
        "_watched",
        "_why",
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
        self._watched = 0.0
        self._overdue = False
        self._why: type[TransportError] = FirstByteTimeout

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

    def expired(self, now: float) -> float | None:
        """The connection's timer has come: give up if it is time, else say when to look again; None = nobody waits.

        A loop that was held up runs its timers before it reads: what has come in time is still in the socket. So what is
        overdue gets one more look, after reading.
        """
        if self._waiter is None or self._waiter.done():
            return None
        if now + TICK_S < self._watched:
            return self._watched
        if not self._overdue:
            self._overdue = True
            return now + TICK_S
        self._waiter.set_exception(self._timed_out())
        self.close()
        return None

    # what the caller does

    async def wait_head(self) -> None:
        """Wait for the head. Raises TransportError."""
        bound = self._loop.time() + self._timeouts.first_byte_s
        while not self._head:
            if self._broken is not None:
                raise self._broken
            await self._wait(bound, FirstByteTimeout)

    async def chunk(self, by: float | None = None) -> bytes:
        """See ``HttpResponse.chunk``."""
        while not self._buffer:
            if self._done:
                return b""
            if self._broken is not None:
                raise self._broken
            bound = self._loop.time() + self._timeouts.between_bytes_s
            if by is not None and by < bound:
                await self._wait(by, FirstByteTimeout)
            else:
                await self._wait(bound, StallTimeout)
        return self._take()

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

    def _take(self) -> bytes:
        """Everything that has arrived."""
        data = self._buffer.popleft() if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        self._size = 0
        if self._paused and self._connection is not None:
            self._paused = False
            self._connection.resume()
        return data

    async def _wait(self, bound: float, why: type[TransportError]) -> None:
        self._watched, self._why, self._overdue = min(bound, self._deadline), why, False
        self._waiter = self._loop.create_future()
        if self._connection is not None:
            self._connection.watch(self._watched)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _timed_out(self) -> TransportError:
        times = self._timeouts
        if self._watched >= self._deadline:
            return TotalTimeout(f"not finished within {times.total_s:g} s")
        if self._why is StallTimeout:
            return StallTimeout(f"no byte for {times.between_bytes_s:g} s")
        what = "no token" if self._head else "no answer"
        return FirstByteTimeout(f"{what} within {times.first_byte_s:g} s")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One TCP or TLS connection. One timer serves all its exchanges: it is moved only when it would be late."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: PoolLimits, free: Callable[["Connection"], None]
    ) -> None:
        self.loop = loop
        self.idle_since = 0.0
        self.closed = False
        self.received = False
        self._limits = limits
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0
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

    def watch(self, bound: float) -> None:
        """Look after the exchange at ``bound`` (the event loop's clock) at the latest."""
        if self._timer is not None:
            if self._armed <= bound:
                return
            self._timer.cancel()
        self._armed = bound
        self._timer = self.loop.call_at(bound, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._exchange is not None and (later := self._exchange.expired(self.loop.time())) is not None:
            self.watch(later)

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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
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
        key = NAMES.get(name) or name.decode("latin-1").lower()
        self._headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        self._framed = "content-length" in self._headers or "transfer-encoding" in self._headers
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
        if exchange is None:
            return
        exchange.complete()
        if self._parser.should_keep_alive() and not self.closed:
            self.idle_since = self.loop.time()
            self._free(self)
        else:
            self.closed = True
            if self._transport is not None:
                self._transport.close()
