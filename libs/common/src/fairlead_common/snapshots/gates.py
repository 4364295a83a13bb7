"""The fleet's gates as decisions read them: by provider and by target, holds ending by themselves if nobody ends them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from fairlead_common.decisions.plan import CLOSED, Gate, narrower
from fairlead_common.decisions.targets import Target
from fairlead_common.snapshots.failover import FleetGate


@dataclass(frozen=True, slots=True)
class Gates:
    """Gates that are not simply closed, until a hold among them ends."""

    providers: Mapping[str, Gate] = field(default_factory=dict)
    targets: Mapping[Target, Gate] = field(default_factory=dict)
    policies: Mapping[int, Mapping[str, Mapping[Target, Gate]]] = field(default_factory=dict)
    """workspace to rule of its policy to the gates that the rule's triggers have moved."""
    published: Mapping[str, FleetGate] = field(default_factory=dict)
    ends_at: float = float("inf")
    """Unix time at which the next hold ends by itself."""

    def at(self, now: float) -> "Gates":
        """As they are at ``now``, though nobody may have published that a hold has ended."""
        return self if now < self.ends_at else replace(gates_of(self.published, now), policies=self.policies)

    def closed_to(self, target: Target) -> bool:
        """True when the fleet sends nothing to ``target``."""
        wide, own = self.providers.get(target.provider, CLOSED), self.targets.get(target, CLOSED)
        return narrower(wide, own).share <= 0.0


GRACE_S: Final = 5.0
"""A hold that nobody has ended is over this long after its time: a controller, who ends it in steps, goes first."""
NO_GATES = Gates()
NO_POLICY_GATES: Mapping[str, Mapping[Target, Gate]] = {}


def gates_of(
    published: Mapping[str, FleetGate],
    now: float,
    policies: Mapping[str, Mapping[str, FleetGate]] | None = None,
) -> Gates:
    """The gates of a snapshot at ``now`` (Unix seconds), without those whose hold should have ended long ago."""
    ends = {
        key: each.hold_until.timestamp() + GRACE_S
        for key, each in published.items()
        if each.hold_until is not None
    }
    providers: dict[str, Gate] = {}
    targets: dict[Target, Gate] = {}
    for key, found in published.items():
        if ends.get(key, float("inf")) <= now:
            continue
        gate = _gate(found)
        provider, _, model = key.partition("/")
        if model:
            targets[Target(provider, model)] = gate
        else:
            providers[provider] = gate
    ends_at = min((end for end in ends.values() if end > now), default=float("inf"))
    return Gates(providers, targets, _of_policies(policies or {}), published, ends_at)


def _of_policies(
    published: Mapping[str, Mapping[str, FleetGate]],
) -> Mapping[int, Mapping[str, Mapping[Target, Gate]]]:
    found: dict[int, dict[str, Mapping[Target, Gate]]] = {}
    for key, gates in published.items():
        workspace_id, _, rule = key.partition("/")
        found.setdefault(int(workspace_id), {})[rule] = {
            Target(*name.split("/", 1)): _gate(gate) for name, gate in gates.items()
        }
    return found


def _gate(found: FleetGate) -> Gate:
    retry_at = found.retry_at.timestamp() if found.retry_at is not None else None
    return Gate(found.state, found.share, retry_at, found.hold == "pin", found.hold in ("out", "drain"))
