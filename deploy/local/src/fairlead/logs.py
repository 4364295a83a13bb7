"""The log files of the processes: what a process said last, and keeping each file bounded."""

import json
import shutil
from pathlib import Path

MAX_BYTES = 20 * 1024 * 1024
"""A larger file is moved to ``<name>.log.1``, which is replaced each time."""
TAIL_BYTES = 8192
LINE_LENGTH = 200
FRAME = " \t|+-"
"""What Python draws around the tracebacks of an exception group."""


def last_line(path: Path, since: int = 0) -> str | None:
    """The last line that was written after byte ``since``, shortened for a terminal; None: nothing was."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(min(since, size), size - TAIL_BYTES))
            lines = [line.strip(FRAME) for line in file.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return None
    lines = [line for line in lines if line]
    return shorten(in_words(lines[-1])) if lines else None


def in_words(line: str) -> str:
    """The message of a JSON log line, with the error it carries; other lines as they are."""
    try:
        found = json.loads(line)
    except ValueError:
        return line
    if not isinstance(found, dict) or "message" not in found:
        return line
    trace = [each for each in str(found.get("exception", "")).splitlines() if each.strip()]
    return f"{found['message']}: {trace[-1].strip()}" if trace else str(found["message"])


def shorten(text: str) -> str:
    """At most ``LINE_LENGTH`` characters, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= LINE_LENGTH else text[: LINE_LENGTH - 3] + "..."


def size(path: Path) -> int:
    """Bytes in a log, 0 when there is none."""
    return path.stat().st_size if path.exists() else 0


def bound(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Copy each log that is too large aside and empty it; its process goes on appending."""
    for path in folder.glob("*.log"):
        if size(path) > max_bytes:
            shutil.copyfile(path, path.with_name(path.name + ".1"))
            with path.open("r+b") as file:
                file.truncate(0)
