"""Passes on, piece by piece, what two ends of a connection send each other; a drill can hold it back, or cut it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """What a server does with each connection.

    Args:
        connect: opens the connection to the other end.
        delay_s: added to each piece, in each direction.
    """

    def __init__(self, connect: Callable[[], Awaitable[Ends]], delay_s: float = 0.0) -> None:
        self._connect = connect
        self._delay_s = delay_s
        self._links: set[asyncio.StreamWriter] = set()

    async def link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either end leaves."""
        inner_reader, inner_writer = await self._connect()
        links = {writer, inner_writer}
        self._links |= links
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, inner_writer))
                group.create_task(self._pass_on(inner_reader, writer))
        finally:
            self._links -= links

    def cut(self) -> None:
        """Break every connection that is open."""
        for writer in tuple(self._links):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side ends; then the other side ends too."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await asyncio.sleep(self._delay_s)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
