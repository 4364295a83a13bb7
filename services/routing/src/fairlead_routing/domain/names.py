"""Names in a rule that nothing is called by: providers, models and classes, with what may have been meant."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from fairlead_common.decisions.conditions import Conditions
from fairlead_models.catalog.catalog import PROVIDER_ALIASES, Catalog
from fairlead_models.errors import UnknownModel

BY_PROVIDER: Final = ("health", "in_flight")
BY_TARGET: Final = ("p95_ms", "p50_ms", "ttft_ms", "error_rate", "quality", "price", "headroom")
SHOWN: Final = 12
_ASKED: Final = re.compile(rf"""\b({"|".join((*BY_PROVIDER, *BY_TARGET))})\s*\[\s*(['"])(.*?)\2\s*\]""")


def unknown_names(conditions: Conditions, catalog: Catalog) -> list[str]:
    """What is wrong with the names in ``targets``, ``providers`` and ``exclude_providers``, one sentence each."""
    return [
        *_targets(conditions, catalog),
        *_providers("providers", conditions.providers, catalog),
        *_providers("exclude_providers", conditions.exclude_providers, catalog),
    ]


def doubtful_names(conditions: Conditions, catalog: Catalog) -> list[str]:
    """Keys by which ``when`` asks for facts that will never be there."""
    expression = conditions.parts.get("when")
    found = []
    for fact, _, key in _ASKED.findall(expression.text if expression is not None else ""):
        known = sorted(catalog.providers) if fact in BY_PROVIDER else [str(each) for each in catalog.entries]
        if key not in known:
            what = "provider" if fact in BY_PROVIDER else "target (provider/model)"
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.6)
            found.append(f"conditions.when: {fact} has no {what} '{key}'{_meant(near, known)}")
    return found


def _targets(conditions: Conditions, catalog: Catalog) -> Iterator[str]:
    for position, share in enumerate(conditions.targets):
        where = f"conditions.targets[{position}]: there is no model or class '{share.name}'"
        try:
            found = catalog.resolve(share.name)
        except UnknownModel as error:
            yield f"{where}{_meant(error.near, catalog.names())}"
            continue
        provider = found[0].provider
        theirs = [str(each) for each in catalog.entries if each.provider == provider]
        if theirs and found[0] not in catalog.entries:
            near = difflib.get_close_matches(share.name, theirs, n=3, cutoff=0.6)
            yield f"{where} in the catalog{_meant(near, theirs)}; a model that is not in it can be added to it"


def _providers(key: str, names: frozenset[str], catalog: Catalog) -> Iterator[str]:
    known = sorted(catalog.providers)
    for name in sorted(names - catalog.providers):
        alias = PROVIDER_ALIASES.get(name)
        near = [alias] if alias else difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        yield f"conditions.{key}: there is no provider '{name}'{_meant(near, known)}"


def _meant(near: Sequence[str], known: Sequence[str]) -> str:
    if near:
        return f"; did you mean {', '.join(near)}?"
    more = f", and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"; there are {', '.join(known[:SHOWN])}{more}"
