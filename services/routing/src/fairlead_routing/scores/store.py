"""Scores of answers in Postgres: one row for each, however often it is told."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fairlead_common.db.database import Database
from sqlalchemy import RowMapping


@dataclass(frozen=True, slots=True)
class Score:
    """How good one answer was. ``value`` is 0 to 1; ``source`` and ``id`` together are unique."""

    source: str
    id: str
    workspace_id: int
    provider: str
    model: str
    task: str
    value: float
    occurred_at: datetime


class ScoreStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, score: Score) -> bool:
        """Keep a score; False when it was there already, or when its workspace is gone."""
        rows = await self._database.fetch(
            "INSERT INTO quality_score (source, id, workspace_id, provider, model, task, value, occurred_at)"
            " SELECT :source, :id, workspace.id, :provider, :model, :task, :value, :occurred_at FROM workspace"
            " WHERE workspace.id = :workspace_id ON CONFLICT (source, id) DO NOTHING RETURNING id",
            source=score.source,
            id=score.id,
            workspace_id=score.workspace_id,
            provider=score.provider,
            model=score.model,
            task=score.task,
            value=score.value,
            occurred_at=score.occurred_at,
        )
        return bool(rows)

    async def put(self, score: Score) -> None:
        """Keep a score instead of the one of the same source and id, if there is one. Its workspace must be there."""
        await self._database.fetch(
            "INSERT INTO quality_score (source, id, workspace_id, provider, model, task, value, occurred_at)"
            " VALUES (:source, :id, :workspace_id, :provider, :model, :task, :value, :occurred_at)"
            " ON CONFLICT (source, id) DO UPDATE SET value = excluded.value, occurred_at = excluded.occurred_at",
            source=score.source,
            id=score.id,
            workspace_id=score.workspace_id,
            provider=score.provider,
            model=score.model,
            task=score.task,
            value=score.value,
            occurred_at=score.occurred_at,
        )

    async def sums(self, since: datetime) -> list[RowMapping]:
        """Count and mean of the scores since then, by workspace, provider, model, task and source, in this order."""
        return await self._database.fetch(
            "SELECT workspace_id, provider, model, task, source, count(*) AS count, avg(value) AS mean"
            " FROM quality_score WHERE occurred_at >= :since GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
            since=since,
        )

    async def forget(self, now: datetime, kept: timedelta) -> None:
        """Delete the scores that are older than ``kept``."""
        await self._database.fetch("DELETE FROM quality_score WHERE occurred_at < :before", before=now - kept)
