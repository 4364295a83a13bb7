"""Learned tables in Postgres: every change of a workspace's is a version of it, and the latest is in force."""

from typing import Final

from fairlead_common.db.database import Database, fetch
from fairlead_common.operations.routing_predictor import LearnedFrom
from sqlalchemy import RowMapping

KEPT: Final = 20
"""Versions of each workspace; older ones are forgotten."""
VERSION: Final = "version, action, about AS table, changed_by, changed_at"
LATEST: Final = (
    "SELECT DISTINCT ON (workspace_id) workspace_id, version, about IS NOT NULL AS decides"
    " FROM quality_predictor ORDER BY workspace_id, version DESC"
)


class PredictorStore:
    """One transaction each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        workspace_id: int,
        action: str,
        about: LearnedFrom | None,
        document: str | None,
        changed_by: str | None,
    ) -> RowMapping | None:
        """The next version; None when there is no such workspace.

        Args:
            document: the table as JSON; None = from now on there is none.
        """
        async with self._database.transaction() as session:
            query = "SELECT id FROM workspace WHERE id = :id FOR NO KEY UPDATE"
            if not await fetch(session, query, id=workspace_id):
                return None
            rows = await fetch(
                session,
                "INSERT INTO quality_predictor (workspace_id, version, action, about, document, changed_by)"
                " SELECT :workspace_id, coalesce(max(version), 0) + 1, :action, CAST(:about AS jsonb), :document,"
                f" :changed_by FROM quality_predictor WHERE workspace_id = :workspace_id RETURNING {VERSION}",
                workspace_id=workspace_id,
                action=action,
                about=None if about is None else about.model_dump_json(),
                document=document,
                changed_by=changed_by,
            )
            query = "DELETE FROM quality_predictor WHERE workspace_id = :workspace_id AND version <= :old"
            await fetch(session, query, workspace_id=workspace_id, old=rows[0]["version"] - KEPT)
        return rows[0]

    async def versions(self, workspace_id: int) -> list[RowMapping]:
        """The newest first."""
        query = f"SELECT {VERSION} FROM quality_predictor WHERE workspace_id = :id ORDER BY version DESC"
        return await self._database.fetch(query, id=workspace_id)

    async def document(self, workspace_id: int, version: int) -> str | None:
        """The table of a version as JSON; None when it has none, or is not kept."""
        query = "SELECT document FROM quality_predictor WHERE workspace_id = :id AND version = :version"
        rows = await self._database.fetch(query, id=workspace_id, version=version)
        return rows[0]["document"] if rows else None

    async def in_force(self) -> dict[int, int]:
        """workspace to version, where there is a table."""
        rows = await self._database.fetch(LATEST)
        return {row["workspace_id"]: row["version"] for row in rows if row["decides"]}
