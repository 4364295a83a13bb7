"""What Postgres holds of the requests of a drill: each answered call must be there once."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

RECORDED_S = 90.0
"""How long outcomes may take to arrive after the end of the load, at most: what a killed service had been given and had
not acknowledged is given to another after a minute."""
BACK_S = 30.0
POLL_S = 0.25


@dataclass(frozen=True)
class Tried:
    """One attempt at a provider. Times are Unix seconds."""

    call_id: str
    provider: str
    reason: str
    began: float
    duration_ms: float
    error_class: str | None
    cost_usd: float | None

    @property
    def ended(self) -> float:
        """When it had answered, or failed."""
        return self.began + self.duration_ms / 1000


@dataclass(frozen=True)
class Ledger:
    """What was recorded of the calls asked for. ``settled_s``: how long that took after the end of the load."""

    times: dict[str, int]
    """Call id to the number of its rows; 0 = it is not there."""
    attempts: tuple[Tried, ...]
    settled_s: float

    @property
    def lost(self) -> list[str]:
        """Calls that are not there."""
        return [call_id for call_id, times in self.times.items() if times == 0]

    @property
    def doubled(self) -> int:
        """Calls that are there more than once."""
        return sum(1 for times in self.times.values() if times > 1)


async def read(dsn: str, call_ids: Sequence[str]) -> Ledger:
    """Wait until every call is there, at most ``RECORDED_S``, and read what is.

    Raises:
        OSError, asyncpg.PostgresError: the database does not answer.
    """
    began = time.monotonic()
    connection = await _connected(dsn)
    try:
        while True:
            rows = await connection.fetch(
                "SELECT call_id::text AS id FROM call_observation WHERE call_id = ANY($1::uuid[])",
                call_ids,
            )
            settled_s = time.monotonic() - began
            if len({row["id"] for row in rows}) == len(set(call_ids)) or settled_s > RECORDED_S:
                break
            await asyncio.sleep(POLL_S)
        attempts = await connection.fetch(
            "SELECT call_id::text AS call_id, provider, reason, extract(epoch FROM started_at)::float8 AS began,"
            " duration_ms, error_class, cost_usd FROM attempt_observation WHERE call_id = ANY($1::uuid[])"
            " ORDER BY started_at",
            call_ids,
        )
    finally:
        await connection.close()
    counted = Counter(row["id"] for row in rows)
    return Ledger(
        times={call_id: counted[call_id] for call_id in call_ids},
        attempts=tuple(Tried(**row) for row in attempts),
        settled_s=settled_s,
    )


async def _connected(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A database that a drill has killed may still be coming back."""
    end = time.monotonic() + BACK_S
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=10)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(POLL_S)
