"""``/api/providers/health/alerts``: alerts, silences, the rules by which alerts are raised, who is told."""

from typing import Annotated

from fairlead_common.bus.rpc import Empty
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations import alert_rules as rules
from fairlead_common.operations import alerts as ops
from fairlead_common.operations import notifiers
from fastapi import APIRouter, Query

from fairlead_edge.control.dependencies import OPERATOR, Rpc

router = APIRouter(prefix="/api/providers/health/alerts", tags=["alerts"])


@router.get("", summary="Alerts")
async def alerts(
    rpc: Rpc,
    *,
    active: bool = False,
    provider: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ops.Alerts:
    """Newest first."""
    return await rpc.call(ops.ALERTS, ops.AlertsQuery(active=active, provider=provider, limit=limit))


@router.post("/{alert_id}/acknowledge", summary="Acknowledge an alert", dependencies=[OPERATOR])
async def acknowledge(rpc: Rpc, alert_id: str, body: ops.AcknowledgeIn) -> AlertRaised:
    """It stays listed until it is resolved."""
    return await rpc.call(ops.ACKNOWLEDGE, ops.Acknowledge(alert_id=alert_id, by=body.by, note=body.note))


@router.get("/silences", summary="Silences")
async def silences(rpc: Rpc) -> ops.Silences:
    """Those that hold or will hold."""
    return await rpc.call(ops.SILENCES, Empty())


@router.post("/silences", status_code=201, summary="Silence alerts", dependencies=[OPERATOR])
async def silence(rpc: Rpc, body: ops.SilenceIn) -> ops.Silence:
    """Until its end; alerts go on being recorded, with status 'suppressed'."""
    return await rpc.call(ops.SILENCE, body)


@router.delete("/silences/{silence_id}", summary="End a silence", dependencies=[OPERATOR])
async def end_silence(rpc: Rpc, silence_id: int) -> ops.Silence:
    """Now; what it kept quiet and still holds is told."""
    return await rpc.call(ops.END_SILENCE, ops.OneSilence(id=silence_id))


@router.get("/rules", summary="Alert rules")
async def get_rules(rpc: Rpc) -> rules.Rules:
    """Those in force, and who has set them; version 0 is what Fairlead brings along."""
    return await rpc.call(rules.RULES, Empty())


@router.put("/rules", summary="Replace the alert rules", dependencies=[OPERATOR])
async def put_rules(rpc: Rpc, body: rules.RulesIn) -> rules.Rules:
    """All of them, or none: whatever is wrong is refused with its place and its reason."""
    return await rpc.call(rules.PUT_RULES, body)


@router.post("/rules/validate", summary="Check alert rules", dependencies=[OPERATOR])
async def check_rules(rpc: Rpc, body: rules.RulesIn) -> rules.Checked:
    """What would be refused; nothing is stored."""
    return await rpc.call(rules.CHECK_RULES, body)


@router.get("/rules/versions", summary="Versions of the alert rules")
async def rule_versions(rpc: Rpc) -> rules.Versions:
    """Who has set what when, newest first."""
    return await rpc.call(rules.RULE_VERSIONS, Empty())


@router.get("/notifiers", summary="Notifiers", dependencies=[OPERATOR])
async def get_notifiers(rpc: Rpc) -> notifiers.Notifiers:
    """Who is told outside of the bus; secrets are references."""
    return await rpc.call(notifiers.NOTIFIERS, Empty())


@router.put("/notifiers", summary="Replace the notifiers", dependencies=[OPERATOR])
async def put_notifiers(rpc: Rpc, body: notifiers.NotifiersIn) -> notifiers.Notifiers:
    """All of them, or none: whatever is wrong is refused with its place and its reason."""
    return await rpc.call(notifiers.PUT_NOTIFIERS, body)


@router.post("/notifiers/validate", summary="Check notifiers", dependencies=[OPERATOR])
async def check_notifiers(rpc: Rpc, body: notifiers.NotifiersIn) -> rules.Checked:
    """What would be refused; nothing is stored."""
    return await rpc.call(notifiers.CHECK_NOTIFIERS, body)


@router.post("/notifiers/{name}/test", summary="Send a test alert", dependencies=[OPERATOR])
async def test_notifier(rpc: Rpc, name: str) -> notifiers.Tested:
    """And its end, at once; says what became of both."""
    return await rpc.call(notifiers.TEST_NOTIFIER, notifiers.OneNotifier(name=name))
