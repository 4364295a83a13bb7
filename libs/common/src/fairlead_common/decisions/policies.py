"""How a workspace's requests fail over: which rule of its policy applies, who goes first, and who stands in.

A rule with a primary sends only there and down its chain; one with a chain alone keeps what the caller or the routing
rule named, and replaces the equivalents. Names are a provider, ``provider/model``, or ``class:<name>``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fairlead_common.decisions.conditions import WHEN, ConditionError, compile_conditions
from fairlead_common.decisions.expressions import FirstMatch
from fairlead_common.decisions.facts import facts_of
from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.targets import Entrant
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot

UNKNOWN_HERE = frozenset(("request.headers", "request.task", "request.language"))
"""Facts that are told only to routing rules that ask."""

Lookup = Callable[[str], Sequence[Entrant]]
"""The candidates that a name stands for. Raises LookupError for an unknown name."""


@dataclass(frozen=True)
class CompiledPolicy:
    """A policy whose rules are ready to be matched."""

    snapshot: PolicySnapshot
    _matches: Mapping[str, FirstMatch] = field(default_factory=dict, compare=False, repr=False)

    def rule_for(
        self, route: str | None, request: RouteRequest, view: FleetView, now: float
    ) -> PolicyRule | None:
        """The first enabled rule that applies to a request that the routing rule ``route`` decides."""
        if not self.snapshot.enabled:
            return None
        for rule in self.snapshot.rules:
            if not rule.enabled or (rule.routes and route not in rule.routes):
                continue
            match = self._matches[rule.name]
            if match.first(facts_of(match.facts, request, view, now)) is not None:
                return rule
        return None


def compile_policy(snapshot: PolicySnapshot) -> CompiledPolicy:
    """Check the conditions of the rules.

    Raises:
        ConditionError: names the rule and the condition.
    """
    return CompiledPolicy(snapshot, {rule.name: _match(rule) for rule in snapshot.rules})


def _match(rule: PolicyRule) -> FirstMatch:
    where = f"rule '{rule.name}'"
    choosing = sorted(set(rule.conditions) - set(WHEN))
    if choosing:
        known = ", ".join(WHEN)
        raise ConditionError(f"{where}: conditions.{choosing[0]} is not a condition here; known are {known}")
    try:
        found = FirstMatch([compile_conditions(rule.conditions).applies])
    except ConditionError as error:
        raise ConditionError(f"{where}: {error}") from error
    if lacking := sorted(found.facts & UNKNOWN_HERE):
        raise ConditionError(
            f"{where}: {lacking[0]} is known to routing rules only; name such a rule in routes"
        )
    return found


def candidates(
    rule: PolicyRule, named: Sequence[Entrant], stand_ins: Sequence[Entrant], lookup: Lookup
) -> tuple[list[Entrant], list[Entrant]]:
    """(who goes first, who stands in), each target once. Names that mean nothing any more are passed over."""
    around = [*named, *stand_ins]
    first = list(named) if rule.primary is None else _standing_for(rule.primary, around, lookup)
    first = first or list(named)
    if not rule.chain:
        return first, [each for each in around if each.target not in {other.target for other in first}]
    seen = {each.target for each in first}
    then: list[Entrant] = []
    for name in rule.chain:
        for entrant in _standing_for(name, around, lookup):
            if entrant.target not in seen:
                seen.add(entrant.target)
                then.append(entrant)
    return first, then


def _standing_for(name: str, around: Iterable[Entrant], lookup: Lookup) -> list[Entrant]:
    """A provider's candidates are those among the request's own and their equivalents."""
    if "/" not in name and not name.startswith("class:"):
        return [each for each in around if each.target.provider == name]
    try:
        return list(lookup(name))
    except LookupError:
        return []
