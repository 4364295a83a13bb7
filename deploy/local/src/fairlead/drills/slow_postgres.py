"""A slow database: a relay takes the place of the server's socket and holds back every piece in both directions."""

import asyncio
import contextlib
from pathlib import Path

import asyncpg


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
        self._delay_s = delay_s
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()

    async def begin(self) -> None:
        """Be slow from now on."""
        await self._end_connections()
        self._socket.rename(self._real)
        self._server = await asyncio.start_unix_server(self._link, self._socket)

    async def end(self) -> None:
        """Let the server have its socket back, and end the slow connections."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._real.replace(self._socket)
        for writer in tuple(self._links):
            writer.transport.abort()

    async def _end_connections(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=10)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._real)
        links = {writer, inner_writer}
        self._links |= links
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, inner_writer))
                group.create_task(self._pass_on(inner_reader, writer))
        finally:
            self._links -= links

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side ends; then the other side ends too."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await asyncio.sleep(self._delay_s)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
