"""The queue of deliveries in Postgres, which is their log as well."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fairlead_common.db.database import Database
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.notifiers import Attempt, DeliveredAlert, DeliveriesQuery, Delivery
from sqlalchemy import RowMapping

from fairlead_health.domain.messages import Notification, alone

CLAIMED_S: Final = 90
"""For so long nobody else tries; longer than any attempt, so that only a death makes a second one."""
KEPT_DAYS: Final = 30

READY: Final = """
state = 'waiting' AND NOT EXISTS (
    SELECT FROM alert_delivery AS earlier WHERE earlier.notifier = mine.notifier AND earlier.state = 'waiting'
        AND coalesce(earlier.group_key, earlier.fingerprint) = coalesce(mine.group_key, mine.fingerprint)
        AND earlier.id < mine.id)
"""
"""In the order of the group's notifications: a resolution never overtakes what it resolves."""
CLAIM: Final = f"""
UPDATE alert_delivery SET due_at = now() + make_interval(secs => :claimed_s), claims = claims + 1 WHERE id IN (
    SELECT id FROM alert_delivery AS mine WHERE due_at <= now() AND {READY}
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id, notifier, payload, claims, jsonb_array_length(attempts) AS tried
"""
NEXT: Final = f"""
SELECT extract(epoch FROM least((SELECT min(due_at) FROM alert_group),
    (SELECT min(due_at) FROM alert_delivery AS mine WHERE {READY})) - now()) AS due_in_s
"""
FINISH: Final = """
UPDATE alert_delivery SET attempts = attempts || CAST(:attempt AS jsonb), state = :state,
    due_at = coalesce(CAST(:due_at AS timestamptz), due_at)
WHERE id = :id AND claims = :claims
"""
LIST: Final = """
SELECT id, notifier, payload, status, state, created_at, due_at, attempts
FROM alert_delivery WHERE (CAST(:notifier AS text) IS NULL OR notifier = :notifier)
    AND (CAST(:alert_id AS text) IS NULL OR alert_id = :alert_id
        OR payload->'alerts' @> jsonb_build_array(jsonb_build_object('alert_id', CAST(:alert_id AS text))))
    AND (CAST(:state AS text) IS NULL OR state = :state)
ORDER BY id DESC LIMIT :limit
"""


def notification_of(payload: Mapping[str, Any]) -> Notification:
    """What a row tells of; rows from before alerts were grouped hold one alert."""
    if "alerts" in payload:
        return Notification.model_validate(payload)
    return alone(AlertRaised.model_validate(payload))


class DeliveryStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, limit: int) -> list[RowMapping]:
        """Deliveries that are due, for this worker alone until ``CLAIMED_S`` from now."""
        return await self._database.fetch(CLAIM, claimed_s=CLAIMED_S, limit=limit)

    async def next_due_in_s(self) -> float | None:
        """Seconds until a group or a delivery is due; None: nothing waits."""
        (row,) = await self._database.fetch(NEXT)
        return None if row["due_in_s"] is None else float(row["due_in_s"])

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
        return [_delivery(row) for row in rows]

    async def prune(self) -> None:
        """Forget what is old and over."""
        await self._database.fetch(
            "DELETE FROM alert_delivery WHERE state <> 'waiting' AND created_at < now() - make_interval(days => :days)",
            days=KEPT_DAYS,
        )


def _delivery(row: RowMapping) -> Delivery:
    told = notification_of(row["payload"])
    alerts = [
        DeliveredAlert.model_validate(alert.model_dump(include=set(DeliveredAlert.model_fields)))
        for alert in told.alerts
    ]
    columns = ("id", "notifier", "status", "state", "created_at", "due_at", "attempts")
    return Delivery(
        **{column: row[column] for column in columns},
        group_key=told.group_key,
        group_labels=told.group_labels,
        alerts=alerts,
    )
