"""Reading sums of attempts over any window, whole or in blocks of time; quality scores over a window."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from fairlead_common import sketch
from fairlead_common.db.database import Database
from sqlalchemy import RowMapping

from fairlead_comparison.domain.scores import Score
from fairlead_comparison.domain.sums import PLAIN, WHOLE, Part, Sums

SKETCHES: Final = ("latency", "ttft")
ALL_IN_ONE: Final = 10**11
"""Block length (seconds) that puts any window into one block."""


class Window(NamedTuple):
    """From ``since`` (inside) to ``until`` (outside), calls of these kinds, put together from hours or from minutes."""

    since: datetime
    until: datetime
    kinds: tuple[str, ...] = ("live",)
    hourly: bool = False

    @property
    def source(self) -> tuple[str, str]:
        """Table and time column that the window is put together from."""
        return ("performance_hour", "hour") if self.hourly else ("performance_minute", "minute")


class SumStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def parts(self, window: Window, block_s: int, sketches: Collection[str] = SKETCHES) -> list[Part]:
        """Sums by provider, model and block of ``block_s`` seconds (a whole number of minutes or hours), by time.

        Args:
            sketches: which of ``latency`` and ``ttft`` are wanted; they are most of the work.
        """
        table, column = window.source
        block = f"floor(extract(epoch FROM {column}) / :block_s)::bigint"
        plain = ", ".join(f"sum({name}) AS {name}" for name in PLAIN)
        rows = await self._rows(
            f"SELECT provider, model, {block} AS block, {plain} FROM {table} {_where(column)}"
            " GROUP BY 1, 2, 3 ORDER BY 3, 1, 2",
            window,
            block_s=block_s,
        )
        found = {
            (row["provider"], row["model"], row["block"]): Sums(
                **{name: _as_declared(name, row[name]) for name in PLAIN}
            )
            for row in rows
        }
        for name in sketches:
            merged = await self._rows(
                "SELECT provider, model, block, jsonb_object_agg(bucket, n)::text AS sketch FROM ("
                f"SELECT provider, model, {block} AS block, bucket, sum(n::bigint) AS n"
                f" FROM {table}, jsonb_each_text({name}_sketch) AS each (bucket, n) {_where(column)} GROUP BY 1, 2, 3, 4"
                ") AS summed GROUP BY 1, 2, 3",
                window,
                block_s=block_s,
            )
            for row in merged:
                sums = found.get((row["provider"], row["model"], row["block"]))
                if sums is not None:
                    setattr(sums, name, sketch.from_json(json.loads(row["sketch"])))
        return [
            Part(provider, model, datetime.fromtimestamp(number * block_s, UTC), sums)
            for (provider, model, number), sums in found.items()
        ]

    async def extent(self, window: Window) -> tuple[datetime, datetime] | None:
        """First and last minute (or hour) with attempts, or None when there are none."""
        table, column = window.source
        rows = await self._rows(
            f"SELECT min({column}) AS first, max({column}) AS last FROM {table} {_where(column)}", window
        )
        first = rows[0]["first"]
        return None if first is None else (first, rows[0]["last"])

    async def providers(self, since: datetime) -> list[str]:
        """Providers that were called since then, for whatever reason."""
        rows = await self._database.fetch(
            "SELECT DISTINCT provider FROM performance_hour WHERE hour >= :since ORDER BY 1", since=since
        )
        return [row["provider"] for row in rows]

    async def scores(self, since: datetime, until: datetime) -> list[Score]:
        """Scored answers of A/B tests, repeats of a prompt averaged."""
        rows = await self._database.fetch(
            "SELECT ab_test_id, prompt_index, provider, model, avg(quality_score) AS score, count(*) AS samples,"
            " max(occurred_at) AS at FROM ab_test_result WHERE quality_score IS NOT NULL"
            " AND occurred_at >= :since AND occurred_at < :until"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            since=since,
            until=until,
        )
        return [_score(row) for row in rows]

    async def _rows(self, query: str, window: Window, **values: Any) -> list[RowMapping]:
        return await self._database.fetch(
            query, since=window.since, until=window.until, kinds=list(window.kinds), **values
        )


def _where(column: str) -> str:
    return f"WHERE {column} >= :since AND {column} < :until AND kind = ANY(:kinds)"


def _score(row: RowMapping) -> Score:
    return Score(
        (row["ab_test_id"], row["prompt_index"]),
        row["provider"],
        row["model"],
        float(row["score"]),
        row["samples"],
        row["at"],
    )


def _as_declared(name: str, value: Any) -> Any:
    return int(value) if name in WHOLE else float(value)
