"""Which providers somebody counts on by name, although nothing may go to them for days: stand-ins above all."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.routes import RoutesSnapshot

CLASS: Final = "class:"


def named(routes: Iterable[RoutesSnapshot], policies: Iterable[PolicySnapshot]) -> frozenset[str]:
    """Providers that a routing rule or an enabled failover policy of any workspace names, alone or with a model."""
    return frozenset([*_in_rules(routes), *_in_policies(policies)])


def _in_rules(routes: Iterable[RoutesSnapshot]) -> Iterator[str]:
    for rule in (rule for each in routes for rule in each.rules):
        yield from map(str, _listed(rule.conditions.get("providers")))
        for target in _listed(rule.conditions.get("targets")):
            yield from _providers(str(target["target"] if isinstance(target, dict) else target))


def _in_policies(policies: Iterable[PolicySnapshot]) -> Iterator[str]:
    for policy in policies:
        if not policy.enabled:
            continue
        yield from policy.fallback_providers
        if policy.primary_provider is not None:
            yield policy.primary_provider
        for rule in policy.rules:
            if rule.enabled:
                for target in (*rule.chain, *([rule.primary] if rule.primary else [])):
                    yield from _providers(target)


def _providers(target: str) -> Iterator[str]:
    """A provider by itself, or that of a model; the members of a class are not meant by name."""
    if not target.startswith(CLASS):
        yield target.partition("/")[0]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
