"""Finding models by what they can do, what they cost and what they are called. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from fairlead_models.catalog.entries import Entry


@dataclass(frozen=True, slots=True)
class Filters:
    """What a model must be; None or empty = anything. What is unknown of a model does not pass a filter on it."""

    provider: str | None = None
    capabilities: tuple[str, ...] = ()
    """All of them."""
    class_: str | None = None
    text: str | None = None
    """Part of ``provider/model`` or of an alias, in any case."""
    max_input_usd_per_mtok: float | None = None
    max_output_usd_per_mtok: float | None = None
    min_context_window: int | None = None
    min_output_tokens: int | None = None
    input_modality: str | None = None
    output_modality: str | None = None
    language: str | None = None
    """ISO 639-1; who names no languages does not pass."""
    min_quality: float | None = None
    verified: bool | None = None
    available_on: date | None = None
    """Released by this day and not retired on it; a model without these dates passes."""


def search(entries: Iterable[Entry], filters: Filters) -> list[Entry]:
    """Entries that pass, in their order."""
    return [
        entry
        for entry in entries
        if _is(entry, filters)
        and _can(entry, filters)
        and _costs(entry, filters)
        and _available(entry, filters.available_on)
    ]


def _is(entry: Entry, wanted: Filters) -> bool:
    if wanted.text is not None:
        names = (f"{entry.provider}/{entry.model}", *entry.aliases)
        if not any(wanted.text.lower() in name.lower() for name in names):
            return False
    return (
        (wanted.provider is None or entry.provider == wanted.provider)
        and (wanted.class_ is None or wanted.class_ in entry.classes)
        and (wanted.verified is None or entry.verified == wanted.verified)
        and _at_least(entry.quality, wanted.min_quality)
    )


def _can(entry: Entry, wanted: Filters) -> bool:
    return (
        set(wanted.capabilities) <= set(entry.capabilities or ())
        and _at_least(entry.context_window, wanted.min_context_window)
        and _at_least(entry.max_output_tokens, wanted.min_output_tokens)
        and (wanted.input_modality is None or wanted.input_modality in (entry.input_modalities or ()))
        and (wanted.output_modality is None or wanted.output_modality in (entry.output_modalities or ()))
        and (wanted.language is None or wanted.language in (entry.languages or ()))
    )


def _costs(entry: Entry, wanted: Filters) -> bool:
    pricing = entry.pricing
    return _at_most(pricing.input_usd_per_mtok, wanted.max_input_usd_per_mtok) and _at_most(
        pricing.output_usd_per_mtok, wanted.max_output_usd_per_mtok
    )


def _available(entry: Entry, day: date | None) -> bool:
    if day is None:
        return True
    return (entry.released is None or entry.released <= day) and (
        entry.deprecated_at is None or day < entry.deprecated_at
    )


def _at_least(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value >= limit)


def _at_most(value: float | None, limit: float | None) -> bool:
    return limit is None or (value is not None and value <= limit)
