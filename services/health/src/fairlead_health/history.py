"""The history of a provider in steps: which steps a question asks for, and the figures of each."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common.operations.health import HistoryPoint, HistoryQuery, Resolution
from sqlalchemy import RowMapping

from fairlead_health.domain.score import Span, availability
from fairlead_health.windows import HOURS_KEPT, MINUTES_KEPT, Sum, sum_of, window_of

STEPS: Final[Mapping[Resolution, timedelta]] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
MAX_STEPS: Final = 1000
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnansweredQuestion(ValueError):
    """The history cannot be given so; says why and what can be asked for."""


def steps_of(query: HistoryQuery, now: datetime) -> list[datetime]:
    """Where the steps of ``query`` begin, whole minutes, hours or days of UTC; none when it has no resolution.

    Raises:
        UnansweredQuestion: it ends before it begins, has too many steps, or begins before what is kept.
    """
    until = min(query.until or now, now)
    if query.since is not None and query.since >= until:
        raise UnansweredQuestion("since must be before until, and in the past")
    if query.resolution is None:
        return []
    if query.since is None:
        raise UnansweredQuestion("a resolution needs a beginning: give since")
    step, kept = STEPS[query.resolution], MINUTES_KEPT if query.resolution in ("1m", "5m") else HOURS_KEPT
    if query.since < now - kept:
        hint = "ask for 1h or 1d" if kept is MINUTES_KEPT else "ask for a later beginning"
        raise UnansweredQuestion(
            f"figures in steps of {query.resolution} are kept for {kept.total_seconds() / 3600:g} hours; {hint}"
        )
    begin = query.since - (query.since - LONG_AGO) % step
    count = -((begin - until) // step)
    if count > MAX_STEPS:
        raise UnansweredQuestion(
            f"{count} steps of {query.resolution} are more than {MAX_STEPS}; ask for a shorter time or a longer step"
        )
    return [begin + i * step for i in range(count)]


def points_of(
    query: HistoryQuery,
    begins: Sequence[datetime],
    rows: Iterable[RowMapping],
    spans: Sequence[Span],
    now: datetime,
) -> list[HistoryPoint]:
    """The figures of each step; of the last one, up to ``now``.

    Args:
        begins: what ``steps_of`` says.
        rows: minutes or hours of the provider since the first step.
        spans: its states.
    """
    if query.resolution is None:
        return []
    step = STEPS[query.resolution]
    sums: dict[datetime, Sum] = {begin: Sum() for begin in begins}
    for row in rows:
        begin = row["at"] - (row["at"] - LONG_AGO) % step
        if begin in sums and query.model in (None, row["model"]):
            sums[begin].add(sum_of(row))
    points = []
    for begin, total in sums.items():
        end = min(begin + step, now)
        known = availability(spans, end.timestamp(), (end - begin).total_seconds() or 1.0)
        found = window_of(query.resolution, query.model, total, known if query.model is None else None)
        points.append(HistoryPoint(started_at=begin, **dict(found)))
    return points
