"""Groups of alerts in Postgres: one transaction lets a transition join, another queues what a group tells."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fairlead_common.db.database import Database, fetch
from fairlead_common.events.alerts import AlertRaised, AlertStatus
from sqlalchemy import RowMapping
from sqlmodel.ext.asyncio.session import AsyncSession

from fairlead_health.domain.grouping import (
    IDENTITY,
    Group,
    Look,
    Member,
    Tell,
    Told,
    arrived,
    dedup_key,
    group_key,
    labelled,
)
from fairlead_health.domain.messages import Notification

KEPT_DAYS: Final = 30

Labels = Mapping[str, str]

ADOPT: Final = """
WITH single AS (
    UPDATE alert_delivery SET group_key = :group_key WHERE alert_id = :alert_id AND group_key IS NULL
    RETURNING notifier, status, sequence, created_at, payload),
last AS (SELECT DISTINCT ON (notifier) * FROM single ORDER BY notifier, sequence DESC),
groups AS (
    INSERT INTO alert_group (notifier, group_key, labels, dedup_key, told_at)
    SELECT notifier, :group_key, CAST(:labels AS jsonb), :dedup_key, created_at FROM last WHERE status <> 'resolved'
    ON CONFLICT (notifier, group_key) WHERE NOT closed DO UPDATE SET notifier = excluded.notifier
    RETURNING id, notifier)
INSERT INTO alert_group_member (notifier, alert_id, fingerprint, group_id, payload, told_standing, told_sequence)
SELECT last.notifier, :alert_id, :fingerprint, groups.id, last.payload, last.status, last.sequence
FROM last LEFT JOIN groups USING (notifier) ON CONFLICT DO NOTHING
"""
"""An alert that was told before alerts were grouped stays by itself until it ends, under the key it was told with."""
LOCK: Final = """
SELECT FROM alert_group WHERE id IN (SELECT group_id FROM alert_group_member WHERE fingerprint = :fingerprint)
ORDER BY id FOR UPDATE
"""
KNOWN: Final = """
SELECT notifier, group_id, payload, told_standing, told_sequence, extract(epoch FROM waiting_since) AS waiting_since
FROM alert_group_member WHERE fingerprint = :fingerprint
"""
JOIN: Final = """
INSERT INTO alert_group (notifier, group_key, labels, dedup_key)
VALUES (:notifier, :group_key, CAST(:labels AS jsonb), :dedup_key)
ON CONFLICT (notifier, group_key) WHERE NOT closed DO UPDATE SET notifier = excluded.notifier RETURNING id
"""
PUT_MEMBER: Final = """
INSERT INTO alert_group_member (notifier, alert_id, fingerprint, group_id, payload)
VALUES (:notifier, :alert_id, :fingerprint, :group_id, CAST(:payload AS jsonb))
ON CONFLICT (notifier, alert_id) DO UPDATE SET group_id = excluded.group_id, payload = excluded.payload,
    updated_at = now()
"""
CLAIM: Final = """
SELECT id, notifier, group_key, labels, dedup_key, extract(epoch FROM told_at) AS told_at, extract(epoch FROM now()) AS now
FROM alert_group WHERE due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
MEMBERS: Final = """
SELECT alert_id, payload, told_standing, told_sequence, extract(epoch FROM waiting_since) AS waiting_since
FROM alert_group_member WHERE group_id = :id
"""
PUT_MEMBERS: Final = """
UPDATE alert_group_member AS member SET told_standing = new.told_standing, told_sequence = new.told_sequence,
    waiting_since = to_timestamp(new.waiting_since), updated_at = now()
FROM unnest(CAST(:alert_ids AS text[]), CAST(:standings AS text[]), CAST(:sequences AS bigint[]),
    CAST(:waiting AS float8[])) AS new (alert_id, told_standing, told_sequence, waiting_since)
WHERE member.group_id = :id AND member.alert_id = new.alert_id
"""
LEAVE: Final = """
UPDATE alert_group_member SET group_id = NULL, updated_at = now()
WHERE group_id = :id AND alert_id <> ALL (CAST(:alert_ids AS text[]))
"""
PUT_GROUP: Final = """
UPDATE alert_group SET told_at = to_timestamp(CAST(:told_at AS float8)), due_at = to_timestamp(CAST(:due_at AS float8)),
    closed = closed OR :acknowledged
WHERE id = :id
"""
"""A pager does not call again for what joins an incident that somebody has acknowledged: it takes no more alerts, and the
next one begins a group anew."""
QUEUE: Final = """
INSERT INTO alert_delivery (notifier, group_key, status, payload)
VALUES (:notifier, :group_key, :status, CAST(:payload AS jsonb))
"""


class GroupStore:
    """What each notifier was told of each alert. A group's row is locked before its members."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def arrive(self, alert: AlertRaised, wanting: Mapping[str, Labels]) -> bool:
        """Note a transition for whom it concerns; whether it was new to anybody.

        Args:
            wanting: notifiers that are to be told of such alerts, with the labels of the group it would join.
        """
        async with self._database.transaction() as session:
            await _adopt(session, alert)
            await fetch(session, LOCK, fingerprint=alert.fingerprint)
            rows = await fetch(session, KNOWN, fingerprint=alert.fingerprint)
            new = False
            for notifier in sorted({*wanting, *(row["notifier"] for row in rows)}):
                theirs = [row for row in rows if row["notifier"] == notifier]
                for member in arrived(map(_member, theirs), alert, wanted=notifier in wanting):
                    await _put(session, notifier, member, theirs, wanting.get(notifier, {}))
                    new = True
            return new

    async def look(self, judge: Callable[[str, Group, float], Awaitable[Look]]) -> bool:
        """Have one group that is due judged, and queue what is to be told of it; whether there was one.

        Args:
            judge: notifier, group and time (Unix seconds, the database's) to what is to be done.
        """
        async with self._database.transaction() as session:
            rows = await fetch(session, CLAIM)
            if not rows:
                return False
            (row,) = rows
            members = await fetch(session, MEMBERS, id=row["id"])
            told_at = None if row["told_at"] is None else float(row["told_at"])
            group = Group(tuple(map(_member, members)), told_at)
            looked = await judge(row["notifier"], group, float(row["now"]))
            if looked.tell is not None:
                await _queue(session, row, looked.tell)
            await _save(session, row["id"], looked)
            return True

    async def look_again(self) -> None:
        """Have all groups judged anew: what notifiers want has changed."""
        await self._database.fetch("UPDATE alert_group SET due_at = now()")

    async def prune(self) -> None:
        """Forget alerts that were over long ago."""
        await self._database.fetch(
            "DELETE FROM alert_group_member WHERE group_id IS NULL AND updated_at < now() - make_interval(days => :days)",
            days=KEPT_DAYS,
        )


async def _adopt(session: AsyncSession, alert: AlertRaised) -> None:
    labels = labelled(alert, IDENTITY)
    await fetch(
        session,
        ADOPT,
        group_key=group_key(labels),
        labels=json.dumps(labels),
        alert_id=alert.alert_id,
        fingerprint=alert.fingerprint,
        dedup_key=alert.dedup_key,
    )


async def _put(
    session: AsyncSession, notifier: str, member: Member, known: list[RowMapping], labels: Labels
) -> None:
    """Save a member that has changed, and have its group looked at."""
    alert = member.alert
    group_id = next((row["group_id"] for row in known if row["payload"]["alert_id"] == alert.alert_id), None)
    if group_id is None and alert.status is not AlertStatus.RESOLVED:
        key = group_key(labels)
        joined = await fetch(
            session,
            JOIN,
            notifier=notifier,
            group_key=key,
            labels=json.dumps(labels),
            dedup_key=dedup_key(key, alert),
        )
        group_id = joined[0]["id"]
    await fetch(
        session,
        PUT_MEMBER,
        notifier=notifier,
        alert_id=alert.alert_id,
        fingerprint=alert.fingerprint,
        group_id=group_id,
        payload=alert.to_json().decode(),
    )
    await fetch(session, "UPDATE alert_group SET due_at = now() WHERE id = :id", id=group_id)


async def _queue(session: AsyncSession, row: RowMapping, tell: Tell) -> None:
    told = Notification(
        group_key=row["group_key"],
        group_labels=row["labels"],
        dedup_key=row["dedup_key"],
        status=tell.standing,
        alerts=tell.alerts,
    )
    await fetch(
        session,
        QUEUE,
        notifier=row["notifier"],
        group_key=told.group_key,
        status=told.status.value,
        payload=told.model_dump_json(),
    )


async def _save(session: AsyncSession, group_id: int, looked: Look) -> None:
    members = looked.group.members
    ids = [each.alert.alert_id for each in members]
    await fetch(session, LEAVE, id=group_id, alert_ids=ids)
    if not members:
        await fetch(session, "DELETE FROM alert_group WHERE id = :id", id=group_id)
        return
    told = [each.told for each in members]
    await fetch(
        session,
        PUT_MEMBERS,
        id=group_id,
        alert_ids=ids,
        standings=[None if each is None else each.standing.value for each in told],
        sequences=[None if each is None else each.sequence for each in told],
        waiting=[each.waiting_since for each in members],
    )
    await fetch(
        session,
        PUT_GROUP,
        id=group_id,
        told_at=looked.group.told_at,
        due_at=looked.next_at,
        acknowledged=looked.tell is not None and looked.tell.standing is AlertStatus.ACKNOWLEDGED,
    )


def _member(row: RowMapping) -> Member:
    told = None
    if row["told_standing"] is not None:
        told = Told(AlertStatus(row["told_standing"]), row["told_sequence"])
    since = row["waiting_since"]
    alert = AlertRaised.model_validate(row["payload"])
    return Member(alert, told, None if since is None else float(since))
