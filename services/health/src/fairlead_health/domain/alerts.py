"""Alert rules and the life of one alert: ``judge(state, rule, breach, now, alert_id) -> (state, transition)``.

A rule must be breached for ``for_s`` before it fires, and clear for ``keep_s`` before it resolves. An unknown value
(None) changes nothing: missing data neither fires nor resolves. One open episode per fingerprint; the sequence of a
fingerprint only grows, so that a transition sent twice is recognised.
"""

import hashlib
from dataclasses import dataclass, replace

from fairlead_common.events.alerts import AlertStatus, Severity


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When to tell people."""

    name: str
    severity: Severity
    summary: str
    """With ``{provider}`` in it."""
    for_s: float = 0.0
    keep_s: float = 0.0
    threshold: float | None = None
    window: str | None = None
    inhibited_by: str | None = None
    """Name of the alert of the same provider that makes this one superfluous."""


DOWN = AlertRule("down", Severity.CRITICAL, "{provider} is down")
DEGRADED = AlertRule(
    "degraded", Severity.WARNING, "{provider} is degraded", for_s=10, keep_s=10, inhibited_by="down"
)
HIGH_ERROR_RATE = AlertRule(
    "high_error_rate",
    Severity.WARNING,
    "{provider} fails on too many calls",
    for_s=15,
    keep_s=30,
    threshold=0.1,
    window="5m",
    inhibited_by="down",
)
HIGH_LATENCY = AlertRule(
    "high_latency",
    Severity.WARNING,
    "{provider} is slow",
    for_s=15,
    keep_s=30,
    threshold=10_000,
    window="5m",
    inhibited_by="down",
)
PROBES_LOST = AlertRule("probes_lost", Severity.WARNING, "{provider} is not being probed", for_s=0, keep_s=0)
RULES = (DOWN, DEGRADED, HIGH_ERROR_RATE, HIGH_LATENCY, PROBES_LOST)


@dataclass(frozen=True, slots=True)
class Breach:
    """What a rule found: None = unknown."""

    breached: bool | None
    value: float | None = None
    samples: int | None = None


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """Where one alert stands. Times are Unix seconds."""

    sequence: int = 0
    alert_id: str | None = None
    """Of the open episode; None = not firing."""
    starts_at: float | None = None
    breached_since: float | None = None
    clear_since: float | None = None


QUIET = AlertRecord()


def fingerprint(name: str, provider: str) -> str:
    """Identity of an alert: hash of its sorted identity labels."""
    labels = "\x1f".join(
        f"{key}\x1e{value}" for key, value in sorted({"alertname": name, "provider": provider}.items())
    )
    return hashlib.sha256(labels.encode()).hexdigest()[:16]


def judge(
    record: AlertRecord, rule: AlertRule, breach: Breach, now: float, alert_id: str
) -> tuple[AlertRecord, AlertStatus | None]:
    """The record afterwards, and the transition if there was one."""
    if breach.breached is None:
        return record, None
    if breach.breached:
        since = record.breached_since if record.breached_since is not None else now
        record = replace(record, breached_since=since, clear_since=None)
        if record.alert_id is not None or now - since < rule.for_s:
            return record, None
        fired = replace(record, alert_id=alert_id, starts_at=now, sequence=record.sequence + 1)
        return fired, AlertStatus.FIRING
    since = record.clear_since if record.clear_since is not None else now
    record = replace(record, breached_since=None, clear_since=since)
    if record.alert_id is None or now - since < rule.keep_s:
        return record, None
    return replace(QUIET, sequence=record.sequence + 1), AlertStatus.RESOLVED
