"""A slow database: a relay takes the place of the server's socket and holds back every piece in both directions."""

import asyncio
from pathlib import Path

import asyncpg

from fairlead.drills.relay import Relay


class SlowPostgres:
    """Between the services and the server whose socket is ``socket``.

    Args:
        dsn: of the services; the connections that are there are ended, so that they come again through the relay.
        delay_s: added to each piece, in each direction.
    """

    def __init__(self, socket: Path, dsn: str, delay_s: float) -> None:
        self._socket = socket
        self._real = socket.with_name(f"{socket.name}.real")
        self._dsn = dsn
        self._relay = Relay(lambda: asyncio.open_unix_connection(self._real), delay_s)
        self._server: asyncio.Server | None = None

    async def begin(self) -> None:
        """Be slow from now on."""
        await self._end_connections()
        self._socket.rename(self._real)
        self._server = await asyncio.start_unix_server(self._relay.link, self._socket)

    async def end(self) -> None:
        """Let the server have its socket back, and end the slow connections."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._real.replace(self._socket)
        self._relay.cut()

    async def _end_connections(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=10)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()
