"""The journal of finished calls: append-only segments on disk, each of which becomes one ``calls.completed`` frame.

A call is appended with one unbuffered write before its answer ends, so it survives a ``kill -9`` of this process (a
power failure may take the last moments: the kernel has not been asked to sync). A segment's file name is the event id
of its frame; sending it again after a crash therefore repeats the id, and whoever counts calls counts each call id once.

What the disk does not take is kept in memory, up to a bound, and sent from there.
"""

import fcntl
import logging
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from fairlead_common.ids import new_id

logger = logging.getLogger(__name__)

SEGMENT_CALLS = 400
SEGMENT_BYTES = 512 * 1024
"""Well below the 1 MB that a NATS server takes by default."""
MEMORY_BYTES = 16 * 1024 * 1024
LOCK = "lock"


class JournalInUse(Exception):
    """Another process writes to this folder."""


class Frame(NamedTuple):
    """What is to be sent next: the event id, and the calls as JSON objects with commas between them."""

    event_id: str
    calls: bytes


@dataclass(slots=True)
class Segment:
    """A closed segment. ``lines`` holds what the disk did not take; ``suspect``: a line of it may be cut short."""

    event_id: str
    size: int
    path: Path | None = None
    lines: list[bytes] | None = None
    suspect: bool = False
    calls: int | None = None
    """None = it was here at the start, and nobody has looked."""


class Journal:
    """Segments in one folder.

    Args:
        folder: private to this process.
        max_bytes: with the bus away for so long that more than this has piled up, the oldest segments are dropped, loudly.
        memory_bytes: the same for what the disk did not take.

    Raises:
        JournalInUse: another process has the folder.
        OSError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, max_bytes: int = 2 * 1024**3, memory_bytes: int = MEMORY_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / LOCK)
        self._folder = folder
        self._max_bytes = max_bytes
        self._memory_bytes = memory_bytes
        left = sorted(folder.glob("*.jsonl"))
        self._full = deque(Segment(path.stem, path.stat().st_size, path, suspect=True) for path in left)
        self._bytes = sum(segment.size for segment in self._full)
        self._descriptor: int | None = None
        self._current: Path | None = None
        self._calls = 0
        self._size = 0
        self._unwritten: list[bytes] = []
        self._in_memory = 0
        self.lost_calls = 0
        """Never silently: the log tells as well. A segment that cannot be read counts as at least one."""

    @property
    def pending(self) -> int:
        """Segments that wait to be sent, the open one not counted."""
        return len(self._full)

    @property
    def pending_bytes(self) -> int:
        """Their size, on disk and in memory."""
        return self._bytes + self._in_memory

    @property
    def open_calls(self) -> int:
        """Calls that are in no closed segment yet."""
        return self._calls + len(self._unwritten)

    def append(self, call: dict[str, Any]) -> None:
        """Record one call. A full disk must not fail the request: the call is kept in memory then."""
        line = orjson.dumps(call, option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._write(line)
        except OSError as error:
            self._keep(line, error)
            return
        self._calls += 1
        self._size += len(line)
        if self._calls >= SEGMENT_CALLS or self._size >= SEGMENT_BYTES:
            self.rotate()

    def rotate(self) -> None:
        """Close what is open, so that it can be sent."""
        self._close_segment(suspect=False)
        if self._unwritten:
            lines, self._unwritten = self._unwritten, []
            self._full.append(Segment(new_id(), sum(map(len, lines)), lines=lines, calls=len(lines)))
        while self._bytes > self._max_bytes and len(self._full) > 1:
            self._drop_oldest()

    def oldest(self) -> Frame | None:
        """What to send next; a line cut short by a crash is left out."""
        while self._full:
            segment = self._full[0]
            calls = self._read(segment)
            if calls:
                return Frame(segment.event_id, calls)
            self.sent(segment.event_id)
        return None

    def sent(self, event_id: str) -> None:
        """The oldest segment, if it is this one, is safe elsewhere (or holds nothing): remove it."""
        if not self._full or self._full[0].event_id != event_id:
            return  # it was dropped while it was being sent
        segment = self._full.popleft()
        if segment.path is None:
            self._in_memory -= segment.size
            return
        self._bytes -= segment.size
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed (%s); the next start sends it again", segment.path, error)

    def close(self) -> None:
        """Close what is open, and let go of the folder; what is only in memory is lost now."""
        self.rotate()
        lost = sum(len(segment.lines or ()) for segment in self._full)
        if lost:
            self.lost_calls += lost
            logger.error("the disk did not take %d outcomes, and the bus was not there: they are lost", lost)
        os.close(self._lock)

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            self._current = self._folder / f"{new_id()}.jsonl"
            self._descriptor = os.open(self._current, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        written = os.write(self._descriptor, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes were written")

    def _keep(self, line: bytes, error: OSError) -> None:
        """The disk did not take ``line``: cut off what it took of it, close the segment, and remember the line."""
        if not self._unwritten:
            logger.error("the outcomes journal cannot be written: %s; keeping outcomes in memory", error)
        self._close_segment(suspect=True)
        if self._in_memory + len(line) > self._memory_bytes:
            if not self.lost_calls:
                logger.error(
                    "the memory for outcomes (%d bytes) is full too: losing some", self._memory_bytes
                )
            self.lost_calls += 1
            return
        self._unwritten.append(line)
        self._in_memory += len(line)
        if len(self._unwritten) >= SEGMENT_CALLS:
            self.rotate()

    def _close_segment(self, *, suspect: bool) -> None:
        if self._descriptor is None or self._current is None:
            return
        try:
            os.close(self._descriptor)
            if not self._calls:
                self._current.unlink(missing_ok=True)
        except OSError as error:
            logger.error("%s: %s", self._current, error)
            suspect = True
        if self._calls:
            self._full.append(
                Segment(self._current.stem, self._size, self._current, suspect=suspect, calls=self._calls)
            )
            self._bytes += self._size
        self._descriptor = self._current = None
        self._calls = self._size = 0

    def _read(self, segment: Segment) -> bytes:
        if segment.path is None:
            return b",".join(line[:-1] for line in segment.lines or ())
        try:
            data = segment.path.read_bytes()
        except OSError as error:
            logger.error("%s cannot be read: %s", segment.path, error)
            self.lost_calls += segment.calls or 1
            return b""
        if segment.suspect:
            return b",".join(line for line in data.split(b"\n") if _whole(line))
        return data[:-1].replace(b"\n", b",")

    def _drop_oldest(self) -> None:
        oldest = self._full[0]
        calls = _calls_in(oldest)
        logger.error("over %d bytes of outcomes wait for the bus; dropping %d calls", self._max_bytes, calls)
        self.lost_calls += calls
        self.sent(oldest.event_id)


def _calls_in(segment: Segment) -> int:
    if segment.calls is not None or segment.path is None:
        return segment.calls or 0
    try:
        return segment.path.read_bytes().count(b"\n")
    except OSError:
        return 1


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalInUse(
            f"another process writes to {path.parent}; give each edge its own folder"
        ) from None
    return descriptor


def _whole(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
