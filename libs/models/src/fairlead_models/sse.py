"""Server-sent events, incrementally: any split of the bytes gives the same events (WHATWG HTML, section 9.2).

Only the fields that model APIs use are kept: ``event`` and ``data``. An event larger than the bound is an error, so
that a broken provider cannot fill our memory. Work is linear in the bytes, however small the pieces.
"""

from typing import NamedTuple

MAX_EVENT_BYTES = 4 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One dispatched event."""

    event: str
    data: bytes


class SseTooLarge(ValueError):
    """An event did not end within the bound."""


class SseParser:
    """Feed bytes, get events."""

    __slots__ = ("_begun", "_cr", "_data", "_event", "_partial", "_pending", "_size")

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._pending = 0
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0
        self._cr = False
        self._begun = False

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Events completed by ``chunk``.

        Raises:
            SseTooLarge: an event exceeds ``MAX_EVENT_BYTES``.
        """
        if self._cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._cr = False
        if b"\r" in chunk:
            self._cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        events: list[SseEvent] = []
        if len(lines) > 1:
            self._partial.append(lines[0])
            lines[0] = b"".join(self._partial)
            self._partial, self._pending = [], 0
            for line in lines[:-1]:
                self._line(line, events)
        if lines[-1]:
            self._partial.append(lines[-1])
            self._pending += len(lines[-1])
            self._bound()
        return events

    def _bound(self) -> None:
        if self._size + self._pending > MAX_EVENT_BYTES:
            raise SseTooLarge(f"a server-sent event exceeds {MAX_EVENT_BYTES} bytes")

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(BOM)
        if not line:
            if self._data:
                events.append(SseEvent(self._event.decode("utf-8", "replace"), b"\n".join(self._data)))
            self._event, self._data, self._size = b"", [], 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
            self._bound()
        elif name == b"event":
            self._event = value.removeprefix(b" ")
