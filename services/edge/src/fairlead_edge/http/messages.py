"""What a handler is given: the request, and the writer of its answer."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol

REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}
NO_CONTENT = 204
STOPPING: Final = "the server is stopping"
"""Message of the cancellation that ends a handler because of the server; without it, the client has left."""


@dataclass(slots=True)
class Request:
    """One request, its body complete.

    ``path`` is percent-decoded, ``raw_path`` as it came. Header names in lower case; of repeated headers the last counts.
    """

    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    body: bytes
    client: str
    keep_alive: bool
    raw_path: bytes = b""
    chunked: bool = True
    """The client understands an answer in chunks (HTTP/1.1)."""


class Sink(Protocol):
    """Where a writer's bytes go."""

    def write(self, data: bytes) -> None:
        """Queue bytes for the peer."""
        ...

    async def drained(self) -> None:
        """Wait while the peer reads too slowly."""
        ...

    def abort(self) -> None:
        """Close without regard to what was queued."""
        ...


class ResponseWriter:
    """Answers one request: either ``send`` once, or ``start``, ``write``..., ``end``.

    Args:
        chunked: an answer of unknown length goes out in chunks; otherwise it ends with the connection (HTTP/1.0).
    """

    __slots__ = ("_chunked", "_head_only", "_keep_alive", "_sink", "ended", "started")

    def __init__(self, sink: Sink, *, keep_alive: bool, head_only: bool, chunked: bool = True) -> None:
        self._sink = sink
        self._keep_alive = keep_alive
        self._head_only = head_only
        self._chunked = chunked
        self.started = False
        self.ended = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve another request after this one."""
        return self._keep_alive and self.ended

    def close_after(self) -> None:
        """Tell the peer that this was the last answer on the connection."""
        self._keep_alive = False

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The whole answer in one write. Raises ValueError for a header with a line break; nothing is sent then."""
        framing = "" if status == NO_CONTENT else f"content-length: {len(body)}\r\n"
        head = _head(status, headers, framing, keep_alive=self._keep_alive)
        self.started = self.ended = True
        self._sink.write(head if self._head_only else head + body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer of unknown length. Raises ValueError as ``send`` does."""
        if not self._chunked:
            self._keep_alive = False
        framing = "transfer-encoding: chunked\r\n" if self._chunked else ""
        head = _head(status, headers, framing, keep_alive=self._keep_alive)
        self.started = True
        self._sink.write(head)

    async def write(self, data: bytes) -> None:
        """A piece of the body; waits while the peer is slow."""
        if data and not self._head_only:
            self._sink.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            await self._sink.drained()

    def end(self, last: bytes = b"") -> None:
        """The answer is complete with ``last``; does not wait for a slow peer."""
        self.ended = True
        if self._head_only:
            return
        if not self._chunked:
            self._sink.write(last)
        elif last:
            self._sink.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))
        else:
            self._sink.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Close the connection, so that the peer sees that the answer is not complete."""
        self._sink.abort()


class _Clock:
    """The Date header, formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def date(self) -> str:
        """RFC 9110 date of now."""
        now = int(time.time())
        if now != self._second:
            self._second, self._text = now, formatdate(now, usegmt=True)
        return self._text


_CLOCK = _Clock()


def _head(status: int, headers: Mapping[str, str], framing: str, *, keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\ndate: {_CLOCK.date()}\r\n"]
    for name, value in headers.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"header {name!r} contains a line break")
        lines.append(f"{name}: {value}\r\n")
    lines.append(framing)
    if not keep_alive:
        lines.append("connection: close\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")


async def never() -> None:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()
