"""The server: listens, keeps its connections, and lets them finish when it must stop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from fairlead_edge.http.connection import Connection, Limits
from fairlead_edge.http.messages import Request, ResponseWriter

Handler = Callable[[Request, ResponseWriter], Awaitable[None]]
Reject = Callable[[int, str, str], tuple[dict[str, str], bytes]]
"""Gives headers and body for (status, reason, path) of a request that is refused before any handler sees it."""

LAST_WORDS_S = 1.0
"""How long clients may take to read what was said when they were cut off."""


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
        """Accept nothing new, let running answers finish for up to ``timeout_s``, then cancel them and close everything."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.close_when_idle()
        await self._emptied(timeout_s)
        cut = [task for connection in tuple(self.connections) if (task := connection.stop()) is not None]
        await asyncio.gather(*cut, return_exceptions=True)
        for connection in tuple(self.connections):
            connection.close()
        await self._emptied(LAST_WORDS_S)
        for connection in tuple(self.connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _emptied(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.connections:
                    self._changed.clear()
                    await self._changed.wait()

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._changed.set()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in tuple(self.connections):
            connection.check_age(loop.time())
        self._sweeper = loop.call_later(self.limits.sweep_s, self._sweep)


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
