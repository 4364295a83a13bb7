"""The life of one alert: ``judge(record, rule, breach, now, ...) -> (record, transition)``.

A rule must be breached for ``for_s`` before it fires, and clear for ``keep_firing_for_s`` before it resolves. An unknown
value (None) changes nothing: missing data neither fires nor resolves. One open episode per fingerprint; the sequence of
a fingerprint only grows, so that a transition sent twice is recognised::

    quiet --(breached)--> firing <--> suppressed (silenced, or inhibited by a worse alert)
                          firing, suppressed --(somebody looks after it)--> acknowledged
                          firing, suppressed, acknowledged --(clear)--> resolved = quiet

What Fairlead does about an open alert by itself (traffic moved away) is told once, as the same status again: people must
not wait for the end to learn that callers are well already.

An alert that is silenced when it begins fires as soon as it is not silenced any more, unless it is about to resolve: a
silence delays, it does not swallow.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cache

from fairlead_common.events.alerts import AlertRaised, AlertStatus
from fairlead_common.operations.alert_rules import Rule


@dataclass(frozen=True, slots=True)
class Breach:
    """What a rule found: None = unknown."""

    breached: bool | None
    value: float | None = None
    samples: int | None = None
    threshold: float | None = None
    window: str | None = None


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """Where one alert stands. Times are Unix seconds."""

    sequence: int = 0
    alert_id: str | None = None
    """Of the open episode; None = quiet."""
    starts_at: float | None = None
    told: AlertStatus | None = None
    """What was last said of the open episode."""
    acted: bool = False
    """It was said that Fairlead did something about it by itself."""
    acknowledged_by: str | None = None
    breached_since: float | None = None
    clear_since: float | None = None


QUIET = AlertRecord()


@cache
def fingerprint(name: str, provider: str) -> str:
    """Identity of an alert: hash of its sorted identity labels."""
    labels = "\x1f".join(
        f"{key}\x1e{value}" for key, value in sorted({"alertname": name, "provider": provider}.items())
    )
    return hashlib.sha256(labels.encode()).hexdigest()[:16]


def recalled(alert: AlertRaised) -> AlertRecord:
    """The record that ``alert``, the last transition of its fingerprint, leaves behind."""
    if alert.status is AlertStatus.RESOLVED:
        return AlertRecord(alert.sequence)
    started = alert.starts_at.timestamp()
    return AlertRecord(
        alert.sequence,
        alert.alert_id,
        started,
        alert.status,
        acknowledged_by=alert.labels.get("acknowledged_by"),
        breached_since=started,
        acted=alert.action_taken is not None,
    )


def judge(
    record: AlertRecord,
    rule: Rule,
    breach: Breach,
    now: float,
    alert_id: str,
    *,
    silenced: bool = False,
    inhibited: bool = False,
    acknowledged_by: str | None = None,
    acted: bool = False,
) -> tuple[AlertRecord, AlertStatus | None]:
    """The record afterwards, and the transition if there was one.

    Args:
        alert_id: of the episode, should one begin.
        silenced: somebody does not want to be told of it.
        inhibited: a worse alert of the same provider makes it superfluous, so that it does not even begin.
        acknowledged_by: who looks after the open episode, if anybody does.
        acted: Fairlead has done something about it by itself, which is told when it is news.
    """
    record = _timed(record, breach, now)
    if record.alert_id is None:
        if inhibited or not breach.breached or not _lasts(record.breached_since, now, rule.for_s):
            return record, None
        record = replace(
            record, alert_id=alert_id, starts_at=now, told=None, acknowledged_by=None, acted=False
        )
    elif breach.breached is False and _lasts(record.clear_since, now, rule.keep_firing_for_s):
        return AlertRecord(record.sequence + 1), AlertStatus.RESOLVED
    elif acknowledged_by is not None:
        record = replace(record, acknowledged_by=acknowledged_by)
    ending = record.told is AlertStatus.SUPPRESSED and breach.breached is False
    return _said(record, suppressed=silenced or inhibited or ending, acted=acted)


def _timed(record: AlertRecord, breach: Breach, now: float) -> AlertRecord:
    match breach.breached:
        case None:
            return record
        case True if record.breached_since is None:
            return replace(record, breached_since=now, clear_since=None)
        case False if record.clear_since is None:
            return replace(record, breached_since=None, clear_since=now)
    return record


def _lasts(since: float | None, now: float, length_s: float) -> bool:
    return since is not None and now - since >= length_s


def _said(record: AlertRecord, *, suppressed: bool, acted: bool) -> tuple[AlertRecord, AlertStatus | None]:
    """What must be said of an open episode, unless it was said already."""
    if record.acknowledged_by is not None:
        status = AlertStatus.ACKNOWLEDGED
    else:
        status = AlertStatus.SUPPRESSED if suppressed else AlertStatus.FIRING
    news = acted and not record.acted and status is not AlertStatus.SUPPRESSED
    if status is record.told and not news:
        return record, None
    return replace(record, told=status, acted=acted or record.acted, sequence=record.sequence + 1), status
