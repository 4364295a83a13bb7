"""One model at one provider, and where the entries come from: the built-in file, the providers, a workspace's overrides."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from fairlead_models import prices
from fairlead_models.catalog.file import Effort, Embedding, ModelRow, Sampling, built_in_file
from fairlead_models.catalog.pricing import Pricing
from fairlead_models.catalog.profiles import profile_of
from fairlead_models.providers import ProviderSpec

__all__ = ["DECLARABLE", "Declarer", "Entry", "Pricing", "built_in", "declared", "overridden"]

Declarer = Literal["operator", "workspace"]
Source = Literal["built-in", "genai-prices", "operator", "workspace"]
"""built-in = the catalog file."""

DECLARABLE: Final = (
    "classes",
    "aliases",
    "capabilities",
    "input_modalities",
    "output_modalities",
    "languages",
    "context_window",
    "max_output_tokens",
    "quality",
    "released",
    "deprecated_at",
    "embedding",
    "sampling",
    "reasoning_efforts",
)
"""What can be declared of a model, beside its prices and its stand-ins."""

COMPUTED: Final = frozenset(
    ("input_modalities", "output_modalities", "context_window", "sampling", "reasoning_efforts")
)
"""Where a null of the file does not mean unknown."""


class Entry(BaseModel):
    """One model at one provider. None = unknown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str
    classes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None
    input_modalities: tuple[str, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    """ISO 639-1."""
    context_window: int | None = None
    max_output_tokens: int | None = None
    quality: float | None = None
    released: date | None = None
    deprecated_at: date | None = None
    """The day from which the vendor does not promise it any more."""
    embedding: Embedding | None = None
    sampling: Sampling | None = None
    """Whether temperature and top_p are accepted: always, only while the model does not reason, or never."""
    reasoning_efforts: tuple[Effort, ...] | None = None
    """Efforts that can be asked for; empty = the model does not reason."""
    pricing: Pricing = Pricing()
    equivalent_models: tuple[str, ...] = ()
    """Targets (provider/model) that were declared equivalent, beside those of the same class."""
    verified: bool = False
    """A person has confirmed the mapping."""
    reported_wrong: str | None = None
    """What somebody says is wrong with it; None once a person has confirmed it."""
    source: str = "built-in"
    """Who described it last: built-in, providers file, operator, workspace."""
    sources: dict[str, Source] = {}
    """Of values that are not from where others of their kind are, by their names (``pricing.input_usd_per_mtok``)."""

    def value_sources(self) -> dict[str, Source]:
        """Where each known value comes from, by its name."""
        values = {name: getattr(self, name) for name in (*DECLARABLE, "equivalent_models")}
        prices_ = self.pricing.model_dump(exclude={"source", "valid_from", "valid_until"})
        found: dict[str, Source] = {
            name: "built-in" for name, value in values.items() if value not in (None, ())
        }
        found |= {f"pricing.{name}": "genai-prices" for name, usd in prices_.items() if usd is not None}
        return found | self.sources

    def retired(self, at: datetime) -> bool:
        """The vendor's promise has ended at ``at``."""
        return self.deprecated_at is not None and self.deprecated_at <= at.date()


def built_in(at: datetime) -> list[Entry]:
    """The entries of the file that comes with this library, priced as of ``at``; who is retired by then is in no class."""
    return [_entry(row, at) for row in built_in_file().models]


def _entry(row: ModelRow, at: datetime) -> Entry:
    profile = profile_of(row.provider, row.model)
    listed_window = None if row.context_window else prices.context_window(row.provider, row.model)
    found = Entry(
        **row.model_dump(include=set(DECLARABLE) - COMPUTED),
        provider=row.provider,
        model=row.model,
        input_modalities=row.takes(),
        output_modalities=row.makes(),
        sampling=profile.sampling,
        reasoning_efforts=profile.reasoning_efforts,
        context_window=row.context_window or listed_window,
        pricing=Pricing.listed(row.provider, row.model, at),
        sources=_of_price_package(listed_window),
    )
    return _in_service(found, at)


def _in_service(entry: Entry, at: datetime) -> Entry:
    """Without classes when it is retired, so that no class and no stand-in leads to it."""
    return entry.model_copy(update={"classes": ()}) if entry.retired(at) else entry


def declared(specs: Iterable[ProviderSpec], at: datetime) -> list[Entry]:
    """Entries for the models that rows of the providers file say they serve.

    What is built in of a model counts also at another address of its vendor (Azure, a second account); its price does not.
    """
    known = {(entry.provider, entry.model): entry for entry in built_in(at)}
    return [
        known.get((spec.name, model))
        or _elsewhere(known.get((spec.protocol().name, model)), spec.name, model, at)
        for spec in specs
        for model in spec.models
    ]


def _elsewhere(like: Entry | None, provider: str, model: str, at: datetime) -> Entry:
    listed_window = prices.context_window(provider, model)
    found = like or Entry(
        provider=provider,
        model=model,
        context_window=listed_window,
        sources=_of_price_package(listed_window),
    )
    return found.model_copy(
        update={
            "provider": provider,
            "aliases": (),
            "pricing": Pricing.listed(provider, model, at),
            "source": "providers file",
        }
    )


def _of_price_package(context_window: int | None) -> dict[str, Source]:
    return {} if context_window is None else {"context_window": "genai-prices"}


def overridden(
    entries: Iterable[Entry],
    rows: Iterable[Mapping[str, Any]],
    at: datetime | None = None,
    by: Declarer = "operator",
) -> list[Entry]:
    """``entries`` with the rows of ``model_mapping`` laid over them; a row for an unknown model adds it.

    Args:
        entries: what is built in and what the providers file says; for a workspace, also what operators declared.
        rows: what was declared.
        at: prices that were limited to other days do not count; None = now.
        by: who declared it.

    Raises:
        ValueError: a row holds a value that an entry cannot have.
    """
    now = at or datetime.now(UTC)
    found = {(entry.provider, entry.model): entry for entry in entries}
    for row in rows:
        key = (row["provider"], row["model_name"])
        before = found.get(key) or Entry(provider=row["provider"], model=row["model_name"], source=by)
        changed = Entry.model_validate({**before.model_dump(), **_changes(before, row, now, by)})
        found[key] = _in_service(changed, now)
    return list(found.values())


def _changes(before: Entry, row: Mapping[str, Any], at: datetime, by: Declarer) -> dict[str, Any]:
    abilities: Mapping[str, Any] = row.get("capabilities") or {}
    changes: dict[str, Any] = {
        name: abilities[name] for name in DECLARABLE if abilities.get(name) is not None
    }
    if row.get("equivalent_models"):
        changes["equivalent_models"] = tuple(row["equivalent_models"])
    said = list(changes)
    if row.get("pricing"):
        pricing = before.pricing.changed(row["pricing"], by)
        if pricing.holds(at):
            changes["pricing"] = pricing.model_dump()
            said += [f"pricing.{name}" for name, value in row["pricing"].items() if value is not None]
    looked_at = {
        "verified": bool(row.get("verified")),
        "reported_wrong": row.get("reported_wrong"),
        "source": by,
        "sources": before.sources | dict.fromkeys(said, by),
    }
    return changes | looked_at
