"""What health keeps in Postgres beside its windows: states and their history, probe schedules, maintenance."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from fairlead_common.db.database import Database, fetch
from fairlead_common.events.health import ProviderStatus
from fairlead_common.operations.health import ProbeIn
from sqlalchemy import RowMapping

PUT_STATES: Final = """
INSERT INTO provider_health (provider, status, avg_latency_ms, error_rate, uptime_percentage, last_check, score, since,
    sequence, reason, evidence)
SELECT provider, status, latency, errors, uptime, checked_at, score, since, sequence, reason, CAST(evidence AS jsonb)
FROM unnest(CAST(:providers AS text[]), CAST(:statuses AS text[]), CAST(:latencies AS double precision[]),
    CAST(:errors AS double precision[]), CAST(:uptimes AS double precision[]), CAST(:checks AS timestamptz[]),
    CAST(:scores AS double precision[]), CAST(:sinces AS timestamptz[]), CAST(:sequences AS bigint[]),
    CAST(:reasons AS text[]), CAST(:evidences AS text[]))
    AS told (provider, status, latency, errors, uptime, checked_at, score, since, sequence, reason, evidence)
ON CONFLICT (provider) DO UPDATE SET status = excluded.status, avg_latency_ms = excluded.avg_latency_ms,
    error_rate = excluded.error_rate, uptime_percentage = excluded.uptime_percentage, last_check = excluded.last_check,
    score = excluded.score, since = excluded.since, sequence = excluded.sequence, reason = excluded.reason,
    evidence = excluded.evidence, updated_at = now()
WHERE provider_health.sequence <= excluded.sequence RETURNING provider
"""
ADD_INTERVALS: Final = """
WITH new AS (
    INSERT INTO provider_health_interval (provider, status, started_at, reason, sequence)
    SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:statuses AS text[]), CAST(:sinces AS timestamptz[]),
        CAST(:reasons AS text[]), CAST(:sequences AS bigint[]))
    ON CONFLICT (provider, sequence) DO NOTHING RETURNING provider, started_at, sequence
)
UPDATE provider_health_interval AS former SET ended_at = new.started_at FROM new
WHERE former.provider = new.provider AND former.ended_at IS NULL AND former.sequence < new.sequence
"""
"""A data-modifying WITH does not see what it inserts, so that only former intervals end."""

OPERATOR_SETTINGS: Final = """
SELECT
    (SELECT coalesce(jsonb_object_agg(provider, reason), '{}') FROM maintenance
        WHERE ends_at IS NULL OR ends_at > now()) AS maintained,
    (SELECT coalesce(jsonb_agg(matchers), '[]') FROM alert_silence
        WHERE starts_at <= now() AND ends_at > now()) AS silences,
    (SELECT coalesce(jsonb_object_agg(alert_id, jsonb_build_array(acknowledged_by, acknowledgement_note)), '{}')
        FROM alert WHERE ends_at IS NULL AND acknowledged_by IS NOT NULL) AS acknowledged,
    (SELECT max(version) FROM alert_config WHERE section = 'rules') AS rules_version,
    (SELECT coalesce(jsonb_object_agg(provider, CASE WHEN enabled THEN interval_s END), '{}')
        FROM probe_schedule) AS intervals
"""
"""Read again and again, so that one statement must do."""


class HealthStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def states(self) -> list[RowMapping]:
        """The saved state of every provider."""
        return await self._database.fetch(
            "SELECT provider, status, since, sequence, reason, last_check, updated_at FROM provider_health"
            " ORDER BY provider"
        )

    async def save_states(self, states: Sequence[ProviderStatus]) -> None:
        """The states, one of a provider, and the intervals of those that are new; older sequences change nothing."""
        async with self._database.transaction() as session:
            saved = await fetch(session, PUT_STATES, **_columns(states))
            names = {row["provider"] for row in saved}
            if new := [state for state in states if state.provider in names]:
                await fetch(session, ADD_INTERVALS, **_columns(new))

    async def history(
        self, provider: str, since: datetime | None, until: datetime | None, limit: int
    ) -> list[RowMapping]:
        """Intervals that touch the time from ``since`` to ``until``, newest first."""
        return await self._database.fetch(
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
        return await self._database.fetch(
            "SELECT provider, status, started_at, ended_at FROM provider_health_interval"
            " WHERE coalesce(ended_at, now()) >= :since ORDER BY started_at DESC",
            since=since,
        )

    async def probes(self) -> list[RowMapping]:
        """Schedules that somebody has set."""
        return await self._database.fetch(
            "SELECT provider, kind, interval_s, enabled, models, daily_budget_usd, monthly_budget_usd"
            " FROM probe_schedule ORDER BY provider"
        )

    async def put_probe(self, provider: str, probe: ProbeIn) -> None:
        """Create or replace a schedule."""
        await self._database.fetch(
            "INSERT INTO probe_schedule (provider, kind, interval_s, enabled, models, daily_budget_usd, monthly_budget_usd)"
            " VALUES (:provider, :kind, :interval_s, :enabled, CAST(:models AS text[]), :daily_budget_usd,"
            " :monthly_budget_usd) ON CONFLICT (provider) DO UPDATE SET kind = excluded.kind,"
            " interval_s = excluded.interval_s, enabled = excluded.enabled, models = excluded.models,"
            " daily_budget_usd = excluded.daily_budget_usd, monthly_budget_usd = excluded.monthly_budget_usd,"
            " updated_at = now()",
            provider=provider,
            **{**probe.model_dump(), "models": list(probe.models)},
        )

    async def operator_settings(self) -> RowMapping:
        """What operators have set and holds now, in one row."""
        return (await self._database.fetch(OPERATOR_SETTINGS))[0]

    async def set_maintenance(self, provider: str, reason: str, ends_at: datetime | None) -> None:
        """Begin, or change."""
        await self._database.fetch(
            "INSERT INTO maintenance (provider, reason, ends_at) VALUES (:provider, :reason, :ends_at)"
            " ON CONFLICT (provider) DO UPDATE SET reason = excluded.reason, ends_at = excluded.ends_at",
            provider=provider,
            reason=reason,
            ends_at=ends_at,
        )

    async def end_maintenance(self, provider: str) -> None:
        """End; nothing happens when there is none."""
        await self._database.fetch("DELETE FROM maintenance WHERE provider = :provider", provider=provider)


def _columns(states: Sequence[ProviderStatus]) -> dict[str, list[Any]]:
    """What is saved of states, ordered by provider, so that two transactions never wait for each other."""
    ordered = sorted(states, key=lambda state: state.provider)
    return {
        "providers": [state.provider for state in ordered],
        "statuses": [state.status.value for state in ordered],
        "latencies": [state.avg_latency_ms for state in ordered],
        "errors": [state.error_rate for state in ordered],
        "uptimes": [state.uptime_percentage for state in ordered],
        "checks": [state.last_check for state in ordered],
        "scores": [state.score for state in ordered],
        "sinces": [state.since for state in ordered],
        "sequences": [state.sequence for state in ordered],
        "reasons": [state.reason for state in ordered],
        "evidences": [
            json.dumps([each.model_dump(mode="json") for each in state.evidence]) for state in ordered
        ],
    }
