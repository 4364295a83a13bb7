"""The alert for what is new on a vendor's wire: raised once per provider and kind, ever; open until somebody has looked.

Nothing measures that it is over, so to acknowledge it ends it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fairlead_common.events.alerts import AlertEvidence, AlertRaised, AlertStatus, Severity
from fairlead_common.events.edge import WireDriftSeen

from fairlead_health.domain.alerts import fingerprint
from fairlead_health.domain.silences import silenced

WIRE_DRIFT = "wire_drift"


def identity_of(seen: WireDriftSeen) -> str:
    """Fingerprint of the alert: the kind belongs to its identity."""
    return fingerprint(f"{WIRE_DRIFT}:{seen.kind}", seen.provider)


def raised(
    seen: WireDriftSeen,
    now: datetime,
    event_id: str,
    runbooks_url: str,
    silences: Iterable[Mapping[str, str]] = (),
) -> AlertRaised:
    """The alert; its id and sequence are the same whoever raises it, so that it counts once.

    Args:
        silences: matchers of those that hold now.
    """
    identity = identity_of(seen)
    labels = {
        "alertname": WIRE_DRIFT,
        "provider": seen.provider,
        "severity": Severity.INFO.value,
        "service": "health",
        "kind": seen.kind,
    }
    return AlertRaised(
        event_id=event_id,
        occurred_at=now,
        alert_id=identity,
        fingerprint=identity,
        sequence=1,
        status=AlertStatus.SUPPRESSED if silenced(silences, labels) else AlertStatus.FIRING,
        severity=Severity.INFO,
        alertname=WIRE_DRIFT,
        provider=seen.provider,
        labels=labels,
        annotations={
            "summary": f"{seen.provider} sends something new",
            "description": f"answers hold {seen.kind}, which the adapter does not know and leaves out",
            "runbook_url": f"{runbooks_url}/{WIRE_DRIFT}.md",
        },
        starts_at=seen.first_seen_at,
        last_evaluated_at=now,
        evidence=AlertEvidence(wire_drift=(seen.kind,)),
    )


def ended(alert: AlertRaised, now: datetime, event_id: str) -> AlertRaised:
    """The end of an alert that somebody has acknowledged."""
    return alert.model_copy(
        update={
            "event_id": event_id,
            "occurred_at": now,
            "sequence": alert.sequence + 1,
            "status": AlertStatus.RESOLVED,
            "ends_at": now,
            "last_evaluated_at": now,
        }
    )
