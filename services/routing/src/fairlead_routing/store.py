"""What routing keeps in Postgres: rules, every change of them, and the version of each workspace's table."""

import json
from typing import Any, Final

from fairlead_common.db.database import Database, fetch
from fairlead_common.operations.routing import RuleIn
from sqlalchemy import RowMapping

FIELDS: Final = "name, strategy, conditions, priority, enabled"
RULE: Final = f"id, workspace_id, {FIELDS}, version, created_at, updated_at"
DOCUMENT: Final = (
    "jsonb_build_object('name', name, 'strategy', strategy, 'conditions', conditions,"
    " 'priority', priority, 'enabled', enabled)"
)
GROWN: Final = (
    "INSERT INTO routing_version (workspace_id, version) {of}"
    " ON CONFLICT (workspace_id) DO UPDATE SET version = routing_version.version + 1 RETURNING version"
)
"""The next version of a workspace's table. Whoever changes rules takes this row first, so changes come one by one."""
GROWN_ALWAYS: Final = GROWN.format(of="VALUES (:workspace_id, 1)")
GROWN_IF_THERE: Final = GROWN.format(
    of="SELECT :workspace_id, 1 WHERE EXISTS"
    " (SELECT FROM routing_rule WHERE workspace_id = :workspace_id AND id = :id)"
)
KEPT: Final = (
    "INSERT INTO routing_rule_version (workspace_id, version, rule_id, action, rule, changed_by)"
    f" SELECT workspace_id, {{version}}, id, '{{action}}', {DOCUMENT}, CAST(:changed_by AS text) FROM changed"
)
AT_VERSION: Final = (
    f"SELECT id, {FIELDS}, version FROM (SELECT DISTINCT ON (rule_id) rule_id AS id, action, version, rule->>'name' AS name,"
    " rule->>'strategy' AS strategy, rule->'conditions' AS conditions, CAST(rule->>'priority' AS integer) AS priority,"
    " CAST(rule->>'enabled' AS boolean) AS enabled FROM routing_rule_version"
    " WHERE workspace_id = :workspace_id AND version <= :version ORDER BY rule_id, version DESC) AS latest"
    " WHERE action <> 'deleted'"
)
"""The rules as they were when the table had a version."""


class RoutingStore:
    """One transaction each; every change makes the table's version grow, and is kept, in the same one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rules(self, workspace_id: int) -> list[RowMapping]:
        """All rules, in the order in which they are looked at."""
        return await self._database.fetch(
            f"SELECT {RULE} FROM routing_rule WHERE workspace_id = :id ORDER BY priority, id", id=workspace_id
        )

    async def rule(self, workspace_id: int, rule_id: int) -> RowMapping | None:
        """One rule."""
        query = f"SELECT {RULE} FROM routing_rule WHERE workspace_id = :workspace_id AND id = :id"
        return _first(await self._database.fetch(query, workspace_id=workspace_id, id=rule_id))

    async def create(self, workspace_id: int, rule: RuleIn, changed_by: str | None) -> RowMapping:
        """Raises IntegrityError when the name is taken or the workspace is unknown."""
        rows = await self._database.fetch(
            f"WITH grown AS ({GROWN_ALWAYS}), changed AS (INSERT INTO routing_rule (workspace_id, {FIELDS}, version)"
            " SELECT :workspace_id, :name, :strategy, CAST(:conditions AS jsonb), :priority, :enabled, version FROM grown"
            f" RETURNING {RULE}), kept AS ({KEPT.format(version='version', action='created')}) SELECT * FROM changed",
            workspace_id=workspace_id,
            changed_by=changed_by,
            **_values(rule),
        )
        return rows[0]

    async def replace(
        self, workspace_id: int, rule_id: int, rule: RuleIn, changed_by: str | None
    ) -> RowMapping | None:
        """None when there is no such rule. Raises IntegrityError when the name is taken."""
        rows = await self._database.fetch(
            f"WITH grown AS ({GROWN_IF_THERE}), changed AS (UPDATE routing_rule SET name = :name, strategy = :strategy,"
            " conditions = CAST(:conditions AS jsonb), priority = :priority, enabled = :enabled, updated_at = now(),"
            " version = grown.version FROM grown WHERE workspace_id = :workspace_id AND id = :id"
            f" RETURNING {RULE.replace(' version', ' routing_rule.version')}),"
            f" kept AS ({KEPT.format(version='version', action='changed')}) SELECT * FROM changed",
            workspace_id=workspace_id,
            id=rule_id,
            changed_by=changed_by,
            **_values(rule),
        )
        return _first(rows)

    async def delete(self, workspace_id: int, rule_id: int, changed_by: str | None) -> bool:
        """False when there is no such rule."""
        rows = await self._database.fetch(
            f"WITH grown AS ({GROWN_IF_THERE}), changed AS (DELETE FROM routing_rule USING grown"
            f" WHERE workspace_id = :workspace_id AND id = :id RETURNING id, workspace_id, {FIELDS}, grown.version AS at),"
            f" kept AS ({KEPT.format(version='at', action='deleted')}) SELECT id FROM changed",
            workspace_id=workspace_id,
            id=rule_id,
            changed_by=changed_by,
        )
        return bool(rows)

    async def restore(self, workspace_id: int, version: int, changed_by: str | None) -> int:
        """Make the rules what they were at ``version``, as a new version; its number.

        What differs is deleted and put back, so that rules which swapped their names do not get into each other's way.
        """
        same = ", ".join(f"old.{field}" for field in FIELDS.split(", "))
        values = {"workspace_id": workspace_id, "version": version, "changed_by": changed_by}
        async with self._database.transaction() as session:
            grown = (await fetch(session, GROWN_ALWAYS, workspace_id=workspace_id))[0]["version"]
            await fetch(
                session,
                f"WITH old AS ({AT_VERSION}), changed AS (DELETE FROM routing_rule WHERE workspace_id = :workspace_id"
                f" AND NOT EXISTS (SELECT FROM old WHERE old.id = routing_rule.id AND ({same}) ="
                f" (routing_rule.{', routing_rule.'.join(FIELDS.split(', '))})) RETURNING id, workspace_id, {FIELDS}),"
                " kept AS (INSERT INTO routing_rule_version (workspace_id, version, rule_id, action, rule, changed_by)"
                f" SELECT workspace_id, :grown, id, 'deleted', {DOCUMENT}, CAST(:changed_by AS text) FROM changed"
                " WHERE id NOT IN (SELECT id FROM old)) SELECT id FROM changed",
                grown=grown,
                **values,
            )
            await fetch(
                session,
                f"WITH old AS ({AT_VERSION}), changed AS (INSERT INTO routing_rule (id, workspace_id, {FIELDS}, version)"
                f" OVERRIDING SYSTEM VALUE SELECT id, :workspace_id, {FIELDS}, :grown FROM old"
                f" WHERE id NOT IN (SELECT id FROM routing_rule) RETURNING {RULE}),"
                f" kept AS ({KEPT.format(version='version', action='restored')}) SELECT id FROM changed",
                grown=grown,
                **values,
            )
        return int(grown)

    async def current(self, workspace_id: int) -> int:
        """Version of the workspace's table; 0 = no rule was ever made."""
        query = "SELECT version FROM routing_version WHERE workspace_id = :id"
        row = _first(await self._database.fetch(query, id=workspace_id))
        return row["version"] if row else 0

    async def at_version(self, workspace_id: int, version: int) -> list[RowMapping]:
        """The rules as they were then, in the order in which they were looked at."""
        query = f"{AT_VERSION} ORDER BY priority, id"
        return await self._database.fetch(query, workspace_id=workspace_id, version=version)

    async def changes(
        self, workspace_id: int, rule_id: int | None, before: int | None, limit: int
    ) -> list[RowMapping]:
        """Changes of one rule, or of all, the newest first."""
        return await self._database.fetch(
            "SELECT version, rule_id, action, rule, changed_by, changed_at FROM routing_rule_version"
            " WHERE workspace_id = :workspace_id AND (CAST(:rule_id AS integer) IS NULL OR rule_id = :rule_id)"
            " AND (CAST(:before AS integer) IS NULL OR version < :before)"
            " ORDER BY version DESC, rule_id LIMIT :limit",
            workspace_id=workspace_id,
            rule_id=rule_id,
            before=before,
            limit=limit,
        )

    async def tables(self) -> list[tuple[int, int, list[RowMapping]]]:
        """(workspace, version, enabled rules) of every workspace whose rules were ever changed.

        One statement, so that a version and its rules are of the same moment.
        """
        rows = await self._database.fetch(
            "SELECT version.workspace_id AS of, version.version AS table_version, rule.id, rule.name, rule.strategy,"
            " rule.conditions, rule.priority, rule.version FROM routing_version AS version LEFT JOIN routing_rule AS rule"
            " ON rule.workspace_id = version.workspace_id AND rule.enabled"
            " ORDER BY version.workspace_id, rule.priority, rule.id",
        )
        found: dict[int, tuple[int, int, list[RowMapping]]] = {}
        for row in rows:
            _, _, rules = found.setdefault(row["of"], (row["of"], row["table_version"], []))
            if row["id"] is not None:
                rules.append(row)
        return list(found.values())


def _first(rows: list[RowMapping]) -> RowMapping | None:
    return rows[0] if rows else None


def _values(rule: RuleIn) -> dict[str, Any]:
    return {
        "name": rule.name,
        "strategy": rule.strategy,
        "conditions": json.dumps(rule.conditions),
        "priority": rule.priority,
        "enabled": rule.enabled,
    }
