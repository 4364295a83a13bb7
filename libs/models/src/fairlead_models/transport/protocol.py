"""What a transport is, and how it can fail.

::

    TransportError
    +-- ConnectFailed       refused, unreachable, unknown host, TLS
    +-- ConnectTimeout      no connection in time (waiting for a free one included)
    +-- FirstByteTimeout    the answer's head, or the first token of its body, did not come in time
    +-- StallTimeout        the body stopped coming
    +-- TotalTimeout        everything together took too long
    +-- ConnectionBroken    closed before the answer was complete
    +-- ResponseTooLarge    more than the limit
    +-- BadResponse         not HTTP
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class TransportError(Exception):
    """Root; says what happened, never what was sent. ``phases`` are those that ended before it."""

    phases: "Phases | None" = None


class ConnectFailed(TransportError):
    """No connection could be made; ``kind`` is dns, refused, tls or network."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class ConnectTimeout(TransportError):
    """No connection within ``connect_s``."""


class FirstByteTimeout(TransportError):
    """No answer within ``first_byte_s``."""


class StallTimeout(TransportError):
    """No byte of the body within ``between_bytes_s``."""


class TotalTimeout(TransportError):
    """Not finished within ``total_s``."""


class ConnectionBroken(TransportError):
    """The connection closed before the answer was complete."""


class ResponseTooLarge(TransportError):
    """The body exceeds the limit."""


class BadResponse(TransportError):
    """The bytes are not an HTTP response."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; each bounds its own phase, ``total_s`` all of them together."""

    connect_s: float = 3.0
    first_byte_s: float = 60.0
    between_bytes_s: float = 30.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to an absolute http(s) URL. Header names in lower case; host and content-length are added."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Phases:
    """Milliseconds; None = the phase did not happen (a reused connection has no dns, connect, tls) or did not end."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    """From the beginning, so with the phases before it, to the head of the answer."""
    reused: bool = False


class HttpResponse(Protocol):
    """An answer whose head has arrived."""

    status: int
    headers: dict[str, str]
    phases: Phases

    async def body(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """The whole body. Raises TransportError."""
        ...

    async def chunk(self, by: float | None = None) -> bytes:
        """The next piece of the body, empty at its end; reading slowly slows the provider down.

        Args:
            by: time of the event loop's clock at which waiting ends with FirstByteTimeout.

        Raises:
            TransportError: any of them.
        """
        ...

    def close(self) -> None:
        """Let go: a connection whose answer was not read to its end is closed at once."""
        ...


class Transport(Protocol):
    """Sends requests over pooled connections."""

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """Send, and return when the answer's head is there. Raises TransportError. Cancelling closes the connection."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of a transport."""

    per_origin: int = 4096
    """Connections; a request beyond them waits, and waiting counts as connecting."""
    idle_s: float = 30.0
    head_bytes: int = 64 * 1024
    buffer_bytes: int = 256 * 1024
