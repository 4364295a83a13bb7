"""Calls and attempts by the day, and the sums of what was really new, in one transaction.

A call is counted when its row is inserted, and only then: a frame that comes again finds its calls there and adds
nothing. Rows are written in the order of their keys, so replicas that hold the same frames wait for each other instead
of locking each other out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from fairlead_common import sketch
from fairlead_common.db.database import Database
from sqlalchemy import RowMapping, text

from fairlead_comparison.domain.observations import (
    ATTEMPT_COLUMNS,
    CALL_COLUMNS,
    Observation,
    by_hour,
    midnight,
    sums_of,
)
from fairlead_comparison.domain.sums import PLAIN, WHOLE, SumKey, Sums
from fairlead_comparison.store.spend import add_charges

PARTITIONED: Final = ("call_observation", "attempt_observation")
DAY: Final = timedelta(days=1)
PARTITION_LOCK: Final = 4_611_686_018_427_002
"""Key of the advisory lock under which partitions are made and dropped."""

CALLS: Final = ", ".join(CALL_COLUMNS)
CALL_FIELDS: Final = ", ".join(["call_id::text AS call_id", *CALL_COLUMNS[1:-1]])
ATTEMPT_FIELDS: Final = ", ".join(ATTEMPT_COLUMNS[1:])

ROUTED: Final = "kind = 'live' AND decision IS NOT NULL AND started_at >= :since AND started_at < :until"


class Written(NamedTuple):
    """What one write added; calls that were there before are not in it."""

    calls: int
    attempts: int


class CallFilter(NamedTuple):
    """Which calls of a workspace, newest first. None = any. ``before`` = the id of a call, to go on after it."""

    workspace_id: int
    provider: str | None = None
    model: str | None = None
    state: str | None = None
    kind: str | None = None
    failover: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None


class ObservationStore:
    """One transaction each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._partitions: set[datetime] = set()

    async def write(self, observations: Iterable[Observation]) -> Written:
        """Insert what is new, and add it to the sums by minute and hour and to what its workspaces have spent."""
        unique = {each.call_id: each for each in observations}
        ordered = [unique[call_id] for call_id in sorted(unique)]
        if not ordered:
            return Written(0, 0)
        await self.make_partitions(set().union(*(each.days for each in ordered)))
        try:
            return await self._write(ordered)
        except asyncpg.PostgresError:
            self._partitions.clear()  # somebody may have dropped one
            raise

    async def _write(self, ordered: Sequence[Observation]) -> Written:
        async with self._database.copying() as connection:
            new = await _insert_calls(connection, ordered)
            fresh = [each for each in ordered if each.call_id in new]
            attempts = [row for each in fresh for row in each.attempts]
            if attempts:
                await connection.copy_records_to_table(
                    "attempt_observation", records=attempts, columns=ATTEMPT_COLUMNS
                )
            minutes = sums_of(fresh)
            await _add_sums(connection, "performance_minute", "minute", minutes)
            await _add_sums(connection, "performance_hour", "hour", by_hour(minutes))
            await add_charges(connection, fresh)
        return Written(len(fresh), len(attempts))

    async def make_partitions(self, days: Iterable[datetime]) -> None:
        """See to it that the days (UTC midnights) have partitions."""
        missing = sorted(set(days) - self._partitions)
        if not missing:
            return
        async with self._database.copying() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
            for day in missing:
                for table in PARTITIONED:
                    await _make_partition(connection, table, day)
        self._partitions.update(missing)

    async def drop_partitions(self, before: datetime) -> list[str]:
        """Drop the partitions of days before ``before``; the names of those that are gone."""
        async with self._database.copying() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", PARTITION_LOCK)
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            found = await connection.fetch(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                " WHERE i.inhparent = ANY($1::regclass[]) ORDER BY c.relname",
                list(PARTITIONED),
            )
            old = [row["relname"] for row in found if _day_of(row["relname"]) < midnight(before)]
            for name in old:
                await connection.execute(f'DROP TABLE "{name}"')
        self._partitions = {day for day in self._partitions if day >= midnight(before)}
        return old

    async def prune_sums(self, minutes_before: datetime, hours_before: datetime) -> None:
        """Forget sums that no window reaches."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            await connection.execute(
                text("DELETE FROM performance_minute WHERE minute < :before"), {"before": minutes_before}
            )
            await connection.execute(
                text("DELETE FROM performance_hour WHERE hour < :before"), {"before": hours_before}
            )

    async def calls(self, which: CallFilter, limit: int) -> list[RowMapping]:
        """Calls of one workspace, newest first."""
        return await self._database.fetch(
            f"SELECT {CALL_FIELDS} FROM call_observation WHERE workspace_id = :workspace_id"
            " AND (CAST(:provider AS text) IS NULL OR provider = :provider)"
            " AND (CAST(:model AS text) IS NULL OR model = :model)"
            " AND (CAST(:state AS text) IS NULL OR state = :state)"
            " AND (CAST(:kind AS text) IS NULL OR kind = :kind)"
            " AND (CAST(:failover AS boolean) IS NULL OR failover = :failover)"
            " AND (CAST(:since AS timestamptz) IS NULL OR started_at >= :since)"
            " AND (CAST(:until AS timestamptz) IS NULL OR started_at < :until)"
            " AND (CAST(:before AS uuid) IS NULL OR (started_at, call_observation.call_id) < (SELECT b.started_at, b.call_id"
            " FROM call_observation b WHERE b.call_id = :before AND b.workspace_id = :workspace_id))"
            " ORDER BY started_at DESC, call_observation.call_id DESC LIMIT :limit",
            **which._asdict(),
            limit=limit,
        )

    async def call(self, workspace_id: int, call_id: UUID) -> RowMapping | None:
        """One call with its decision, if it is of this workspace."""
        rows = await self._database.fetch(
            f"SELECT {CALL_FIELDS}, decision FROM call_observation"
            " WHERE call_id = :call_id AND workspace_id = :workspace_id",
            call_id=call_id,
            workspace_id=workspace_id,
        )
        return rows[0] if rows else None

    async def decided(
        self, workspace_id: int, since: datetime, until: datetime, one_in: int, after: UUID | None, limit: int
    ) -> list[RowMapping]:
        """Routed live calls of one workspace, oldest first; one in so many."""
        return await self._database.fetch(
            f"SELECT {CALL_FIELDS}, decision FROM call_observation WHERE workspace_id = :workspace_id AND {ROUTED}"
            " AND (hashtext(call_id::text) & 2147483647) % :one_in = 0 AND (CAST(:after AS uuid) IS NULL"
            " OR (started_at, call_observation.call_id) > (SELECT a.started_at, a.call_id FROM call_observation a"
            " WHERE a.call_id = :after AND a.workspace_id = :workspace_id))"
            " ORDER BY started_at, call_observation.call_id LIMIT :limit",
            workspace_id=workspace_id,
            since=since,
            until=until,
            one_in=one_in,
            after=after,
            limit=limit,
        )

    async def count_decided(self, workspace_id: int, since: datetime, until: datetime) -> int:
        """How many routed live calls there were."""
        rows = await self._database.fetch(
            f"SELECT count(*) AS count FROM call_observation WHERE workspace_id = :workspace_id AND {ROUTED}",
            workspace_id=workspace_id,
            since=since,
            until=until,
        )
        return int(rows[0]["count"])

    async def attempts(self, call_id: UUID) -> list[RowMapping]:
        """The attempts of a call, in order."""
        return await self._database.fetch(
            f"SELECT {ATTEMPT_FIELDS} FROM attempt_observation WHERE call_id = :call_id ORDER BY attempt",
            call_id=call_id,
        )


async def _insert_calls(
    connection: "asyncpg.Connection[Any]", ordered: Sequence[Observation]
) -> frozenset[UUID]:
    """Ids of the calls that were not there before."""
    await connection.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS call_stage (LIKE call_observation) ON COMMIT DELETE ROWS"
    )
    await connection.copy_records_to_table(
        "call_stage", records=[each.call for each in ordered], columns=CALL_COLUMNS
    )
    rows = await connection.fetch(
        f"INSERT INTO call_observation ({CALLS}) SELECT {CALLS} FROM call_stage"
        " ON CONFLICT DO NOTHING RETURNING call_id"
    )
    return frozenset(row["call_id"] for row in rows)


async def _add_sums(
    connection: "asyncpg.Connection[Any]", table: str, time_column: str, sums: Mapping[SumKey, Sums]
) -> None:
    """Add to rows that may be there already, in the order of their keys."""
    if not sums:
        return
    keys = sorted(sums)
    columns = [*PLAIN, "latency_sketch", "ttft_sketch"]
    types = [
        "text",
        "text",
        "text",
        "timestamptz",
        *("bigint" if name in WHOLE else "double precision" for name in PLAIN),
        "text",
        "text",
    ]
    arrays = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(types, 1))
    selected = ", ".join(
        [*PLAIN, "latency_sketch::jsonb AS latency_sketch", "ttft_sketch::jsonb AS ttft_sketch"]
    )
    added = [f"{name} = {table}.{name} + excluded.{name}" for name in PLAIN]
    added += [f"{name} = sketch_sum({table}.{name}, excluded.{name})" for name in columns[len(PLAIN) :]]
    identity = f"provider, model, kind, {time_column}"
    await connection.execute(
        f"INSERT INTO {table} ({identity}, {', '.join(columns)}) SELECT {identity}, {selected}"
        f" FROM unnest({arrays}) AS given ({identity}, {', '.join(columns)}) ORDER BY {identity}"
        f" ON CONFLICT ({identity}) DO UPDATE SET {', '.join(added)}",
        *([key[i] for key in keys] for i in range(4)),
        *([getattr(sums[key], name) for key in keys] for name in PLAIN),
        [json.dumps(sketch.to_json(sums[key].latency)) for key in keys],
        [json.dumps(sketch.to_json(sums[key].ttft)) for key in keys],
    )


async def _make_partition(connection: "asyncpg.Connection[Any]", table: str, day: datetime) -> None:
    """Attached rather than created in place, which would lock readers and writers of all days out."""
    name = f"{table}_{day:%Y%m%d}"
    attached = await connection.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass AND inhrelid = to_regclass($2)",
        table,
        name,
    )
    if attached:
        return
    await connection.execute(
        f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
    )
    await connection.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {name}"
        f" FOR VALUES FROM ('{day.isoformat()}') TO ('{(day + DAY).isoformat()}')"
    )


def _day_of(partition: str) -> datetime:
    return datetime.strptime(partition[-8:], "%Y%m%d").replace(tzinfo=UTC)
