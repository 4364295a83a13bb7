"""What health keeps in Postgres for people: alerts, who looks after them, silences, and the rules as versions."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fairlead_common.db.database import Database, fetch
from fairlead_common.events.alerts import AlertRaised, AlertStatus
from fairlead_common.operations.alert_rules import Version
from fairlead_common.operations.alerts import Silence, SilenceIn
from sqlalchemy import RowMapping

PUT_ALERT: Final = """
INSERT INTO alert (alert_id, fingerprint, alertname, provider, severity, status, sequence, starts_at, ends_at, payload)
SELECT :alert_id, :fingerprint, :alertname, :provider, :severity, :status, :sequence, :starts_at, :ends_at,
    CAST(:payload AS jsonb)
WHERE NOT EXISTS (SELECT FROM alert WHERE fingerprint = :fingerprint AND sequence > :sequence)
ON CONFLICT (alert_id) DO UPDATE SET status = excluded.status, sequence = excluded.sequence,
    ends_at = excluded.ends_at, payload = excluded.payload, updated_at = now()
WHERE alert.sequence < excluded.sequence
"""
END_FORMER_EPISODE: Final = """
UPDATE alert SET status = 'resolved', ends_at = :starts_at, updated_at = now(),
    payload = payload || jsonb_build_object('status', 'resolved', 'ends_at', CAST(:starts_at AS timestamptz))
WHERE fingerprint = :fingerprint AND alert_id <> :alert_id AND ends_at IS NULL AND sequence < :sequence
"""
"""A fingerprint has one open episode; the end of the former one may have been lost with the bus."""

PUT_CONFIG: Final = """
INSERT INTO alert_config (section, version, content, set_by, note)
SELECT :section, last.version + 1, CAST(:content AS jsonb), :by, :note
FROM (SELECT coalesce(max(version), 0) AS version FROM alert_config WHERE section = :section) AS last
WHERE CAST(:replaces AS integer) IS NULL OR last.version = :replaces
ON CONFLICT DO NOTHING RETURNING version, content, set_by, note, set_at
"""
SILENCE: Final = "id, matchers, starts_at, ends_at, reason, set_by"


class AlertStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            await fetch(session, END_FORMER_EPISODE, **values)
            await fetch(session, PUT_ALERT, **values)

    async def alerts(self, *, active: bool, provider: str | None, limit: int) -> list[AlertRaised]:
        """Alerts, newest first."""
        rows = await self._database.fetch(
            "SELECT payload, acknowledged_by, ends_at FROM alert WHERE (NOT :active OR ends_at IS NULL)"
            " AND (CAST(:provider AS text) IS NULL OR provider = :provider) ORDER BY starts_at DESC LIMIT :limit",
            active=active,
            provider=provider,
            limit=limit,
        )
        return [_alert(row) for row in rows]

    async def alerts_since(self, provider: str, since: datetime) -> list[AlertRaised]:
        """The episodes of a provider that were open at ``since`` or later."""
        rows = await self._database.fetch(
            "SELECT payload, acknowledged_by, ends_at FROM alert WHERE provider = :provider"
            " AND (ends_at IS NULL OR ends_at >= :since) ORDER BY starts_at DESC LIMIT 5000",
            provider=provider,
            since=since,
        )
        return [_alert(row) for row in rows]

    async def has_alert(self, fingerprint: str) -> bool:
        """Whether an alert of this fingerprint was ever saved."""
        rows = await self._database.fetch(
            "SELECT EXISTS (SELECT FROM alert WHERE fingerprint = :fingerprint) AS found",
            fingerprint=fingerprint,
        )
        return bool(rows[0]["found"])

    async def last_alerts(self) -> list[AlertRaised]:
        """The last transition of every fingerprint, to go on from after a restart."""
        rows = await self._database.fetch(
            "SELECT DISTINCT ON (fingerprint) payload FROM alert ORDER BY fingerprint, sequence DESC"
        )
        return [AlertRaised.model_validate(row["payload"]) for row in rows]

    async def acknowledge(self, alert_id: str, by: str, note: str) -> AlertRaised | None:
        """Note who looks after an alert, and give it as it is now; None when there is no such alert.

        A resolved alert stays as it is. The holder of the lease tells of it.
        """
        rows = await self._database.fetch(
            "UPDATE alert SET acknowledged_by = CASE WHEN ends_at IS NULL THEN :by ELSE acknowledged_by END,"
            " acknowledgement_note = CASE WHEN ends_at IS NULL THEN :note ELSE acknowledgement_note END"
            " WHERE alert_id = :id RETURNING payload, acknowledged_by, ends_at",
            by=by,
            note=note,
            id=alert_id,
        )
        return _alert(rows[0]) if rows else None

    async def add_silence(self, silence: SilenceIn) -> Silence:
        """Add a silence."""
        rows = await self._database.fetch(
            "INSERT INTO alert_silence (matchers, starts_at, ends_at, reason, set_by)"
            " VALUES (CAST(:matchers AS jsonb), coalesce(:starts_at, now()), :ends_at, :reason, :by)"
            f" RETURNING {SILENCE}",
            **{**silence.model_dump(), "matchers": json.dumps(silence.matchers)},
        )
        return _silence(rows[0])

    async def silences(self) -> list[Silence]:
        """Silences that hold or will hold, in the order of their ends."""
        rows = await self._database.fetch(
            f"SELECT {SILENCE} FROM alert_silence WHERE ends_at > now() AND ends_at > starts_at ORDER BY ends_at, id"
        )
        return [_silence(row) for row in rows]

    async def holding(self) -> list[Mapping[str, str]]:
        """Matchers of the silences that hold now."""
        rows = await self._database.fetch(
            "SELECT matchers FROM alert_silence WHERE starts_at <= now() AND ends_at > now()"
        )
        return [row["matchers"] for row in rows]

    async def end_silence(self, silence_id: int) -> Silence | None:
        """End a silence now, or keep one from beginning; None when there is none that is not over already."""
        rows = await self._database.fetch(
            "UPDATE alert_silence SET ends_at = greatest(now(), starts_at) WHERE id = :id AND ends_at > now()"
            f" AND ends_at > starts_at RETURNING {SILENCE}",
            id=silence_id,
        )
        return _silence(rows[0]) if rows else None

    async def config(self, section: str) -> RowMapping | None:
        """The version of a section that is in force; None = nobody has ever set one."""
        rows = await self._database.fetch(
            "SELECT version, content, set_by, note, set_at FROM alert_config WHERE section = :section"
            " ORDER BY version DESC LIMIT 1",
            section=section,
        )
        return rows[0] if rows else None

    async def put_config(
        self, section: str, content: Sequence[Mapping[str, Any]], replaces: int | None, by: str, note: str
    ) -> RowMapping | None:
        """Put the next version; None when ``replaces`` is not the one in force.

        Of several at once that replace whatever there is, each becomes a version, and the last is in force.
        """
        while True:
            rows = await self._database.fetch(
                PUT_CONFIG, section=section, content=json.dumps(content), replaces=replaces, by=by, note=note
            )
            if rows:
                return rows[0]
            if replaces is not None:
                return None

    async def versions(self, section: str) -> list[Version]:
        """Who has set what when, newest first."""
        rows = await self._database.fetch(
            "SELECT version, set_by, set_at, note FROM alert_config WHERE section = :section"
            " ORDER BY version DESC LIMIT 100",
            section=section,
        )
        return [Version.model_validate(dict(row)) for row in rows]


def _alert(row: RowMapping) -> AlertRaised:
    """As it was told last; an acknowledgement shows before it was told."""
    alert = AlertRaised.model_validate(row["payload"])
    if row["acknowledged_by"] is None or row["ends_at"] is not None:
        return alert
    labels = {**alert.labels, "acknowledged_by": row["acknowledged_by"]}
    return alert.model_copy(update={"status": AlertStatus.ACKNOWLEDGED, "labels": labels})


def _silence(row: RowMapping) -> Silence:
    return Silence(
        **{key: row[key] for key in ("id", "matchers", "starts_at", "ends_at", "reason")}, by=row["set_by"]
    )
