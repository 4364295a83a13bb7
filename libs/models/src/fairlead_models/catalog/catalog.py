"""Names to targets: provider/model, bare names, aliases, ``class:<name>``, ``auto``; and who can stand in for whom."""

import difflib
import math
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from fairlead_common.decisions.targets import Candidate, Target

from fairlead_models.catalog.entries import Entry
from fairlead_models.errors import UnknownModel
from fairlead_models.prices import Price

AUTO_CLASS = "balanced"
PROVIDER_ALIASES = {"gemini": "google"}
NEAR_QUALITY = 0.08
"""A model of no class can be stood in for by models whose quality differs by no more."""
SPECIAL = frozenset(("files", "audio", "logprobs", "reasoning"))
"""Capabilities that few requests need: who lacks them can stand in; the router holds each request's needs against it."""


@dataclass(frozen=True)
class Equivalent:
    """A stand-in, and why it is one."""

    target: Target
    reason: str


class Catalog:
    """Immutable; built anew when something changes.

    Args:
        entries: all models known.
        providers: names of the providers that can be called; entries of others are left out.
        token_ratios: input tokens that a target counts for one that is estimated; 1 where nothing is known. Candidates
            have their prices and windows in estimated tokens.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        providers: Iterable[str],
        token_ratios: Mapping[Target, float] = MappingProxyType({}),
    ) -> None:
        self.providers = frozenset(providers)
        self.token_ratios = token_ratios
        self.entries: dict[Target, Entry] = {
            Target(entry.provider, entry.model): entry
            for entry in entries
            if entry.provider in self.providers
        }
        self._prices = {target: entry.pricing.price() for target, entry in self.entries.items()}
        self.output_prices = {
            target: price.output
            for target, price in self._prices.items()
            if price is not None and price.output is not None
        }
        """USD per output token, where it is known."""
        self.qualities = {
            target: entry.quality for target, entry in self.entries.items() if entry.quality is not None
        }
        """0 to 1, where one is known."""
        self._names: dict[str, list[Target]] = {}
        for target, entry in self.entries.items():
            for name in (target.model, *entry.aliases, *(f"class:{each}" for each in entry.classes)):
                self._names.setdefault(name, []).append(target)
        chats = [target for target, entry in self.entries.items() if entry.embedding is None]
        self._names["auto"] = list(self._names.get(f"class:{AUTO_CLASS}", chats))
        self._candidates: dict[str, tuple[Candidate, ...]] = {}

    def resolve(self, name: str) -> list[Target]:
        """Targets ``name`` stands for, in order of preference.

        A name like ``openai/gpt-oss-120b`` is OpenAI's model if OpenAI is known to have it, else the one that another
        provider calls so, else whatever OpenAI makes of it.

        Raises:
            UnknownModel: nothing of that name; says what is near.
        """
        provider, slash, model = name.partition("/")
        provider = PROVIDER_ALIASES.get(provider, provider)
        served = bool(slash and model) and provider in self.providers
        if served and (
            theirs := [target for target in self._names.get(model, ()) if target.provider == provider]
        ):
            return theirs
        if found := self._names.get(name):
            return found
        if served:
            return [Target(provider, model)]
        raise UnknownModel(name, self._near(name))

    def _near(self, name: str) -> tuple[str, ...]:
        known = [*self._names, *(str(target) for target in self.entries)]
        return tuple(difflib.get_close_matches(name, known, n=3, cutoff=0.6))

    def meant(self, name: str) -> str:
        """What a name that is neither a provider, a class nor a target of this catalog may stand for, in words."""
        classes = {f"class:{each}" for entry in self.entries.values() for each in entry.classes}
        known = sorted({*self.providers, *classes, *map(str, self.entries)})
        near = difflib.get_close_matches(name, known, n=3)
        return f"did you mean {', '.join(near)}?" if near else "GET /api/providers/models lists what there is"

    def equivalents(self, target: Target) -> list[Equivalent]:
        """Who can stand in for ``target``: declared ones, then those that share a class, its first class first.

        A model of no class has the members of classes whose quality is near and who can do what it can, nearest first.
        """
        entry = self.entries.get(target)
        if entry is None:
            return []
        found: dict[Target, str] = {}
        for name in entry.equivalent_models:
            provider, _, model = name.partition("/")
            if provider in self.providers:
                found.setdefault(Target(provider, model), f"declared equivalent by {_declarer(entry)}")
        for each in entry.classes:
            for other in self._names.get(f"class:{each}", ()):
                found.setdefault(other, f"same class: {each}")
        if not entry.classes:
            found |= {other: found.get(other, why) for other, why in self._alike(target, entry).items()}
        found.pop(target, None)
        return [Equivalent(other, reason) for other, reason in found.items()]

    def _alike(self, target: Target, entry: Entry) -> dict[Target, str]:
        if entry.quality is None or entry.embedding is not None:
            return {}
        near: dict[Target, float] = {}
        for other, known in self.entries.items():
            if known.classes and known.quality is not None and other.provider != target.provider:
                gap = abs(known.quality - entry.quality)
                if gap <= NEAR_QUALITY and set(entry.capabilities or ()) - SPECIAL <= set(
                    known.capabilities or ()
                ):
                    near[other] = gap
        return {
            other: f"similar quality: {self.entries[other].quality:g}, {target.model} {entry.quality:g}"
            for other in sorted(near, key=lambda each: (near[each], str(each)))
        }

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        """What ``name`` resolves to, then its stand-ins. Raises UnknownModel. Remembered per name."""
        known = self._candidates.get(name)
        if known is not None:
            return known
        named = self.resolve(name)
        others: dict[Target, None] = {}
        for target in named:
            others.update(dict.fromkeys(each.target for each in self.equivalents(target)))
        found = tuple(self._candidate(target, named=True) for target in named)
        found += tuple(self._candidate(target, named=False) for target in others if target not in named)
        if len(self._candidates) < 2048:
            self._candidates[name] = found
        return found

    def _candidate(self, target: Target, *, named: bool) -> Candidate:
        entry, price = self.entries.get(target), self.price(target)
        if entry is None:
            return Candidate(target, named)
        ratio, window = self.token_ratios.get(target, 1.0), entry.context_window
        input_price, output_price = self.estimated_price(target)
        cached = price.cached_input if price else None
        return Candidate(
            target,
            named,
            None if entry.capabilities is None else frozenset(entry.capabilities),
            None if window is None else round(window / ratio),
            entry.max_output_tokens,
            input_price,
            output_price,
            entry.quality,
            None if cached is None else cached * ratio,
        )

    @cached_property
    def cheapest(self) -> Mapping[str, Target]:
        """Provider to its chat model to be tried out: the lowest known output price, members of a class first."""
        found: dict[str, Target] = {}
        for target, entry in self.entries.items():
            if entry.embedding is None:
                known = found.get(target.provider)
                if known is None or self._probe_rank(target) < self._probe_rank(known):
                    found[target.provider] = target
        return found

    def _probe_rank(self, target: Target) -> tuple[bool, float]:
        return not self.entries[target].classes, self.output_prices.get(target, math.inf)

    def with_own(self, entries: Iterable[Entry]) -> "Catalog":
        """This catalog with what a workspace says of some models itself."""
        own = {Target(entry.provider, entry.model): entry for entry in entries}
        return Catalog({**self.entries, **own}.values(), self.providers, self.token_ratios)

    def corrected(self, token_ratios: Mapping[Target, float]) -> "Catalog":
        """The same catalog with other ratios."""
        found = copy(self)
        found.token_ratios, found._candidates = token_ratios, {}
        return found

    def price(self, target: Target) -> Price | None:
        """USD per token, or None = unknown."""
        return self._prices.get(target)

    def estimated_price(self, target: Target) -> tuple[float | None, float | None]:
        """USD per estimated input token and per output token; None = unknown."""
        price = self.price(target)
        if price is None:
            return None, None
        return price.input * self.token_ratios.get(target, 1.0), price.output

    def names(self) -> list[str]:
        """What ``GET /v1/models`` lists: every target, then classes and ``auto``."""
        classes = sorted(name for name in self._names if name.startswith("class:"))
        return [*(str(target) for target in self.entries), *classes, "auto"]

    def to_snapshot(self) -> dict[str, Any]:
        """JSON-able form for the ``catalog`` bucket."""
        rows = (entry.model_dump(mode="json", exclude_defaults=True) for entry in self.entries.values())
        return {"providers": sorted(self.providers), "models": list(rows)}

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any]) -> "Catalog":
        """The catalog as the edge that published it has it. Raises ValueError: not such a snapshot."""
        entries = entries_of(snapshot)
        return cls(entries, snapshot.get("providers") or {entry.provider for entry in entries})


def _declarer(entry: Entry) -> str:
    own = entry.sources.get("equivalent_models") == "workspace"
    return "the workspace" if own else "an operator"


def entries_of(snapshot: Mapping[str, Any]) -> list[Entry]:
    """Entries of ``Catalog.to_snapshot()``.

    Raises:
        ValueError: not such a snapshot.
    """
    return [Entry.model_validate(each) for each in snapshot["models"]]
