"""The alert for what is new on a vendor's wire: raised once per provider and kind, ever; open until somebody has looked.

Nothing measures that it is over, so to acknowledge it ends it.
"""

from collections.abc import Iterable
from datetime import datetime

from fairlead_common.events.alerts import AlertEvidence, AlertRaised, AlertStatus, Severity
from fairlead_common.events.edge import WireDriftSeen

from fairlead_health.domain.alerts import fingerprint

WIRE_DRIFT = "wire_drift"


def identity_of(seen: WireDriftSeen) -> str:
    """Fingerprint of the alert: the kind belongs to its identity."""
    return fingerprint(f"{WIRE_DRIFT}:{seen.kind}", seen.provider)


def raised(
    seen: WireDriftSeen,
    now: datetime,
    event_id: str,
    runbooks_url: str,
    silences: Iterable[tuple[str | None, str | None]] = (),
) -> AlertRaised:
    """The alert; its id and sequence are the same whoever raises it, so that it counts once.

    Args:
        silences: provider and alert name of each that holds now; None = any.
    """
    identity = identity_of(seen)
    silenced = any(p in (None, seen.provider) and n in (None, WIRE_DRIFT) for p, n in silences)
    return AlertRaised(
        event_id=event_id,
        occurred_at=now,
        alert_id=identity,
        fingerprint=identity,
        sequence=1,
        status=AlertStatus.SUPPRESSED if silenced else AlertStatus.FIRING,
        severity=Severity.INFO,
        alertname=WIRE_DRIFT,
        provider=seen.provider,
        labels={
            "alertname": WIRE_DRIFT,
            "provider": seen.provider,
            "service": "health",
            "kind": seen.kind,
        },
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
