"""A real HTTP receiver on loopback, for what notifiers send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Receiver:
    """What has arrived, and how it answers."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """Of the next answers, 200 afterwards; 0 = it takes the request and never answers."""
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        self.bodies.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        self.paths.append(head[0].split()[1])
        self.headers.append(headers)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            await reader.read()  # until the other side is gone
            return writer.close()
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno".encode())
        return writer.close()

    @property
    def told(self) -> list[tuple[str, str]]:
        """Name and status of the alerts in Alertmanager's format, in the order of their arrival."""
        return [(body["groupLabels"]["alertname"], body["status"]) for body in self.bodies]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """It listens until the block ends."""
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        await server.wait_closed()
