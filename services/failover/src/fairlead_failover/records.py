"""A gate in the forms it takes: the controller's record, the snapshot's value, the table's row."""

from datetime import UTC, datetime

from fairlead_common.decisions.plan import GateState
from fairlead_common.snapshots.failover import FleetGate, FleetSwitch, PolicySnapshot
from sqlalchemy import RowMapping

from fairlead_failover.domain import GateRecord, Switch


def to_snapshot(record: GateRecord) -> FleetGate:
    """As edges and the next controller see it."""
    return FleetGate(
        state=record.state,
        share=record.share,
        since=time_of(record.since),
        retry_at=None if record.retry_at is None else time_of(record.retry_at),
        reason=record.reason,
        sequence=record.sequence,
        cause=record.cause,
        opened_at=None if record.opened_at is None else time_of(record.opened_at),
        by_operator=record.by_operator,
        relapses=record.relapses,
        status=record.status,
    )


def from_snapshot(provider: str, found: FleetGate) -> GateRecord:
    """To go on from."""
    opened_at = found.opened_at or (None if found.state is GateState.CLOSED else found.since)
    return GateRecord(
        provider=provider,
        state=found.state,
        share=found.share,
        since=found.since.timestamp(),
        retry_at=None if found.retry_at is None else found.retry_at.timestamp(),
        reason=found.reason,
        cause=found.cause,
        sequence=found.sequence,
        opened_at=None if opened_at is None else opened_at.timestamp(),
        status=found.status,
        by_operator=found.by_operator,
        relapses=found.relapses,
    )


def from_row(row: RowMapping) -> GateRecord:
    """To go on from."""
    detail = row["detail"]
    return GateRecord(
        provider=row["provider"],
        state=GateState(row["state"]),
        share=row["share"],
        since=row["since"].timestamp(),
        retry_at=row["retry_at"].timestamp() if row["retry_at"] else None,
        reason=row["reason"],
        cause=detail.get("cause", ""),
        sequence=row["sequence"],
        opened_at=detail.get("opened_at"),
        status=detail.get("status", "unknown"),
        by_operator=detail.get("by_operator", False),
        relapses=detail.get("relapses", 0),
    )


def switch_to_snapshot(switch: Switch, out: tuple[str, ...], version: int) -> FleetSwitch:
    """A switch with what was known when it happened."""
    return FleetSwitch(
        kind=switch.kind,
        cause=switch.cause,
        at=time_of(switch.at),
        opened_at=time_of(switch.opened_at),
        out=out,
        version=version,
    )


def policy_of(row: RowMapping) -> PolicySnapshot:
    """A workspace's configuration as edges see it."""
    return PolicySnapshot(
        workspace_id=row["workspace_id"],
        version=row["version"],
        enabled=row["enabled"],
        primary_provider=row["primary_provider"],
        fallback_providers=tuple(row["fallback_providers"]),
        conditions=row["failover_conditions"],
    )


def time_of(unix_s: float) -> datetime:
    """Unix seconds as an aware time."""
    return datetime.fromtimestamp(unix_s, UTC)
