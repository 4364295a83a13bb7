"""The events of a switch, one per workspace that it moves. They are made when they are saved, from what is stored then."""

from collections.abc import Iterable, Mapping

from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.ids import stamp
from fairlead_common.snapshots.failover import FleetSwitch, PolicySnapshot
from sqlalchemy import RowMapping

ANY_EQUIVALENT = "equivalents"
"""No stand-in is named: any provider with an equivalent model takes over."""

FailoverEvent = FailoverSwitched | FailoverRecovered


def switched(
    key: str, switch: FleetSwitch, policies: Mapping[int, PolicySnapshot], workspaces: Iterable[int]
) -> list[FailoverEvent]:
    """Traffic was moved away, in every workspace that has failover."""
    return [
        FailoverSwitched(
            **stamp(switch.at),
            workspace_id=workspace_id,
            from_target=key,
            to_target=stand_in(key, switch.out, policies.get(workspace_id)),
            cause=switch.cause,
            version=switch.version,
        )
        for workspace_id in workspaces
        if (policy := policies.get(workspace_id)) is None or policy.enabled
    ]


def recovered(switch: FleetSwitch, open_switches: Iterable[RowMapping]) -> list[FailoverEvent]:
    """All traffic is back, in every workspace from which it was moved."""
    return [
        FailoverRecovered(
            **stamp(switch.at),
            workspace_id=row["workspace_id"],
            from_target=row["to_target"],
            to_target=row["from_target"],
            switched_event_id=row["event_id"],
            down_s=round((switch.at - switch.opened_at).total_seconds(), 3),
            version=switch.version,
        )
        for row in open_switches
    ]


def stand_in(key: str, out: Iterable[str], policy: PolicySnapshot | None) -> str:
    """The first of the policy's fallback providers whose gate is not open."""
    named, gone = (policy.fallback_providers if policy is not None else ()), {*out, key.partition("/")[0]}
    return next((name for name in named if name not in gone), ANY_EQUIVALENT)
