"""When the fleet moved the traffic of a provider away, and when all of it was back, from what the bus said. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fairlead.drills.bus import Heard

MOVES = ("failover.switched.", "failover.recovered.")


@dataclass(frozen=True)
class Moves:
    """When the traffic of providers was moved away, and was all back: provider and Unix seconds, in order."""

    switched: tuple[tuple[str, float], ...]
    recovered: tuple[tuple[str, float], ...]
    away: frozenset[str]
    """Those whose traffic is not all back."""


def moves(heard: Iterable[Heard]) -> Moves:
    """What the events of switches say of each provider, whether they speak of all of it or of one of its models."""
    found = {each.body["event_id"]: each.body for each in heard if each.subject.startswith(MOVES)}
    out: dict[str, set[str]] = {}
    switched: list[tuple[str, float]] = []
    recovered: list[tuple[str, float]] = []
    for body in sorted(found.values(), key=lambda each: _unix(each["occurred_at"])):
        back = "switched_event_id" in body
        target: str = body["to_target" if back else "from_target"]
        provider, at = target.partition("/")[0], _unix(body["occurred_at"])
        targets = out.setdefault(provider, set())
        if not back:
            switched += [] if targets else [(provider, at)]
            targets.add(target)
        elif targets:
            targets.discard(target)
            recovered += [] if targets else [(provider, at)]
    return Moves(tuple(switched), tuple(recovered), frozenset(name for name, each in out.items() if each))


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
