"""Is a failover configuration usable? Names are held against the catalog; what can never work is refused with its place."""

from collections.abc import Sequence

from fairlead_common.decisions.conditions import ConditionError
from fairlead_common.decisions.policies import compile_policy
from fairlead_common.decisions.targets import Target
from fairlead_common.operations.failover import FailoverConfigIn, PolicyRuleIn
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.errors import UnknownModel


class Refused(ValueError):
    """The message says what is wrong, where, and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(config: FailoverConfigIn, catalog: Catalog, providers: frozenset[str]) -> list[str]:
    """Warnings about a usable configuration. Raises Refused."""
    _check_providers(config, providers)
    names = [rule.name for rule in config.rules]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise Refused("duplicate_rule", f"rules[{position}].name: there is a rule '{name}' already")
    try:
        compile_policy(PolicySnapshot(workspace_id=0, version=0, rules=tuple(config.rules)))
    except ConditionError as error:
        raise Refused("bad_condition", str(error)) from error
    warnings = []
    for position, rule in enumerate(config.rules):
        warnings += _check_rule(rule, f"rules[{position}]", catalog, providers)
    return warnings


def _check_providers(config: FailoverConfigIn, providers: frozenset[str]) -> None:
    for name in (config.primary_provider, *config.fallback_providers):
        if name is not None and name not in providers:
            known = ", ".join(sorted(providers))
            raise Refused("unknown_provider", f"provider '{name}' is not configured; configured are {known}")
    if len(set(config.fallback_providers)) != len(config.fallback_providers):
        raise Refused("duplicate_provider", "fallback_providers names a provider twice")
    if config.primary_provider in config.fallback_providers:
        text = f"fallback_providers leads back to the primary '{config.primary_provider}'; leave it out there"
        raise Refused("cyclic_chain", text)


def _check_rule(rule: PolicyRuleIn, place: str, catalog: Catalog, providers: frozenset[str]) -> list[str]:
    if rule.primary is not None and not rule.chain:
        text = f"{place}.chain is empty; name who stands in for '{rule.primary}', for example class:balanced"
        raise Refused("empty_chain", text)
    first = [] if rule.primary is None else _targets(rule.primary, f"{place}.primary", catalog, providers)
    seen, warnings = set(first), []
    for position, name in enumerate(rule.chain):
        here = f"{place}.chain[{position}]"
        targets = _targets(name, here, catalog, providers)
        if seen.issuperset(targets):
            raise Refused(
                "cyclic_chain", f"{here}: '{name}' leads back to who was tried before it; leave it out"
            )
        seen.update(targets)
        warnings += _lacking(here, first, targets, catalog)
    return warnings


def _targets(name: str, place: str, catalog: Catalog, providers: frozenset[str]) -> Sequence[Target]:
    """What a name stands for in the catalog. Raises Refused when that is nothing."""
    if "/" not in name and not name.startswith("class:"):
        found = [target for target in catalog.entries if target.provider == name]
        if name not in providers or not found:
            text = (
                f"{place}: provider '{name}' is not configured; configured are {', '.join(sorted(providers))}"
            )
            raise Refused("unknown_provider", text)
        return found
    try:
        found = [target for target in catalog.resolve(name) if target in catalog.entries]
    except UnknownModel:
        found = []
    if not found:
        raise Refused("unknown_model", f"{place}: '{name}' is not in the catalog; {catalog.meant(name)}")
    return found


def _lacking(place: str, first: Sequence[Target], then: Sequence[Target], catalog: Catalog) -> list[str]:
    """Capabilities that every primary has and a member of the chain has not; unknown ones are not held against it."""
    wanted = [found for target in first if (found := _capabilities(target, catalog)) is not None]
    if not wanted:
        return []
    common = frozenset.intersection(*wanted)
    alike: dict[tuple[str, ...], list[str]] = {}
    for target in then:
        if (found := _capabilities(target, catalog)) is not None and (lacks := common - found):
            alike.setdefault(tuple(sorted(lacks)), []).append(str(target))
    return [
        f"{place}: {', '.join(who)} {'lacks' if len(who) == 1 else 'lack'} {', '.join(lacks)}, which the primary has;"
        f" requests that need it pass {'it' if len(who) == 1 else 'them'} over"
        for lacks, who in alike.items()
    ]


def _capabilities(target: Target, catalog: Catalog) -> frozenset[str] | None:
    return catalog.candidates(str(target))[0].capabilities
