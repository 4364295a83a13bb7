"""A gate in the forms it takes: the controller's record, the snapshot's value, the table's row."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from fairlead_common.decisions.gate_records import Cause, GateRecord, Hold, HoldKind, Switch
from fairlead_common.decisions.plan import GateState
from fairlead_common.snapshots.failover import FleetGate, FleetSwitch, PolicyRule, PolicySnapshot
from sqlalchemy import RowMapping

from fairlead_failover.watch import PolicyMoved


def to_snapshot(record: GateRecord) -> FleetGate:
    """As edges and the next controller see it."""
    return FleetGate(
        state=record.state,
        share=record.share,
        since=time_of(record.since),
        retry_at=_time(record.retry_at),
        reason=record.reason,
        sequence=record.sequence,
        cause=record.cause or "",
        opened_at=_time(record.opened_at),
        failing_since=_time(record.failing_since),
        hold=record.hold.kind.value if record.hold is not None else None,
        hold_until=_time(record.hold.until) if record.hold is not None else None,
        relapses=record.relapses,
        setbacks=record.setbacks,
        models=record.models,
        status=record.status,
    )


def from_snapshot(key: str, found: FleetGate) -> GateRecord:
    """To go on from."""
    opened_at = found.opened_at or (None if found.state is GateState.CLOSED else found.since)
    return GateRecord(
        key,
        state=found.state,
        share=found.share,
        since=found.since.timestamp(),
        retry_at=_seconds(found.retry_at),
        reason=found.reason,
        cause=Cause(found.cause) if found.cause else None,
        sequence=found.sequence,
        opened_at=_seconds(opened_at),
        failing_since=_seconds(found.failing_since),
        status=found.status,
        hold=_hold(found),
        relapses=found.relapses,
        setbacks=found.setbacks,
        models=found.models,
    )


def from_row(row: RowMapping) -> GateRecord:
    """To go on from."""
    return from_snapshot(row["key"], FleetGate.model_validate(row["detail"]))


def switch_to_snapshot(switch: Switch, out: tuple[str, ...], version: int, evidence: str = "") -> FleetSwitch:
    """A switch with what was known when it happened."""
    return FleetSwitch(
        kind=switch.kind,
        cause=switch.cause,
        at=time_of(switch.at),
        opened_at=time_of(switch.opened_at),
        failing_since=_time(switch.failing_since),
        models=switch.models,
        out=out,
        version=version,
        evidence=evidence,
    )


def policy_switch(moved: PolicyMoved, out: tuple[str, ...], version: int) -> FleetSwitch | None:
    """What one workspace must be told of a gate of its own policy."""
    if moved.switch is None:
        return None
    told = switch_to_snapshot(moved.switch, out, version)
    return told.model_copy(
        update={
            "workspace_id": moved.guarded.workspace_id,
            "evidence": moved.evidence,
            "samples": moved.samples or None,
        }
    )


def policy_records(
    published: Mapping[str, Mapping[str, FleetGate]], saved: Iterable[GateRecord]
) -> dict[str, GateRecord]:
    """Gates of policies by their keys: the newer of what was published and what was saved."""
    found = {each.key: each for each in saved if each.key.startswith("@")}
    for policy, gates in published.items():
        for target, gate in gates.items():
            key = f"@{policy}@{target}"
            if key not in found or found[key].sequence <= gate.sequence:
                found[key] = from_snapshot(key, gate)
    return found


def policy_of(row: RowMapping) -> PolicySnapshot:
    """A workspace's configuration as edges see it."""
    return PolicySnapshot(
        workspace_id=row["workspace_id"],
        version=row["version"],
        enabled=row["enabled"],
        primary_provider=row["primary_provider"],
        fallback_providers=tuple(row["fallback_providers"]),
        conditions=row["failover_conditions"],
        rules=tuple(PolicyRule.model_validate(rule) for rule in row["rules"]),
    )


def time_of(unix_s: float) -> datetime:
    """Unix seconds as an aware time."""
    return datetime.fromtimestamp(unix_s, UTC)


def _hold(found: FleetGate) -> Hold | None:
    if found.hold is None or found.hold_until is None:
        return None
    return Hold(HoldKind(found.hold), found.hold_until.timestamp())


def _time(unix_s: float | None) -> datetime | None:
    return None if unix_s is None else time_of(unix_s)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
