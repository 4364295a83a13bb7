"""Alerts grouped in time, as Alertmanager does: ``look(group, notifier, now)`` says what to tell and when to look next.

The first notification of a group waits for ``group_wait_s``, changes for ``group_interval_s`` since the last one, and what
fires on is told again after ``repeat_interval_s``, unless all of it is only for reading (severity info). What has fired
and resolved before anybody was told is not told at all.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity
from fairlead_common.operations.notifiers import EACH, AnyNotifier

IDENTITY: Final = ("alertname", "kind", "provider")
"""Labels that tell one alert from another; ``kind`` is of wire drift."""


class Told(NamedTuple):
    """What was last told of an alert: how its group stood, and the alert's own transition."""

    standing: AlertStatus
    sequence: int


@dataclass(frozen=True, slots=True)
class Member:
    """An alert of a group, and what one notifier was told of it."""

    alert: AlertRaised
    """Its last transition."""
    told: Told | None = None
    waiting_since: float | None = None
    """Since when (Unix seconds) it has news."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one notifier is told together."""

    members: tuple[Member, ...] = ()
    told_at: float | None = None


class Tell(NamedTuple):
    """A notification. ``standing``: of the whole group."""

    standing: AlertStatus
    alerts: tuple[AlertRaised, ...]


class Look(NamedTuple):
    """The group afterwards, what is to be told now, and when to look next; None = when something happens."""

    group: Group
    tell: Tell | None
    next_at: float | None


def labels_of_group(notifier: AnyNotifier, alert: AlertRaised) -> dict[str, str]:
    """The labels by which ``notifier`` groups ``alert``; one that the alert has not is left out."""
    names = IDENTITY if notifier.group_by == (EACH,) else notifier.group_by
    return labelled(alert, names)


def labelled(alert: AlertRaised, names: Iterable[str]) -> dict[str, str]:
    """Those of the alert's labels, in the order of their names."""
    return {name: alert.labels[name] for name in sorted(names) if name in alert.labels}


def group_key(labels: Mapping[str, str]) -> str:
    """Alertmanager's name of a group."""
    return "{}:{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def dedup_key(key: str, first: AlertRaised) -> str:
    """What a group is known by at a pager, from its first alert until all have ended."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:16]}:{first.alert_id}"


def arrived(known: Iterable[Member], alert: AlertRaised, *, wanted: bool) -> list[Member]:
    """The members that a transition adds or changes.

    Args:
        known: of this fingerprint at one notifier, those that are over included.
        wanted: the notifier is to be told of such alerts.
    """
    known = tuple(known)
    if any(alert.sequence <= each.alert.sequence for each in known):
        return []
    former = [each for each in known if each.alert.alert_id != alert.alert_id]
    changed = [
        replace(each, alert=_ended(each.alert, alert))
        for each in former
        if each.alert.status is not AlertStatus.RESOLVED
    ]
    same = next((each for each in known if each.alert.alert_id == alert.alert_id), None)
    if same is not None:
        changed.append(replace(same, alert=alert))
    elif wanted and alert.status is AlertStatus.FIRING:
        changed.append(Member(alert))
    return changed


def look(group: Group, notifier: AnyNotifier | None, now: float) -> Look:
    """What is to be told at ``now`` (Unix seconds); ``notifier`` None = it is gone or off, and told nothing."""
    if notifier is None:
        open_now = tuple(each for each in group.members if each.alert.status is not AlertStatus.RESOLVED)
        return Look(replace(group, members=open_now), None, None)
    group = _awaiting(group, notifier, now)
    due_at = _due_at(group, notifier)
    if due_at is None or due_at > now:
        return Look(group, None, due_at)
    standing = _standing(group, notifier)
    told = (each.alert for each in group.members if each.alert.status is not AlertStatus.SUPPRESSED)
    after = _awaiting(Group(tuple(_after(group, standing)), now), notifier, now)
    alerts = sorted(told, key=lambda a: (a.starts_at, a.fingerprint, a.sequence))
    return Look(after, Tell(standing, tuple(alerts)), _due_at(after, notifier))


def _ended(former: AlertRaised, alert: AlertRaised) -> AlertRaised:
    """The end, which nobody told, of an episode that another one follows."""
    return former.model_copy(update={"status": AlertStatus.RESOLVED, "ends_at": alert.starts_at})


def _awaiting(group: Group, notifier: AnyNotifier, now: float) -> Group:
    """The group without what is over and not to be told, and with the times since when there is news."""
    standing, members = _standing(group, notifier), []
    for each in group.members:
        if _is_news(each, notifier, standing):
            since = each.waiting_since if each.waiting_since is not None else now
            members.append(replace(each, waiting_since=since))
        elif each.alert.status is not AlertStatus.RESOLVED:
            members.append(replace(each, waiting_since=None))
    return replace(group, members=tuple(members))


def _after(group: Group, standing: AlertStatus) -> Iterable[Member]:
    """The members once they were told."""
    for each in group.members:
        match each.alert.status:
            case AlertStatus.SUPPRESSED:
                yield each
            case AlertStatus.FIRING | AlertStatus.ACKNOWLEDGED:
                yield Member(each.alert, Told(standing, each.alert.sequence))


def _is_news(member: Member, notifier: AnyNotifier, standing: AlertStatus) -> bool:
    alert, told = member.alert, member.told
    match alert.status:
        case AlertStatus.SUPPRESSED:
            return False
        case AlertStatus.RESOLVED:
            return told is not None and notifier.send_resolved
        case AlertStatus.FIRING:
            return told is None or alert.sequence > told.sequence
        case AlertStatus.ACKNOWLEDGED:
            return told is None or (
                standing is AlertStatus.ACKNOWLEDGED and told.standing is not AlertStatus.ACKNOWLEDGED
            )


def _standing(group: Group, notifier: AnyNotifier) -> AlertStatus:
    """Acknowledged: somebody looks after everything that fires. Resolved: nothing that was told of is open."""
    found = {_status(each, notifier) for each in group.members}
    for status in (AlertStatus.FIRING, AlertStatus.ACKNOWLEDGED):
        if status in found:
            return status
    return AlertStatus.FIRING if AlertStatus.SUPPRESSED in found else AlertStatus.RESOLVED


def _status(member: Member, notifier: AnyNotifier) -> AlertStatus:
    """As the notifier knows it: only a pager knows acknowledgements, and only of what it was told."""
    match member.alert.status:
        case AlertStatus.ACKNOWLEDGED if notifier.kind != "pagerduty" or member.told is None:
            return AlertStatus.FIRING
        case AlertStatus.SUPPRESSED if member.told is None:
            return AlertStatus.RESOLVED
        case status:
            return status


def _due_at(group: Group, notifier: AnyNotifier) -> float | None:
    news = [each for each in group.members if each.waiting_since is not None]
    due = []
    if news:
        first = min(each.waiting_since for each in news if each.waiting_since is not None)
        soonest = first + notifier.group_wait_s
        if group.told_at is not None:
            soonest = max(soonest, group.told_at + notifier.group_interval_s)
        due.append(soonest)
        due += [first for each in news if _acknowledges(each)]
    calls_for_action = any(
        each.alert.status is AlertStatus.FIRING
        and each.alert.severity is not Severity.INFO
        and each.told is not None
        for each in group.members
    )
    if calls_for_action and group.told_at is not None and notifier.repeat_interval_s is not None:
        due.append(group.told_at + notifier.repeat_interval_s)
    return min(due, default=None)


def _acknowledges(member: Member) -> bool:
    """It ends the escalation at the pager, which must not wait."""
    return member.alert.status is AlertStatus.ACKNOWLEDGED and member.told is not None
