"""Prices as people write them: USD per million tokens, for the catalog, the control API and operators' overrides."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from fairlead_models import prices
from fairlead_models.prices import Hours, Price

Usd = Annotated[float | None, Field(ge=0)]
MINUTES_PER_DAY: Final = 24 * 60


class HourPricing(BaseModel):
    """Another tariff at certain hours (UTC); ``until`` before ``since`` = across midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since_minute: int = Field(ge=0, lt=MINUTES_PER_DAY)
    """Minutes after midnight."""
    until_minute: int = Field(ge=0, lt=MINUTES_PER_DAY)
    pricing: "Pricing"


class Pricing(BaseModel):
    """USD per million tokens; null = unknown. A null price of a special kind of token = billed as its general kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd_per_mtok: Usd = None
    output_usd_per_mtok: Usd = None
    cached_input_usd_per_mtok: Usd = None
    cache_write_usd_per_mtok: Usd = None
    long_cache_write_usd_per_mtok: Usd = None
    """Written to the cache for the longer of two lifetimes."""
    reasoning_usd_per_mtok: Usd = None
    image_input_usd_per_mtok: Usd = None
    audio_input_usd_per_mtok: Usd = None
    cached_audio_input_usd_per_mtok: Usd = None
    long_context_from_tokens: int | None = Field(default=None, ge=0)
    """Calls with more input than this are billed at ``long_context`` throughout."""
    long_context: "Pricing | None" = None
    service_tiers: dict[str, "Pricing"] | None = None
    """Tariffs by the service tier that the answer names (flex, priority, fast, batch)."""
    hours: tuple[HourPricing, ...] | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    """The first day on which the prices do not hold any more."""
    source: str | None = None
    """genai-prices, or who changed some of them: operator or workspace; null when unknown."""

    def price(self) -> Price | None:
        """Per token, or None when what goes in has no known price."""
        if self.input_usd_per_mtok is None:
            return None
        tiers = {name: each.price() for name, each in (self.service_tiers or {}).items()}
        hours = ((each, each.pricing.price()) for each in self.hours or ())
        return Price(
            self.input_usd_per_mtok / 1e6,
            _per_token(self.output_usd_per_mtok),
            _per_token(self.cached_input_usd_per_mtok),
            _per_token(self.cache_write_usd_per_mtok),
            self.long_context_from_tokens,
            self.long_context.price() if self.long_context else None,
            _per_token(self.long_cache_write_usd_per_mtok),
            _per_token(self.reasoning_usd_per_mtok),
            _per_token(self.image_input_usd_per_mtok),
            _per_token(self.audio_input_usd_per_mtok),
            _per_token(self.cached_audio_input_usd_per_mtok),
            {name: price for name, price in tiers.items() if price is not None},
            tuple(Hours(each.since_minute, each.until_minute, price) for each, price in hours if price),
        )

    def holds(self, at: datetime) -> bool:
        """The prices are valid on the day of ``at``."""
        day = at.date()
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day < self.valid_until
        )

    def changed(self, declared: Mapping[str, Any], source: str = "operator") -> "Pricing":
        """These prices with those of ``source`` laid over them; what is left out stays. The days are its alone."""
        said = {name: value for name, value in declared.items() if value is not None}
        standing = self.model_dump(exclude={"valid_from", "valid_until"})
        return Pricing.model_validate({**standing, **said, "source": source})

    @classmethod
    def of(cls, price: Price | None) -> "Pricing":
        """From a price per token."""
        if price is None:
            return cls()
        return cls(
            input_usd_per_mtok=_per_mtok(price.input),
            output_usd_per_mtok=_per_mtok(price.output),
            cached_input_usd_per_mtok=_per_mtok(price.cached_input),
            cache_write_usd_per_mtok=_per_mtok(price.cache_write),
            long_cache_write_usd_per_mtok=_per_mtok(price.long_cache_write),
            reasoning_usd_per_mtok=_per_mtok(price.reasoning),
            image_input_usd_per_mtok=_per_mtok(price.image_input),
            audio_input_usd_per_mtok=_per_mtok(price.audio_input),
            cached_audio_input_usd_per_mtok=_per_mtok(price.cached_audio_input),
            long_context_from_tokens=price.long_from,
            long_context=cls.of(price.long) if price.long else None,
            service_tiers={name: cls.of(each) for name, each in price.tiers.items()} or None,
            hours=tuple(
                HourPricing(
                    since_minute=each.since_minute, until_minute=each.until_minute, pricing=cls.of(each.price)
                )
                for each in price.hours
            )
            or None,
        )

    @classmethod
    def listed(cls, provider: str, model: str, at: datetime) -> "Pricing":
        """The vendor's list price at a time; all null when it is unknown."""
        price = prices.list_price(provider, model, at)
        if price is None:
            return cls()
        since, until = prices.price_period(provider, model, at)
        known = {"valid_from": since, "valid_until": until, "source": "genai-prices"}
        return cls.of(price).model_copy(update=known)


def _per_token(usd_per_mtok: float | None) -> float | None:
    return None if usd_per_mtok is None else usd_per_mtok / 1e6


def _per_mtok(usd: float | None) -> float | None:
    return None if usd is None else round(usd * 1e6, 6)
