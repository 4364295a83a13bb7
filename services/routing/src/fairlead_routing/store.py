"""What routing keeps in Postgres: rules, and the version of each workspace's table."""

import json
from typing import Any

from fairlead_common.db.database import Database
from fairlead_common.operations.routing import RuleIn
from sqlalchemy import RowMapping, text
from sqlmodel.ext.asyncio.session import AsyncSession

RULE = "id, workspace_id, name, strategy, conditions, priority, enabled, created_at, updated_at"


class RoutingStore:
    """One query each; every change makes the table's version grow in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rules(self, workspace_id: int) -> list[RowMapping]:
        """All rules, in the order in which they are looked at."""
        async with self._database.transaction() as session:
            return await _rows(
                session,
                f"SELECT {RULE} FROM routing_rule WHERE workspace_id = :id ORDER BY priority, id",
                id=workspace_id,
            )

    async def rule(self, workspace_id: int, rule_id: int) -> RowMapping | None:
        """One rule."""
        async with self._database.transaction() as session:
            query = f"SELECT {RULE} FROM routing_rule WHERE workspace_id = :workspace_id AND id = :id"
            rows = await _rows(session, query, workspace_id=workspace_id, id=rule_id)
            return rows[0] if rows else None

    async def create(self, workspace_id: int, rule: RuleIn) -> RowMapping:
        """Raises IntegrityError when the name is taken or the workspace is unknown."""
        async with self._database.transaction() as session:
            rows = await _rows(
                session,
                "INSERT INTO routing_rule (workspace_id, name, strategy, conditions, priority, enabled) VALUES"
                f" (:workspace_id, :name, :strategy, CAST(:conditions AS jsonb), :priority, :enabled) RETURNING {RULE}",
                workspace_id=workspace_id,
                **_values(rule),
            )
            await _grow(session, workspace_id)
            return rows[0]

    async def replace(self, workspace_id: int, rule_id: int, rule: RuleIn) -> RowMapping | None:
        """None when there is no such rule. Raises IntegrityError when the name is taken."""
        async with self._database.transaction() as session:
            rows = await _rows(
                session,
                "UPDATE routing_rule SET name = :name, strategy = :strategy, conditions = CAST(:conditions AS jsonb),"
                " priority = :priority, enabled = :enabled, updated_at = now()"
                f" WHERE workspace_id = :workspace_id AND id = :id RETURNING {RULE}",
                workspace_id=workspace_id,
                id=rule_id,
                **_values(rule),
            )
            if rows:
                await _grow(session, workspace_id)
            return rows[0] if rows else None

    async def delete(self, workspace_id: int, rule_id: int) -> bool:
        """False when there is no such rule."""
        async with self._database.transaction() as session:
            query = "DELETE FROM routing_rule WHERE workspace_id = :workspace_id AND id = :id RETURNING id"
            rows = await _rows(session, query, workspace_id=workspace_id, id=rule_id)
            if rows:
                await _grow(session, workspace_id)
            return bool(rows)

    async def tables(self) -> list[tuple[int, int, list[RowMapping]]]:
        """(workspace, version, enabled rules) of every workspace whose rules were ever changed.

        One statement, so that a version and its rules are of the same moment.
        """
        async with self._database.transaction() as session:
            rows = await _rows(
                session,
                "SELECT version.workspace_id AS of, version.version, rule.id, rule.name, rule.strategy, rule.conditions,"
                " rule.priority FROM routing_version AS version LEFT JOIN routing_rule AS rule"
                " ON rule.workspace_id = version.workspace_id AND rule.enabled"
                " ORDER BY version.workspace_id, rule.priority, rule.id",
            )
        found: dict[int, tuple[int, int, list[RowMapping]]] = {}
        for row in rows:
            _, _, rules = found.setdefault(row["of"], (row["of"], row["version"], []))
            if row["id"] is not None:
                rules.append(row)
        return list(found.values())


async def _rows(session: AsyncSession, query: str, **values: Any) -> list[RowMapping]:
    result = await (await session.connection()).execute(text(query), values)
    return list(result.mappings()) if result.returns_rows else []


async def _grow(session: AsyncSession, workspace_id: int) -> None:
    await _rows(
        session,
        "INSERT INTO routing_version (workspace_id, version) VALUES (:id, 1)"
        " ON CONFLICT (workspace_id) DO UPDATE SET version = routing_version.version + 1",
        id=workspace_id,
    )


def _values(rule: RuleIn) -> dict[str, Any]:
    return {
        "name": rule.name,
        "strategy": rule.strategy,
        "conditions": json.dumps(rule.conditions),
        "priority": rule.priority,
        "enabled": rule.enabled,
    }
