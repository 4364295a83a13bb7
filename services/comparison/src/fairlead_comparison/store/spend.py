"""What workspaces have spent, by day and by who reported the calls: added to with the calls, read by the month."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import asyncpg
from fairlead_common.db.database import Database
from sqlalchemy import RowMapping

from fairlead_comparison.domain.observations import Observation

CHARGED: Final = frozenset(("live", "abtest", "shadow"))
"""Kinds of calls that a workspace pays for; probes and drills are the operator's."""


class Charge(NamedTuple):
    """What some calls of one workspace, day and source cost together. ``until`` is when the latest of them ended."""

    usd: float
    calls: int
    unpriced: int
    until: datetime


def charges(observations: Iterable[Observation]) -> dict[tuple[int, date, str], Charge]:
    """By workspace, day (UTC) of the start, and source."""
    found: dict[tuple[int, date, str], Charge] = {}
    for each in observations:
        if each.kind not in CHARGED:
            continue
        key = (each.workspace_id, each.day, each.source)
        usd, unpriced = each.cost_usd or 0.0, int(each.cost_usd is None and each.answered)
        known = found.get(key, Charge(0.0, 0, 0, each.ended_at))
        found[key] = Charge(
            known.usd + usd, known.calls + 1, known.unpriced + unpriced, max(known.until, each.ended_at)
        )
    return found


async def add_charges(connection: "asyncpg.Connection[Any]", observations: Iterable[Observation]) -> None:
    """Add what new calls cost, in the order of the keys, within the transaction that inserts the calls."""
    found = charges(observations)
    keys = sorted(found)
    await connection.executemany(
        "INSERT INTO workspace_spend (workspace_id, day, source, usd, calls, unpriced, until)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace_id, day, source) DO UPDATE SET"
        " usd = workspace_spend.usd + excluded.usd, calls = workspace_spend.calls + excluded.calls,"
        " unpriced = workspace_spend.unpriced + excluded.unpriced,"
        " until = greatest(workspace_spend.until, excluded.until)",
        [(*key, *found[key]) for key in keys],
    )


class SpendStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def month(self, today: date) -> list[RowMapping]:
        """Costs of today and of its month by workspace and source, in this order."""
        query = (
            "SELECT workspace_id, source, coalesce(sum(usd) FILTER (WHERE day = :today), 0) AS day_usd,"
            " sum(usd) AS month_usd, sum(unpriced) AS unpriced, max(until) AS until FROM workspace_spend"
            " WHERE day >= :first AND day < :next GROUP BY 1, 2 ORDER BY 1, 2"
        )
        first = today.replace(day=1)
        following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        return await self._database.fetch(query, today=today, first=first, next=following)

    async def days(self, workspace_id: int, first: date, until: date) -> float:
        """USD that a workspace spent from the day ``first`` to the day before ``until``."""
        query = (
            "SELECT coalesce(sum(usd), 0) AS usd FROM workspace_spend"
            " WHERE workspace_id = :workspace_id AND day >= :first AND day < :until"
        )
        rows = await self._database.fetch(query, workspace_id=workspace_id, first=first, until=until)
        return float(rows[0]["usd"])

    async def between(self, workspace_id: int, since: datetime, until: datetime) -> float:
        """USD of the calls of a workspace that began in a part of a day, as far as they are kept."""
        query = (
            "SELECT coalesce(sum(cost_usd), 0) AS usd FROM call_observation WHERE workspace_id = :workspace_id"
            " AND kind = ANY(:kinds) AND started_at >= :since AND started_at < :until"
        )
        rows = await self._database.fetch(
            query, workspace_id=workspace_id, kinds=sorted(CHARGED), since=since, until=until
        )
        return float(rows[0]["usd"])
