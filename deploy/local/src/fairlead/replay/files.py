"""A schedule of outages from a CSV file with the columns start, end, provider; every mistake with its line."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fairlead_common.decisions.outages import Span

from fairlead.errors import BadInput

COLUMNS: Final = ("start", "end", "provider")
SHOWN: Final = 10
"""At most so many mistakes are told at once."""
MILLISECONDS_FROM: Final = 1e11
"""An epoch from here on counts milliseconds: in seconds it would lie beyond the year 5000."""


class Mistake(ValueError):
    """What is wrong with one value."""


@dataclass(frozen=True)
class Schedule:
    """Providers in the order in which the file names them, each with its incidents in Unix seconds."""

    incidents: Mapping[str, list[Span]]
    rows: int

    @property
    def period(self) -> Span:
        """From the first beginning to the last end."""
        spans = [span for spans in self.incidents.values() for span in spans]
        return min(start for start, _ in spans), max(end for _, end in spans)


def read_schedule(path: Path) -> Schedule:
    """Read and check. Raises BadInput: unreadable, columns missing, values that cannot be used, nothing in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"cannot read '{path}': it is not UTF-8 text") from error
    incidents: dict[str, list[Span]] = {}
    mistakes: list[str] = []
    rows = 0
    for line, row in _rows(text, path):
        rows += 1
        try:
            provider, span = _incident(row)
        except Mistake as mistake:
            mistakes.append(f"line {line}: {mistake}")
        else:
            incidents.setdefault(provider, []).append(span)
    if mistakes:
        more = f"; and {len(mistakes) - SHOWN} more" if len(mistakes) > SHOWN else ""
        raise BadInput(f"'{path}': {'; '.join(mistakes[:SHOWN])}{more}")
    if not incidents:
        raise BadInput(f"'{path}' names no outage: expected rows of start, end, provider below the header")
    return Schedule(incidents, rows)


def time_of(text: str) -> float:
    """Unix seconds of an ISO 8601 time (UTC where it names no zone) or of an epoch in (milli)seconds. Raises Mistake."""
    found = text.strip()
    try:
        epoch = float(found)
    except ValueError:
        pass
    else:
        if not 0 <= epoch < 1e15:
            raise Mistake(f"'{found}' is no epoch: expected seconds or milliseconds since 1970")
        return epoch / 1000 if epoch >= MILLISECONDS_FROM else epoch
    try:
        at = datetime.fromisoformat(found)
    except ValueError as error:
        raise Mistake(
            f"'{found}' is no time: expected ISO 8601 like 2025-01-31T12:00:00Z, or an epoch in seconds"
        ) from error
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _rows(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Line number and row of everything below the header; empty lines are passed over."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    delimiter = max(",;\t", key=lines[first].count) if lines[first:] else ","
    reader = csv.reader(lines[first:], delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise BadInput(
            f"'{path}', line {first + 1}: the header lacks {_listed(missing)}; expected the columns start, end, provider"
        )
    for row in reader:
        if any(value.strip() for value in row):
            padded = [*row, *([None] * (len(names) - len(row)))]
            yield first + reader.line_num, dict(zip(names, padded, strict=False))


def _incident(row: Mapping[str, str | None]) -> tuple[str, Span]:
    values = {name: (row[name] or "").strip() for name in COLUMNS}
    empty = [name for name, value in values.items() if not value]
    if empty:
        raise Mistake(f"{_listed(empty)} is empty")
    start, end = time_of(values["start"]), time_of(values["end"])
    if end < start:
        raise Mistake(f"the end '{values['end']}' lies before the start '{values['start']}'")
    return values["provider"], (start, end)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)
