"""HTTP/1.1 over pooled asyncio connections, parsed by httptools: no task and no lock per request.

A connection serves one exchange at a time and goes back to its pool when the answer was complete. An idle connection
that the server closed meanwhile costs one silent retry on a fresh one, and only when not a single byte came back.
"""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from fairlead_models.transport.connecting import connect
from fairlead_models.transport.exchange import TICK_S, Connection, Exchange
from fairlead_models.transport.protocol import (
    ConnectFailed,
    ConnectionBroken,
    ConnectTimeout,
    HttpRequest,
    HttpResponse,
    Phases,
    PoolLimits,
    Timeouts,
    TotalTimeout,
    TransportError,
)


class Origin(NamedTuple):
    """Where connections go."""

    secure: bool
    host: str
    port: int


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
                return await self._exchange(connection, data, timeouts, deadline, began, Phases(reused=True))
            except ConnectionBroken:
                if connection.received:
                    raise
        phases = Phases()
        try:
            connection = await self._connect(pool, origin, timeouts, deadline, phases)
            return await self._exchange(connection, data, timeouts, deadline, began, phases)
        except TransportError as error:
            error.phases = phases
            raise

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
        phases: Phases,
    ) -> Exchange:
        exchange = connection.start(data, timeouts, deadline)
        exchange.phases = phases
        try:
            await exchange.wait_head()
        except BaseException:
            exchange.close()
            raise
        phases.first_byte_ms = (time.perf_counter() - began) * 1000
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

    async def _connect(
        self, pool: _Pool, origin: Origin, timeouts: Timeouts, deadline: float, phases: Phases
    ) -> Connection:
        loop = asyncio.get_running_loop()
        bound = min(loop.time() + timeouts.connect_s, deadline)
        late = asyncio.timeout(None)
        timer = loop.call_at(bound, lambda: late.reschedule(loop.time() + TICK_S))  # see Exchange.expired
        try:
            async with late:
                while len(pool.open) >= self._limits.per_origin:
                    await self._free_slot(pool)
                    if (connection := self._reuse(pool, loop.time())) is not None:
                        phases.reused = True
                        return connection
                return await self._open(pool, origin, phases)
        except TimeoutError:
            if bound == deadline:
                raise TotalTimeout(f"not finished within {timeouts.total_s:g} s") from None
            raise ConnectTimeout(
                f"no connection to {origin.host}:{origin.port} within {timeouts.connect_s:g} s"
            ) from None
        finally:
            timer.cancel()

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

    async def _open(self, pool: _Pool, origin: Origin, phases: Phases) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._limits, lambda each: self._freed(pool, each))
        pool.open.add(connection)
        context = self._context() if origin.secure else None
        try:
            await connect(lambda: connection, origin.host, origin.port, context, phases)
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
