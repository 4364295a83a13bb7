"""The queue of deliveries in Postgres, which is their log as well."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from fairlead_common.db.database import Database
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.notifiers import Attempt, DeliveriesQuery, Delivery
from sqlalchemy import RowMapping

CLAIMED_S: Final = 90
"""For so long nobody else tries; longer than any attempt, so that only a death makes a second one."""
KEPT_DAYS: Final = 30

ENQUEUE: Final = """
INSERT INTO alert_delivery (notifier, alert_id, fingerprint, sequence, status, payload)
SELECT wanted.name, :alert_id, :fingerprint, :sequence, CAST(:status AS text), CAST(:payload AS jsonb)
FROM unnest(CAST(:names AS text[])) AS wanted (name)
WHERE CAST(:status AS text) = 'firing' OR EXISTS (
    SELECT FROM alert_delivery AS earlier WHERE earlier.notifier = wanted.name AND earlier.alert_id = :alert_id
        AND earlier.status = 'firing')
ON CONFLICT DO NOTHING RETURNING id
"""
"""Nobody is told of the end of what he was never told of."""
CLAIM: Final = """
UPDATE alert_delivery SET due_at = now() + make_interval(secs => :claimed_s), claims = claims + 1 WHERE id IN (
    SELECT id FROM alert_delivery AS mine WHERE state = 'waiting' AND due_at <= now() AND NOT EXISTS (
        SELECT FROM alert_delivery AS earlier WHERE earlier.notifier = mine.notifier
            AND earlier.fingerprint = mine.fingerprint AND earlier.state = 'waiting' AND earlier.sequence < mine.sequence)
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id, notifier, payload, claims, jsonb_array_length(attempts) AS tried
"""
"""In the order of the alert's transitions: a resolution never overtakes what it resolves."""
FINISH: Final = """
UPDATE alert_delivery SET attempts = attempts || CAST(:attempt AS jsonb), state = :state,
    due_at = coalesce(CAST(:due_at AS timestamptz), due_at)
WHERE id = :id AND claims = :claims
"""
LIST: Final = """
SELECT id, notifier, alert_id, payload->>'alertname' AS alertname, payload->>'provider' AS provider, status, sequence,
    state, created_at, due_at, attempts
FROM alert_delivery WHERE (CAST(:notifier AS text) IS NULL OR notifier = :notifier)
    AND (CAST(:alert_id AS text) IS NULL OR alert_id = :alert_id) AND (CAST(:state AS text) IS NULL OR state = :state)
ORDER BY id DESC LIMIT :limit
"""


class DeliveryStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(self, alert: AlertRaised, names: Iterable[str]) -> int:
        """Have ``alert`` delivered to these notifiers, each transition once; how many deliveries are new."""
        rows = await self._database.fetch(
            ENQUEUE,
            names=list(names),
            alert_id=alert.alert_id,
            fingerprint=alert.fingerprint,
            sequence=alert.sequence,
            status=alert.status.value,
            payload=alert.to_json().decode(),
        )
        return len(rows)

    async def claim(self, limit: int) -> list[RowMapping]:
        """Deliveries that are due, for this worker alone until ``CLAIMED_S`` from now."""
        return await self._database.fetch(CLAIM, claimed_s=CLAIMED_S, limit=limit)

    async def finish(
        self, claimed: RowMapping, attempt: Attempt, state: str, due_at: datetime | None = None
    ) -> None:
        """Note an attempt, unless somebody else has claimed the delivery since."""
        await self._database.fetch(
            FINISH,
            id=claimed["id"],
            claims=claimed["claims"],
            attempt=json.dumps([attempt.model_dump(mode="json")]),
            state=state,
            due_at=due_at,
        )

    async def deliveries(self, asked: DeliveriesQuery) -> list[Delivery]:
        """The log, newest first."""
        rows = await self._database.fetch(LIST, **asked.model_dump())
        return [Delivery.model_validate(dict(row)) for row in rows]

    async def prune(self) -> None:
        """Forget what is old and over."""
        await self._database.fetch(
            "DELETE FROM alert_delivery WHERE state <> 'waiting' AND created_at < now() - make_interval(days => :days)",
            days=KEPT_DAYS,
        )
