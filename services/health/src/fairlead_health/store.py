"""What health keeps in Postgres beside its windows: states and their history, probe schedules, maintenance."""

import json
from datetime import datetime
from typing import Any

from fairlead_common.db.database import Database
from fairlead_common.events.health import ProviderStatus
from fairlead_common.operations.health import ProbeIn
from sqlalchemy import RowMapping, text
from sqlmodel.ext.asyncio.session import AsyncSession


class HealthStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _rows(self, query: str, **values: Any) -> list[RowMapping]:
        async with self._database.transaction() as session:
            return await _execute(session, query, **values)

    async def states(self) -> list[RowMapping]:
        """The saved state of every provider."""
        return await self._rows(
            "SELECT provider, status, since, sequence, reason, last_check, updated_at FROM provider_health"
            " ORDER BY provider"
        )

    async def save_state(self, state: ProviderStatus) -> None:
        """The state, and its interval when it is a new one; an older sequence changes nothing."""
        async with self._database.transaction() as session:
            saved = await _execute(
                session,
                "INSERT INTO provider_health (provider, status, avg_latency_ms, error_rate, uptime_percentage, last_check,"
                " score, since, sequence, reason, evidence) VALUES (:provider, :status, :latency, :errors, :uptime, :check,"
                " :score, :since, :sequence, :reason, CAST(:evidence AS jsonb)) ON CONFLICT (provider) DO UPDATE SET"
                " status = excluded.status, avg_latency_ms = excluded.avg_latency_ms, error_rate = excluded.error_rate,"
                " uptime_percentage = excluded.uptime_percentage, last_check = excluded.last_check,"
                " score = excluded.score, since = excluded.since, sequence = excluded.sequence, reason = excluded.reason,"
                " evidence = excluded.evidence, updated_at = now()"
                " WHERE provider_health.sequence <= excluded.sequence RETURNING provider",
                provider=state.provider,
                status=state.status.value,
                latency=state.avg_latency_ms,
                errors=state.error_rate,
                uptime=state.uptime_percentage,
                check=state.last_check,
                score=state.score,
                since=state.since,
                sequence=state.sequence,
                reason=state.reason,
                evidence=json.dumps([each.model_dump(mode="json") for each in state.evidence]),
            )
            if saved:
                await _add_interval(session, state)

    async def history(
        self, provider: str, since: datetime | None, until: datetime | None, limit: int
    ) -> list[RowMapping]:
        """Intervals that touch the time from ``since`` to ``until``, newest first."""
        return await self._rows(
            "SELECT status, started_at, ended_at, reason FROM provider_health_interval WHERE provider = :provider"
            " AND (CAST(:since AS timestamptz) IS NULL OR coalesce(ended_at, now()) >= :since)"
            " AND (CAST(:until AS timestamptz) IS NULL OR started_at < :until)"
            " ORDER BY started_at DESC LIMIT :limit",
            provider=provider,
            since=since,
            until=until,
            limit=limit,
        )

    async def histories(self, since: datetime) -> list[RowMapping]:
        """Intervals of all providers that touch the time from ``since`` on, newest first."""
        return await self._rows(
            "SELECT provider, status, started_at, ended_at FROM provider_health_interval"
            " WHERE coalesce(ended_at, now()) >= :since ORDER BY started_at DESC",
            since=since,
        )

    async def probes(self) -> list[RowMapping]:
        """Schedules that somebody has set."""
        return await self._rows(
            "SELECT provider, kind, interval_s, enabled, models, daily_budget_usd, monthly_budget_usd"
            " FROM probe_schedule ORDER BY provider"
        )

    async def put_probe(self, provider: str, probe: ProbeIn) -> None:
        """Create or replace a schedule."""
        await self._rows(
            "INSERT INTO probe_schedule (provider, kind, interval_s, enabled, models, daily_budget_usd, monthly_budget_usd)"
            " VALUES (:provider, :kind, :interval_s, :enabled, CAST(:models AS text[]), :daily_budget_usd,"
            " :monthly_budget_usd) ON CONFLICT (provider) DO UPDATE SET kind = excluded.kind,"
            " interval_s = excluded.interval_s, enabled = excluded.enabled, models = excluded.models,"
            " daily_budget_usd = excluded.daily_budget_usd, monthly_budget_usd = excluded.monthly_budget_usd,"
            " updated_at = now()",
            provider=provider,
            **{**probe.model_dump(), "models": list(probe.models)},
        )

    async def maintenances(self) -> list[RowMapping]:
        """Maintenance that holds now."""
        return await self._rows(
            "SELECT provider, reason FROM maintenance WHERE ends_at IS NULL OR ends_at > now()"
        )

    async def set_maintenance(self, provider: str, reason: str, ends_at: datetime | None) -> None:
        """Begin, or change."""
        await self._rows(
            "INSERT INTO maintenance (provider, reason, ends_at) VALUES (:provider, :reason, :ends_at)"
            " ON CONFLICT (provider) DO UPDATE SET reason = excluded.reason, ends_at = excluded.ends_at",
            provider=provider,
            reason=reason,
            ends_at=ends_at,
        )

    async def end_maintenance(self, provider: str) -> None:
        """End; nothing happens when there is none."""
        await self._rows("DELETE FROM maintenance WHERE provider = :provider", provider=provider)


async def _execute(session: AsyncSession, query: str, **values: Any) -> list[RowMapping]:
    result = await (await session.connection()).execute(text(query), values)
    return list(result.mappings()) if result.returns_rows else []


async def _add_interval(session: AsyncSession, state: ProviderStatus) -> None:
    values = {"provider": state.provider, "since": state.since, "sequence": state.sequence}
    new = await _execute(
        session,
        "INSERT INTO provider_health_interval (provider, status, started_at, reason, sequence) VALUES (:provider, :status,"
        " :since, :reason, :sequence) ON CONFLICT (provider, sequence) DO NOTHING RETURNING id",
        **values,
        status=state.status.value,
        reason=state.reason,
    )
    if new:
        await _execute(
            session,
            "UPDATE provider_health_interval SET ended_at = :since"
            " WHERE provider = :provider AND ended_at IS NULL AND sequence < :sequence",
            **values,
        )
