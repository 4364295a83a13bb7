"""The events of a switch, one per workspace that it moves. They are made when they are saved, from what is stored then."""

from collections.abc import Iterable, Mapping

from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.events.health import Evidence
from fairlead_common.ids import stamp
from fairlead_common.snapshots.failover import FleetSwitch, PolicySnapshot, UnsavedGate
from sqlalchemy import RowMapping

from fairlead_failover.records import policy_of
from fairlead_failover.store import FailoverEvent, FailoverStore
from fairlead_failover.watch import Guarded

ANY_EQUIVALENT = "equivalents"
"""No stand-in is named: any provider with an equivalent model takes over."""


async def events_of(change: UnsavedGate, store: FailoverStore) -> list[FailoverEvent]:
    """What the workspaces are told of a change, from what is stored now."""
    switch = change.switch
    if switch is None:
        return []
    if switch.kind == "recovered":
        return recovered(switch, await store.open_switches([change.provider, *switch.models]))
    policies = {row["workspace_id"]: policy_of(row) for row in await store.configs()}
    if switch.workspace_id is not None:
        return switched(change.provider, switch, policies, [switch.workspace_id])
    return switched(change.provider, switch, policies, await store.workspaces())


def switched(
    key: str, switch: FleetSwitch, policies: Mapping[int, PolicySnapshot], workspaces: Iterable[int]
) -> list[FailoverEvent]:
    """Traffic was moved away, in every workspace that has failover."""
    guarded = Guarded.of(key)
    target = key if guarded is None else str(guarded.target)
    return [
        FailoverSwitched(
            **stamp(switch.at),
            workspace_id=workspace_id,
            from_target=target,
            to_target=stand_in(target, switch.out, policies.get(workspace_id), guarded and guarded.rule),
            cause=switch.cause,
            evidence=evidence(switch),
            version=switch.version,
            failing_since=switch.failing_since,
            gate=key,
        )
        for workspace_id in workspaces
        if (policy := policies.get(workspace_id)) is None or policy.enabled
    ]


def evidence(switch: FleetSwitch) -> tuple[Evidence, ...]:
    """Why, as far as it is known."""
    if not switch.evidence:
        return ()
    source = "active" if switch.cause.startswith("status_") else "passive"
    if switch.cause in ("operator", "drain"):
        source = "operator"
    return (
        Evidence(source=source, detail=switch.evidence, observed_at=switch.at, sample_count=switch.samples),
    )


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


def stand_in(target: str, out: Iterable[str], policy: PolicySnapshot | None, rule: str | None = None) -> str:
    """The first that is named to take over and whose gate is not open."""
    named: tuple[str, ...] = policy.fallback_providers if policy is not None else ()
    if policy is not None and rule is not None:
        chains = [each.chain for each in policy.rules if each.name == rule and each.chain]
        named = chains[0] if chains else named
    gone = {*out, target} if rule is not None else {*out, target, target.partition("/")[0]}
    return next((name for name in named if name not in gone), ANY_EQUIVALENT)
