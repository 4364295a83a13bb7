"""One model at one provider, and where the entries come from: the built-in file, the providers, a workspace's overrides."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from fairlead_models import prices
from fairlead_models.prices import Price
from fairlead_models.providers import ProviderSpec


class Pricing(BaseModel):
    """USD per million tokens, as people write prices; null = unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd_per_mtok: float | None = Field(default=None, ge=0)
    output_usd_per_mtok: float | None = Field(default=None, ge=0)
    cached_input_usd_per_mtok: float | None = Field(default=None, ge=0)
    cache_write_usd_per_mtok: float | None = Field(default=None, ge=0)
    long_context_from_tokens: int | None = None
    long_context: "Pricing | None" = None
    source: str | None = None
    """genai-prices, operator, or null when unknown."""

    def price(self) -> Price | None:
        """Per token, or None when input or output is unknown."""
        if self.input_usd_per_mtok is None or self.output_usd_per_mtok is None:
            return None
        return Price(
            self.input_usd_per_mtok / 1e6,
            self.output_usd_per_mtok / 1e6,
            None if self.cached_input_usd_per_mtok is None else self.cached_input_usd_per_mtok / 1e6,
            None if self.cache_write_usd_per_mtok is None else self.cache_write_usd_per_mtok / 1e6,
            self.long_context_from_tokens,
            self.long_context.price() if self.long_context else None,
        )

    @classmethod
    def of(cls, price: Price | None) -> "Pricing":
        """From a list price."""
        if price is None:
            return cls()
        return cls(
            input_usd_per_mtok=round(price.input * 1e6, 6),
            output_usd_per_mtok=round(price.output * 1e6, 6),
            cached_input_usd_per_mtok=None
            if price.cached_input is None
            else round(price.cached_input * 1e6, 6),
            cache_write_usd_per_mtok=None if price.cache_write is None else round(price.cache_write * 1e6, 6),
            long_context_from_tokens=price.long_from,
            long_context=cls.of(price.long) if price.long else None,
            source="genai-prices",
        )


class Entry(BaseModel):
    """One model at one provider. None = unknown."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str
    classes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    quality: float | None = None
    pricing: Pricing = Pricing()
    equivalent_models: tuple[str, ...] = ()
    """Targets (provider/model) that an operator declared equivalent, beside those of the same class."""
    verified: bool = False
    """A person has confirmed the mapping."""
    source: str = "built-in"


def built_in(at: datetime) -> list[Entry]:
    """The entries of the file that comes with this library, priced as of ``at``."""
    text = files("fairlead_models.catalog").joinpath("models.yaml").read_text(encoding="utf-8")
    found = []
    for row in yaml.safe_load(text)["models"]:
        price = prices.list_price(row["provider"], row["model"], at)
        window = row.get("context_window") or prices.context_window(row["provider"], row["model"])
        found.append(Entry.model_validate({**row, "pricing": Pricing.of(price), "context_window": window}))
    return found


def declared(specs: Iterable[ProviderSpec], at: datetime) -> list[Entry]:
    """Entries for the models that rows of the providers file say they serve."""
    return [
        Entry(
            provider=spec.name,
            model=model,
            context_window=prices.context_window(spec.name, model),
            pricing=Pricing.of(prices.list_price(spec.name, model, at)),
            source="providers file",
        )
        for spec in specs
        for model in spec.models
    ]


def overridden(entries: Iterable[Entry], rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """``entries`` with the rows of ``model_mapping`` laid over them; a row for an unknown model adds it."""
    found = {(entry.provider, entry.model): entry for entry in entries}
    for row in rows:
        key = (row["provider"], row["model_name"])
        before = found.get(key) or Entry(provider=row["provider"], model=row["model_name"], source="operator")
        abilities: Mapping[str, Any] = row.get("capabilities") or {}
        changes: dict[str, Any] = {
            "equivalent_models": tuple(row.get("equivalent_models") or ()),
            "verified": bool(row.get("verified")),
            "source": "operator",
        }
        for name in ("classes", "aliases", "context_window", "max_output_tokens", "quality"):
            if abilities.get(name) is not None:
                changes[name] = abilities[name]
        if abilities.get("capabilities") is not None:
            changes["capabilities"] = tuple(abilities["capabilities"])
        if row.get("pricing"):
            changes["pricing"] = {**before.pricing.model_dump(), **row["pricing"], "source": "operator"}
        found[key] = Entry.model_validate({**before.model_dump(), **changes})
    return list(found.values())
