"""What an encoder must know of a model beyond its wire: the row of the catalog file over its family's traits."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from fairlead_models.catalog.file import Effort, ModelRow, Sampling, Traits, built_in_file

EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All efforts, from least to most."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One model as its endpoint sees it; see ``Traits``. What is unknown is open."""

    capabilities: frozenset[str] | None = None
    max_output_tokens: int | None = None
    sampling: Sampling = "free"
    reasoning_efforts: tuple[Effort, ...] | None = None
    reasoning_default: Effort | None = None
    thinking: str | None = None
    thinking_off: bool = True
    api: str = "chat"
    forced_tool_choice: bool = True
    stop: bool = True
    penalties: bool = True
    prefill: bool = True
    system_anywhere: bool = False
    schema_with_tools: bool = True
    sealed_calls: bool = False
    temperature_or_top_p: bool = False

    def lacks(self, capability: str) -> bool:
        """The model is known not to have this capability."""
        return self.capabilities is not None and capability not in self.capabilities


@lru_cache(maxsize=4096)
def profile_of(provider: str, model: str) -> Profile:
    """What is known of ``model``; a model that neither a row nor a family names is open in everything."""
    row = _rows().get((provider, model))
    traits: dict[str, object] = {}
    for found in (_family(provider, model), row):
        if found is not None:
            known = found.model_dump(include=set(Traits.model_fields), exclude_none=True)
            traits.update(known)
    if row is not None:
        traits["capabilities"] = frozenset(row.capabilities)
        traits["max_output_tokens"] = row.max_output_tokens
    return Profile(**traits)  # type: ignore[arg-type]  # the names and types are those of Traits


@cache
def _rows() -> dict[tuple[str, str], ModelRow]:
    return {(row.provider, name): row for row in built_in_file().models for name in (row.model, *row.aliases)}


def forget() -> None:
    """The catalog file has changed: what was read from it is read anew."""
    profile_of.cache_clear()
    _rows.cache_clear()


def _family(provider: str, model: str) -> Traits | None:
    for family in built_in_file().families:
        if family.provider == provider and re.fullmatch(family.pattern, model):
            return family
    return None


def nearest_effort(wanted: str, offered: tuple[Effort, ...]) -> Effort | None:
    """The offered effort nearest to ``wanted``, the lower of two; None when nothing is offered or the word is unknown.

    ``none`` stays apart from the others: thinking is switched off only by who asks for it.
    """
    if wanted not in EFFORTS:
        return None
    for each in offered:
        if each == wanted:
            return each
    thinking = tuple(each for each in offered if each != "none") or offered
    place = EFFORTS.index(wanted)
    return min(
        thinking,
        key=lambda each: (abs(EFFORTS.index(each) - place), EFFORTS.index(each)),
        default=None,
    )
