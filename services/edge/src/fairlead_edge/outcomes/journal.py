"""The journal of finished calls: append-only segments on disk, each of which becomes one ``calls.completed`` frame.

A call is appended with one unbuffered write before its answer ends, so it survives a ``kill -9`` of this process (a
power failure may take the last moments: the kernel has not been asked to sync). A segment's file name is the event id
of its frame; sending it again after a crash therefore repeats the id, and whoever counts calls counts each call id once.
"""

import logging
import os
from collections import deque
from pathlib import Path
from typing import Any

import orjson
from fairlead_common.ids import new_id

logger = logging.getLogger(__name__)

SEGMENT_CALLS = 400
SEGMENT_BYTES = 1024 * 1024


class Journal:
    """Segments in one folder.

    Args:
        folder: private to this process.
        max_bytes: with the bus away for so long that more than this has piled up, the oldest segments are dropped, loudly.
    """

    def __init__(self, folder: Path, max_bytes: int = 2 * 1024**3) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._full: deque[Path] = deque(sorted(folder.glob("*.jsonl")))
        self._bytes = sum(path.stat().st_size for path in self._full)
        self._descriptor: int | None = None
        self._current: Path | None = None
        self._calls = 0
        self._size = 0
        self.dropped_segments = 0

    @property
    def pending(self) -> int:
        """Segments that wait to be sent, the open one not counted."""
        return len(self._full)

    @property
    def open_calls(self) -> int:
        """Calls in the open segment."""
        return self._calls

    def append(self, call: dict[str, Any]) -> None:
        """Record one call. A full disk must not fail the request: the error is logged and the call is lost."""
        line = orjson.dumps(call, option=orjson.OPT_APPEND_NEWLINE)
        try:
            if self._descriptor is None:
                self._open()
            if self._descriptor is not None:
                os.write(self._descriptor, line)
        except OSError:
            logger.exception("the outcome of call %s could not be journalled", call.get("call_id"))
            return
        self._calls += 1
        self._size += len(line)
        if self._calls >= SEGMENT_CALLS or self._size >= SEGMENT_BYTES:
            self.rotate()

    def rotate(self) -> None:
        """Close the open segment, so that it can be sent."""
        if self._descriptor is None or self._current is None:
            return
        os.close(self._descriptor)
        self._full.append(self._current)
        self._bytes += self._size
        self._descriptor = self._current = None
        self._calls = self._size = 0
        while self._bytes > self._max_bytes and len(self._full) > 1:
            self._drop_oldest()

    def oldest(self) -> tuple[str, list[bytes]] | None:
        """(event id, calls as JSON) of the segment to send next; a line cut short by a crash is left out."""
        while self._full:
            path = self._full[0]
            lines = [line for line in path.read_bytes().splitlines() if _whole(line)]
            if lines:
                return path.stem, lines
            self.sent()
        return None

    def sent(self) -> None:
        """The oldest segment is safe elsewhere: remove it."""
        path = self._full.popleft()
        self._bytes -= path.stat().st_size if path.exists() else 0
        path.unlink(missing_ok=True)

    def _open(self) -> None:
        self._current = self._folder / f"{new_id()}.jsonl"
        self._descriptor = os.open(self._current, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _drop_oldest(self) -> None:
        logger.error(
            "more than %d bytes of outcomes wait for the bus; dropping %s",
            self._max_bytes,
            self._full[0].name,
        )
        self.dropped_segments += 1
        self.sent()


def _whole(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
