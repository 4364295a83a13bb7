"""What differs between two versions of a workspace's rules."""

from collections.abc import Iterable
from typing import Final

from fairlead_common.operations.routing import RuleDiff, RuleThen

FIELDS: Final = ("name", "strategy", "conditions", "priority", "enabled")


def differences(before: Iterable[RuleThen], after: Iterable[RuleThen]) -> list[RuleDiff]:
    """Rules that were added, removed or changed, by id."""
    old, new = {rule.id: rule for rule in before}, {rule.id: rule for rule in after}
    found = []
    for rule_id in sorted({*old, *new}):
        one, other = old.get(rule_id), new.get(rule_id)
        differing = [name for name in FIELDS if _value(one, name) != _value(other, name)]
        if (named := other or one) is not None and differing:
            found.append(
                RuleDiff(
                    rule_id=rule_id,
                    name=named.name,
                    before=_fields(one, differing),
                    after=_fields(other, differing),
                )
            )
    return found


def _value(rule: RuleThen | None, name: str) -> object:
    return None if rule is None else getattr(rule, name)


def _fields(rule: RuleThen | None, names: Iterable[str]) -> dict[str, object] | None:
    return None if rule is None else {name: getattr(rule, name) for name in names}
