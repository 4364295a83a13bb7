"""Rules that can never decide: their conditions are never true, or an earlier rule always takes what they would take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.expressions import Expression, evaluate

from fairlead_routing.domain.witnesses import Search, search

QUICK: Final = 64
"""Tried combinations in looking for that one request."""
MAX_SEARCHES: Final = 16
"""Pairs of rules that are looked at closely; most are told apart by one request that only the later one takes."""

MAX_TOGETHER: Final = 12
"""Earlier rules that are looked at as a whole."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An enabled rule at its place in the table, counted from 1."""

    name: str
    place: int
    conditions: Conditions

    @property
    def applies(self) -> Expression | None:
        """When it applies; None = always."""
        return self.conditions.applies

    def __str__(self) -> str:
        return f"rule '{self.name}' (place {self.place})"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong, for certain or as far as was tried."""

    text: str
    certain: bool


def never_true(rule: Placed) -> Finding | None:
    """The rule's conditions contradict each other."""
    if rule.applies is None:
        return None
    found = search(rule.applies)
    if found.witness is not None:
        return None
    what = f"{rule} can never apply: its conditions are never true together"
    return Finding(what if found.certain else f"{what}, {_as_far_as(found)}", found.certain)


def shadowed(rule: Placed, earlier: Sequence[Placed]) -> Finding | None:
    """An earlier rule takes all that this one would take."""
    witness = search(rule.applies, trials=QUICK).witness
    suspects = [each for each in earlier if _takes(each, rule, witness or {})]
    for each in suspects[:MAX_SEARCHES]:
        what = f"{rule} never decides: {each} before it applies whenever it would"
        if _implied(rule, each):
            return Finding(what, certain=True)
        found = search(rule.applies, [each.applies])
        if found.witness is None:
            return Finding(what if found.certain else f"{what}, {_as_far_as(found)}", found.certain)
    return None


def shadowed_together(rule: Placed, earlier: Sequence[Placed]) -> Finding | None:
    """No single earlier rule takes all that this one would take, but all of them together do, for certain."""
    if len(earlier) > MAX_TOGETHER:
        return None
    found = search(rule.applies, [each.applies for each in earlier])
    if found.witness is not None or not found.certain:
        return None
    names = ", ".join(str(each) for each in earlier)
    return Finding(f"{rule} never decides: {names} before it apply together whenever it would", certain=True)


def _takes(earlier: Placed, rule: Placed, witness: Mapping[str, Any]) -> bool:
    """False when a request is known that the earlier one does not take: it speaks of nothing else than the later one."""
    applies = earlier.applies
    if applies is None or rule.applies is None or not applies.facts <= witness.keys():
        return True
    return evaluate(applies, witness).true


def _implied(rule: Placed, earlier: Placed) -> bool:
    """The earlier rule asks for nothing that this one does not ask for in the same words."""
    mine = {expression.text for expression in rule.conditions.parts.values()}
    return {expression.text for expression in earlier.conditions.parts.values()} <= mine


def _as_far_as(found: Search) -> str:
    return f"as far as {found.tried} tried combinations of values tell"
