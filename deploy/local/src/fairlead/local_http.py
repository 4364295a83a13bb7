"""The few HTTP requests that the command line and the supervisor send to processes of their own on loopback."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """Status and whole body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


async def request(
    method: str,
    url: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 5.0,
) -> Answer:
    """Send one request on a connection of its own and read the whole answer, a stream to its end.

    Args:
        body: sent as JSON; None = no body.

    Raises:
        OSError, TimeoutError: no answer, or one that is cut off or no HTTP.
    """
    async with asyncio.timeout(timeout_s):
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            writer.write(_encode(method, parts.netloc, target, body, headers or {}))
            return await _read(reader)
        except (ValueError, asyncio.IncompleteReadError) as error:
            raise ConnectionError(f"the answer of {url} is cut off or no HTTP: {error}") from error
        finally:
            writer.close()


def _encode(method: str, host: str, target: str, body: Any, headers: Mapping[str, str]) -> bytes:
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    status = int(first.partition(" ")[2][:3])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, await _read_chunks(reader))
    if "content-length" in headers:
        return Answer(status, await reader.readexactly(int(headers["content-length"])))
    return Answer(status, await reader.read())


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    found: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        found.append(await reader.readexactly(size))
        await reader.readuntil(b"\r\n")
    return b"".join(found)
