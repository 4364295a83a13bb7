"""Server-sent events, incrementally: any split of the bytes gives the same events (WHATWG HTML, section 9.2).

Only the fields that model APIs use are kept: ``event`` and ``data``. An event larger than the bound is an error, so
that a broken provider cannot fill our memory.
"""

from typing import NamedTuple

MAX_EVENT_BYTES = 4 * 1024 * 1024


class SseEvent(NamedTuple):
    """One dispatched event."""

    event: str
    data: bytes


class SseTooLarge(ValueError):
    """An event did not end within the bound."""


class SseParser:
    """Feed bytes, get events."""

    __slots__ = ("_buffer", "_data", "_event", "_size")

    def __init__(self) -> None:
        self._buffer = b""
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Events completed by ``chunk``.

        Raises:
            SseTooLarge: an event exceeds ``MAX_EVENT_BYTES``.
        """
        buffer = self._buffer + chunk if self._buffer else chunk
        if b"\r" in buffer:
            buffer = self._normalised(buffer)
        lines = buffer.split(b"\n")
        self._buffer = lines.pop()
        if len(self._buffer) + self._size > MAX_EVENT_BYTES:
            raise SseTooLarge(f"a server-sent event exceeds {MAX_EVENT_BYTES} bytes")
        events: list[SseEvent] = []
        for line in lines:
            self._line(line.rstrip(b"\r"), events)
        return events

    @staticmethod
    def _normalised(buffer: bytes) -> bytes:
        """CRLF and lone CR to LF; a CR at the very end waits for what follows."""
        tail = b"\r" if buffer.endswith(b"\r") else b""
        body = buffer[:-1] if tail else buffer
        return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + tail

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not line:
            if self._data:
                events.append(SseEvent(self._event.decode("utf-8", "replace"), b"\n".join(self._data)))
            self._event, self._data, self._size = b"", [], 0
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._event = value
