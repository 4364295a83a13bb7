"""What failover keeps in Postgres: policies, gates, the log of switches."""

import json
from collections.abc import Sequence
from datetime import datetime

from fairlead_common.db import outbox
from fairlead_common.db.database import Database, fetch
from fairlead_common.decisions.gate_records import GateRecord
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.operations.failover import FailoverConfigIn
from fairlead_common.snapshots.failover import FleetGate
from sqlalchemy import RowMapping
from sqlmodel.ext.asyncio.session import AsyncSession

from fairlead_failover.records import from_row

FailoverEvent = FailoverSwitched | FailoverRecovered
CONFIG = "workspace_id, primary_provider, fallback_providers, failover_conditions, enabled, rules, version, updated_at"
DOCUMENT = (
    "jsonb_build_object('primary_provider', primary_provider, 'fallback_providers', fallback_providers,"
    " 'failover_conditions', failover_conditions, 'enabled', enabled, 'rules', rules)"
)
NEXT_VERSION = "(SELECT coalesce(max(version), 0) + 1 FROM failover_config_version WHERE workspace_id = :id)"


class FailoverStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def configs(self) -> list[RowMapping]:
        """Every workspace's configuration."""
        return await self._database.fetch(f"SELECT {CONFIG} FROM failover_config ORDER BY workspace_id")

    async def config(self, workspace_id: int) -> RowMapping | None:
        """One workspace's configuration."""
        rows = await self._database.fetch(
            f"SELECT {CONFIG} FROM failover_config WHERE workspace_id = :id", id=workspace_id
        )
        return rows[0] if rows else None

    async def put_config(
        self, workspace_id: int, config: FailoverConfigIn, changed_by: str | None
    ) -> RowMapping:
        """Create or replace, and keep the version. Raises IntegrityError for an unknown workspace."""
        conditions = config.failover_conditions.model_dump(exclude_none=True)
        async with self._database.transaction() as session:
            await _lock(session, workspace_id)
            rows = await fetch(
                session,
                "WITH put AS (INSERT INTO failover_config"
                " (workspace_id, primary_provider, fallback_providers, failover_conditions, enabled, rules, version)"
                " VALUES (:id, :primary, CAST(:fallback AS jsonb), CAST(:conditions AS jsonb), :enabled,"
                f" CAST(:rules AS jsonb), {NEXT_VERSION})"
                " ON CONFLICT (workspace_id) DO UPDATE SET primary_provider = excluded.primary_provider,"
                " fallback_providers = excluded.fallback_providers, failover_conditions = excluded.failover_conditions,"
                " enabled = excluded.enabled, rules = excluded.rules, version = excluded.version, updated_at = now()"
                " RETURNING *), kept AS (INSERT INTO failover_config_version"
                " (workspace_id, version, action, config, changed_by)"
                f" SELECT workspace_id, version, 'changed', {DOCUMENT}, :changed_by FROM put)"
                f" SELECT {CONFIG} FROM put",
                id=workspace_id,
                primary=config.primary_provider,
                fallback=json.dumps(config.fallback_providers),
                conditions=json.dumps(conditions),
                enabled=config.enabled,
                rules=json.dumps([rule.model_dump(mode="json", exclude_none=True) for rule in config.rules]),
                changed_by=changed_by,
            )
        return rows[0]

    async def delete_config(self, workspace_id: int, changed_by: str | None) -> None:
        """Back to the defaults; nothing happens when there is none."""
        async with self._database.transaction() as session:
            await _lock(session, workspace_id)
            await fetch(
                session,
                "WITH gone AS (DELETE FROM failover_config WHERE workspace_id = :id RETURNING *)"
                " INSERT INTO failover_config_version (workspace_id, version, action, config, changed_by)"
                f" SELECT workspace_id, {NEXT_VERSION}, 'deleted', {DOCUMENT}, :changed_by FROM gone",
                id=workspace_id,
                changed_by=changed_by,
            )

    async def versions(self, workspace_id: int, version: int | None = None) -> list[RowMapping]:
        """Kept versions, newest first: all, or one."""
        return await self._database.fetch(
            "SELECT version, action, config, changed_by, changed_at FROM failover_config_version"
            " WHERE workspace_id = :id AND (CAST(:version AS int) IS NULL OR version = :version)"
            " ORDER BY version DESC LIMIT 200",
            id=workspace_id,
            version=version,
        )

    async def workspaces(self) -> list[int]:
        """Ids of all workspaces."""
        return [row["id"] for row in await self._database.fetch("SELECT id FROM workspace ORDER BY id")]

    async def gates(self) -> list[GateRecord]:
        """Gates as they were last saved."""
        return [from_row(row) for row in await self._database.fetch("SELECT key, detail FROM failover_gate")]

    async def save(self, key: str, gate: FleetGate, events: list[FailoverEvent]) -> None:
        """The gate, the log and the events, all or nothing; an older sequence than the saved one changes nothing."""
        async with self._database.transaction() as session:
            saved = await fetch(
                session,
                "INSERT INTO failover_gate (key, state, share, since, retry_at, reason, sequence, detail) VALUES"
                " (:key, :state, :share, :since, :retry_at, :reason, :sequence, CAST(:detail AS jsonb))"
                " ON CONFLICT (key) DO UPDATE SET state = excluded.state, share = excluded.share,"
                " since = excluded.since, retry_at = excluded.retry_at, reason = excluded.reason,"
                " sequence = excluded.sequence, detail = excluded.detail"
                " WHERE failover_gate.sequence < excluded.sequence RETURNING key",
                key=key,
                state=gate.state.value,
                share=gate.share,
                since=gate.since,
                retry_at=gate.retry_at,
                reason=gate.reason,
                sequence=gate.sequence,
                detail=gate.model_dump_json(),
            )
            if saved:
                for event in events:
                    await _log(session, event)
                    await outbox.put(session, "failover", event)

    async def open_switches(self, keys: Sequence[str]) -> list[RowMapping]:
        """Per workspace the last switches away from any of ``keys`` that nothing has ended yet."""
        return await self._database.fetch(
            "SELECT DISTINCT ON (workspace_id, from_target) workspace_id, event_id, from_target, to_target"
            " FROM failover_event AS switched"
            " WHERE kind = 'switched' AND coalesce(payload->>'gate', from_target) = ANY(:keys)"
            " AND NOT EXISTS (SELECT FROM failover_event WHERE switched_event_id = switched.event_id)"
            " ORDER BY workspace_id, from_target, occurred_at DESC",
            keys=list(keys),
        )

    async def log(self, workspace_id: int, provider: str | None, limit: int) -> list[RowMapping]:
        """The newest lines of the log."""
        return await self._database.fetch(
            "SELECT event_id, workspace_id, kind, from_target, to_target, cause, occurred_at, down_s FROM failover_event"
            " WHERE workspace_id = :id AND (CAST(:provider AS text) IS NULL"
            " OR :provider IN (split_part(from_target, '/', 1), split_part(to_target, '/', 1)))"
            " ORDER BY occurred_at DESC, event_id DESC LIMIT :limit",
            id=workspace_id,
            provider=provider,
            limit=limit,
        )

    async def open_now(self, workspace_id: int, provider: str | None) -> int:
        """How many of a workspace's switches, away from one provider or any, nothing has ended yet."""
        rows = await self._database.fetch(
            "SELECT count(DISTINCT from_target) AS n FROM failover_event AS switched WHERE kind = 'switched'"
            " AND workspace_id = :id AND NOT EXISTS (SELECT FROM failover_event"
            " WHERE switched_event_id = switched.event_id)"
            " AND (CAST(:provider AS text) IS NULL OR split_part(from_target, '/', 1) = :provider)",
            id=workspace_id,
            provider=provider,
        )
        found: int = rows[0]["n"]
        return found

    async def analytics(
        self, workspace_id: int, since: datetime, until: datetime, provider: str | None
    ) -> list[RowMapping]:
        """Per kind, target and cause within a period: count, sums of times, longest outage."""
        return await self._database.fetch(
            "SELECT kind, target, cause, count(*) AS n, sum(down_s) AS down_s, max(down_s) AS longest_s,"
            " sum(detect_s) AS detect_s, count(detect_s) AS detected FROM (SELECT kind, cause, down_s,"
            " CASE kind WHEN 'switched' THEN from_target ELSE to_target END AS target,"
            " extract(epoch FROM occurred_at - CAST(payload->>'failing_since' AS timestamptz))::float AS detect_s"
            " FROM failover_event WHERE workspace_id = :id AND occurred_at >= :since AND occurred_at < :until) AS event"
            " WHERE CAST(:provider AS text) IS NULL OR split_part(target, '/', 1) = :provider GROUP BY 1, 2, 3",
            id=workspace_id,
            since=since,
            until=until,
            provider=provider,
        )


async def _lock(session: AsyncSession, workspace_id: int) -> None:
    """One change of a workspace's configuration at a time."""
    await fetch(session, "SELECT pg_advisory_xact_lock(hashtext('failover_config'), :id)", id=workspace_id)


async def _log(session: AsyncSession, event: FailoverEvent) -> None:
    switched = isinstance(event, FailoverSwitched)
    await fetch(
        session,
        "INSERT INTO failover_event (event_id, workspace_id, kind, from_target, to_target, cause, occurred_at, down_s,"
        " switched_event_id, payload) VALUES (:event_id, :workspace_id, :kind, :from_target, :to_target, :cause,"
        " :occurred_at, :down_s, :switched_event_id, CAST(:payload AS jsonb)) ON CONFLICT (event_id) DO NOTHING",
        event_id=event.event_id,
        workspace_id=event.workspace_id,
        kind="switched" if switched else "recovered",
        from_target=event.from_target,
        to_target=event.to_target,
        cause=event.cause if isinstance(event, FailoverSwitched) else "recovered",
        occurred_at=event.occurred_at,
        down_s=event.down_s if isinstance(event, FailoverRecovered) else None,
        switched_event_id=event.switched_event_id if isinstance(event, FailoverRecovered) else None,
        payload=event.to_json().decode(),
    )
