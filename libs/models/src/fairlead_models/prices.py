"""Prices per token, dated, from the ``genai-prices`` package, and the cost of a call. Unknown is None, never zero.

The package's data is flattened to floats when a price is first asked for; nothing is fetched from the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from genai_prices import data_snapshot
from genai_prices.types import StartDateConstraint, TieredPrices, TimeOfDateConstraint

from fairlead_models.tokens import estimate_tokens
from fairlead_models.unified import Usage

__all__ = ["Hours", "Price", "context_window", "cost_usd", "estimate_tokens", "list_price", "price_period"]

PACKAGE_NAMES = {"xai": "x-ai"}
"""Providers whose name differs in the package."""


@dataclass(frozen=True, slots=True)
class Hours:
    """Another tariff at certain hours (UTC); ``until`` before ``since`` = across midnight."""

    since_minute: int
    until_minute: int
    price: "Price"

    def cover(self, at: datetime) -> bool:
        """True when ``at`` is within them."""
        there = at.astimezone(UTC)
        minute = there.hour * 60 + there.minute
        if self.since_minute <= self.until_minute:
            return self.since_minute <= minute < self.until_minute
        return minute >= self.since_minute or minute < self.until_minute


@dataclass(frozen=True, slots=True)
class Price:
    """USD per token. None for a special kind of token = billed as its general kind; ``output`` None = unknown."""

    input: float
    output: float | None
    cached_input: float | None = None
    cache_write: float | None = None
    long_from: int | None = None
    """Calls with more input tokens than this are billed at ``long`` throughout; None = one tariff."""
    long: "Price | None" = None
    long_cache_write: float | None = None
    """Written to the cache for the longer lifetime; None = as ``cache_write``."""
    reasoning: float | None = None
    image_input: float | None = None
    audio_input: float | None = None
    cached_audio_input: float | None = None
    tiers: Mapping[str, "Price"] = field(default_factory=dict)
    """Tariffs of service tiers (flex, priority, fast, batch), by the word in the answer's usage."""
    hours: tuple[Hours, ...] = ()

    def that_applies(self, usage: Usage, at: datetime) -> "Price":
        """The tariff for this usage: of its service tier, of the hour, of the length of the context."""
        found = self.tiers.get(usage.service_tier, self) if usage.service_tier and self.tiers else self
        if found.hours:
            found = next((hours.price for hours in found.hours if hours.cover(at)), found)
        while found.long is not None and (usage.input_tokens or 0) > (found.long_from or 0):
            found = found.long
        return found


def cost_usd(usage: Usage, price: Price | None, at: datetime | None = None) -> float | None:
    """Cost of one call, or None when the price or the usage is unknown.

    Totals of ``usage`` are inclusive, so special kinds of tokens are taken out before the rest is billed.

    Args:
        usage: what the provider counted.
        price: of the model; its tariff for this usage is picked here.
        at: when the call was made, for prices that depend on the hour; None = now.
    """
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    price = price.that_applies(usage, at or datetime.now(UTC))
    made = _output_usd(usage, price)
    return None if made is None else _input_usd(usage, usage.input_tokens, price) + made


def _input_usd(usage: Usage, given: int, price: Price) -> float:
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    long = min(usage.long_cache_write_tokens or 0, written)
    plain = max(0, given - cached - written)
    pictures = min(usage.image_input_tokens or 0, plain) if price.image_input is not None else 0
    heard, sound = _sound(usage, price, cached, plain - pictures)
    reading = price.input if price.cached_input is None else price.cached_input
    writing = price.input if price.cache_write is None else price.cache_write
    return (
        (plain - pictures - sound) * price.input
        + pictures * (price.image_input or 0.0)
        + sound * (price.audio_input or 0.0)
        + (cached - heard) * reading
        + heard * (price.cached_audio_input or 0.0)
        + (written - long) * writing
        + long * (writing if price.long_cache_write is None else price.long_cache_write)
    )


def _sound(usage: Usage, price: Price, cached: int, plain: int) -> tuple[int, int]:
    """(tokens of sound that came from the cache, others): those that have a price of their own."""
    heard = min(usage.cached_audio_input_tokens or 0, cached)
    sound = min(max(0, (usage.audio_input_tokens or 0) - heard), plain)
    return (
        heard if price.cached_audio_input is not None else 0,
        sound if price.audio_input is not None else 0,
    )


def _output_usd(usage: Usage, price: Price) -> float | None:
    made = usage.output_tokens or 0
    if made == 0:
        return 0.0
    if price.output is None:
        return None
    thought = min(usage.reasoning_tokens or 0, made) if price.reasoning is not None else 0
    return (made - thought) * price.output + thought * (price.reasoning or 0.0)


@cache
def _providers() -> dict[str, Any]:
    return {provider.id: provider for provider in data_snapshot.get_snapshot().providers}


@cache
def _model(provider: str, model: str) -> Any:
    """The package's entry, or None; a provider that resells others' models has their prices where it has none of its own."""
    name = PACKAGE_NAMES.get(provider, provider)
    vendor = _providers().get(name)
    if vendor is None:
        return None
    found = vendor.find_model(model)
    for other in vendor.fallback_model_providers or () if found is None else ():
        found = found or _providers()[other].find_model(model)
    return found


def forget() -> None:
    """The package's data has changed: what was read from it is read anew."""
    _providers.cache_clear()
    _model.cache_clear()


def list_price(provider: str, model: str, at: datetime) -> Price | None:
    """The vendor's list price of ``model`` at a time, or None when the package does not know it."""
    found = _model(provider, model)
    if found is None:
        return None
    standing, hours = _standing(found, at)
    base = _tiered(standing)
    if base is None:
        return None
    tiers: dict[str, Price] = {}
    for variant in found.price_variants or ():
        word = variant.when.get("service_tier") or variant.when.get("speed") or variant.when.get("processing")
        price = _tiered(found.get_prices(at, variant.when))
        if word and price is not None and price != base:
            tiers.setdefault(word, price)
    return replace(base, tiers=tiers, hours=hours)


def _standing(found: Any, at: datetime) -> tuple[Any, tuple[Hours, ...]]:
    """(prices that hold at ``at`` whatever the hour, tariffs of certain hours)."""
    if not isinstance(found.prices, list):
        return found.prices, ()
    standing, hours = found.prices[0].prices, []
    for each in found.prices:
        if isinstance(each.constraint, TimeOfDateConstraint):
            price = _tiered(each.prices)
            if price is not None:
                hours.append(
                    Hours(_minute(each.constraint.start_time), _minute(each.constraint.end_time), price)
                )
        elif each.constraint is None or each.constraint.active(at):
            standing = each.prices
    return standing, tuple(hours)


def _minute(time: Any) -> int:
    return int(time.hour) * 60 + int(time.minute)


def price_period(provider: str, model: str, at: datetime) -> tuple[date | None, date | None]:
    """(first day, day after the last) of the list price that holds at ``at``; None = not limited or unknown."""
    found = _model(provider, model)
    conditions = found.prices if found is not None and isinstance(found.prices, list) else []
    starts = sorted(
        each.constraint.start_date for each in conditions if isinstance(each.constraint, StartDateConstraint)
    )
    today = at.astimezone(UTC).date()
    began = [day for day in starts if day <= today]
    coming = [day for day in starts if day > today]
    return (began[-1] if began else None, coming[0] if coming else None)


def context_window(provider: str, model: str) -> int | None:
    """Context window in tokens, or None."""
    found = _model(provider, model)
    return found.context_window if found is not None else None


def _tiered(prices: Any) -> Price | None:
    """The price below the first threshold, with the longer contexts' prices behind it."""
    starts = sorted(
        {
            tier.start
            for value in vars(prices).values()
            if isinstance(value, TieredPrices)
            for tier in value.tiers
        }
    )
    longer: Price | None = None
    longer_from: int | None = None
    for start in reversed(starts):
        price = _flat(prices, start)
        if price is None:
            return None
        longer = replace(price, long=longer, long_from=longer_from)
        longer_from = start
    base = _flat(prices, None)
    return None if base is None else replace(base, long=longer, long_from=longer_from)


def _flat(prices: Any, threshold: int | None) -> Price | None:
    given = _per_token(prices.input_mtok, threshold)
    if given is None:
        return None
    return Price(
        given,
        _per_token(prices.output_mtok, threshold),
        _per_token(prices.cache_read_mtok, threshold),
        _per_token(prices.cache_write_mtok, threshold),
        long_cache_write=_per_token(prices.cache_write_1h_mtok, threshold),
        reasoning=_per_token(prices.output_reasoning_mtok, threshold),
        image_input=_per_token(prices.input_image_mtok, threshold),
        audio_input=_per_token(prices.input_audio_mtok, threshold),
        cached_audio_input=_per_token(prices.cache_audio_read_mtok, threshold),
    )


def _per_token(value: Decimal | TieredPrices | None, threshold: int | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        reached = [tier.price for tier in value.tiers if threshold is not None and tier.start <= threshold]
        value = reached[-1] if reached else value.base
    return float(value / 1_000_000)
