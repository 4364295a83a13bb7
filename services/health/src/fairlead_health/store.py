"""What health keeps in Postgres beside its windows: states and their history, alerts, probe schedules, maintenance."""

import json
from datetime import datetime
from typing import Any

from fairlead_common.db.database import Database
from fairlead_common.events.alerts import AlertRaised, AlertStatus
from fairlead_common.events.health import ProviderStatus
from fairlead_common.operations.health import ProbeIn, SilenceIn
from sqlalchemy import RowMapping, text
from sqlmodel.ext.asyncio.session import AsyncSession

PUT_ALERT = """
INSERT INTO alert (alert_id, fingerprint, alertname, provider, severity, status, sequence, starts_at, ends_at, payload)
SELECT :alert_id, :fingerprint, :alertname, :provider, :severity, :status, :sequence, :starts_at, :ends_at,
    CAST(:payload AS jsonb)
WHERE NOT EXISTS (SELECT FROM alert WHERE fingerprint = :fingerprint AND sequence > :sequence)
ON CONFLICT (alert_id) DO UPDATE SET status = excluded.status, sequence = excluded.sequence,
    ends_at = excluded.ends_at, payload = excluded.payload, updated_at = now()
WHERE alert.sequence < excluded.sequence
"""
END_FORMER_EPISODE = """
UPDATE alert SET status = 'resolved', ends_at = :starts_at, updated_at = now(),
    payload = payload || jsonb_build_object('status', 'resolved', 'ends_at', CAST(:starts_at AS timestamptz))
WHERE fingerprint = :fingerprint AND alert_id <> :alert_id AND ends_at IS NULL AND sequence < :sequence
"""
"""A fingerprint has one open episode; the end of the former one may have been lost with the bus."""


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

    async def history(self, provider: str, since: datetime | None, limit: int) -> list[RowMapping]:
        """Intervals, newest first."""
        return await self._rows(
            "SELECT status, started_at, ended_at, reason FROM provider_health_interval WHERE provider = :provider"
            " AND (CAST(:since AS timestamptz) IS NULL OR coalesce(ended_at, now()) >= :since)"
            " ORDER BY started_at DESC LIMIT :limit",
            provider=provider,
            since=since,
            limit=limit,
        )

    async def save_alert(self, alert: AlertRaised) -> None:
        """The alert's last transition; one that is older than what is saved of its fingerprint changes nothing."""
        values = {
            "alert_id": alert.alert_id,
            "fingerprint": alert.fingerprint,
            "alertname": alert.alertname,
            "provider": alert.provider,
            "severity": alert.severity.value,
            "status": alert.status.value,
            "sequence": alert.sequence,
            "starts_at": alert.starts_at,
            "ends_at": alert.ends_at,
            "payload": alert.to_json().decode(),
        }
        async with self._database.transaction() as session:
            await _execute(session, END_FORMER_EPISODE, **values)
            await _execute(session, PUT_ALERT, **values)

    async def alerts(self, *, active: bool, provider: str | None, limit: int) -> list[AlertRaised]:
        """Alerts, newest first."""
        rows = await self._rows(
            "SELECT payload, acknowledged_by, ends_at FROM alert WHERE (NOT :active OR ends_at IS NULL)"
            " AND (CAST(:provider AS text) IS NULL OR provider = :provider) ORDER BY starts_at DESC LIMIT :limit",
            active=active,
            provider=provider,
            limit=limit,
        )
        return [_alert(row) for row in rows]

    async def has_alert(self, fingerprint: str) -> bool:
        """Whether an alert of this fingerprint was ever saved."""
        rows = await self._rows(
            "SELECT EXISTS (SELECT FROM alert WHERE fingerprint = :fingerprint) AS found",
            fingerprint=fingerprint,
        )
        return bool(rows[0]["found"])

    async def last_alerts(self) -> list[AlertRaised]:
        """The last transition of every fingerprint, to go on from after a restart."""
        rows = await self._rows(
            "SELECT DISTINCT ON (fingerprint) payload FROM alert ORDER BY fingerprint, sequence DESC"
        )
        return [AlertRaised.model_validate(row["payload"]) for row in rows]

    async def acknowledge(self, alert_id: str, by: str) -> AlertRaised | None:
        """Note who looks after an alert, and give it as it is now; None when there is no such alert.

        A resolved alert stays as it is. The holder of the lease tells of it.
        """
        rows = await self._rows(
            "UPDATE alert SET acknowledged_by = CASE WHEN ends_at IS NULL THEN :by ELSE acknowledged_by END"
            " WHERE alert_id = :id RETURNING payload, acknowledged_by, ends_at",
            by=by,
            id=alert_id,
        )
        return _alert(rows[0]) if rows else None

    async def acknowledged(self) -> dict[str, str]:
        """Open alert to who looks after it."""
        rows = await self._rows(
            "SELECT alert_id, acknowledged_by FROM alert WHERE ends_at IS NULL AND acknowledged_by IS NOT NULL"
        )
        return {row["alert_id"]: row["acknowledged_by"] for row in rows}

    async def silence(self, silence: SilenceIn) -> None:
        """Add a silence."""
        await self._rows(
            "INSERT INTO alert_silence (provider, alertname, ends_at, reason)"
            " VALUES (:provider, :alertname, :ends_at, :reason)",
            **silence.model_dump(),
        )

    async def silences(self) -> list[RowMapping]:
        """Silences that still hold."""
        return await self._rows(
            "SELECT provider, alertname, ends_at FROM alert_silence WHERE ends_at > now()"
        )

    async def probes(self) -> list[RowMapping]:
        """Schedules that somebody has set."""
        return await self._rows(
            "SELECT provider, kind, interval_s, enabled, model FROM probe_schedule ORDER BY provider"
        )

    async def put_probe(self, provider: str, probe: ProbeIn) -> None:
        """Create or replace a schedule."""
        await self._rows(
            "INSERT INTO probe_schedule (provider, kind, interval_s, enabled, model) VALUES (:provider, :kind, :interval_s,"
            " :enabled, :model) ON CONFLICT (provider) DO UPDATE SET kind = excluded.kind, interval_s = excluded.interval_s,"
            " enabled = excluded.enabled, model = excluded.model, updated_at = now()",
            provider=provider,
            **probe.model_dump(),
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


def _alert(row: RowMapping) -> AlertRaised:
    """As it was told last; an acknowledgement shows before it was told."""
    alert = AlertRaised.model_validate(row["payload"])
    if row["acknowledged_by"] is None or row["ends_at"] is not None:
        return alert
    labels = {**alert.labels, "acknowledged_by": row["acknowledged_by"]}
    return alert.model_copy(update={"status": AlertStatus.ACKNOWLEDGED, "labels": labels})


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
