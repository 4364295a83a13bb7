"""Prices per token, dated, from the ``genai-prices`` package, and the cost of a call. Unknown is None, never zero.

The package's data is flattened to floats when a price is first asked for; nothing is fetched from the network.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from genai_prices import data_snapshot
from genai_prices.types import TieredPrices

from fairlead_models.unified import ChatRequest, Usage

BYTES_PER_TOKEN = 4.0
TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 800


@dataclass(frozen=True, slots=True)
class Price:
    """USD per token. ``cached_input`` and ``cache_write`` None = billed as input."""

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    long_from: int | None = None
    """Calls with more input tokens than this are billed at ``long`` throughout; None = one tariff."""
    long: "Price | None" = None


def cost_usd(usage: Usage, price: Price | None) -> float | None:
    """Cost of one call, or None when the price or the usage is unknown.

    Totals of ``usage`` are inclusive, so cached and written tokens are taken out of the input before it is billed.
    """
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    if price.long is not None and price.long_from is not None and usage.input_tokens > price.long_from:
        price = price.long
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    plain = max(0, usage.input_tokens - cached - written)
    total = plain * price.input + usage.output_tokens * price.output
    total += cached * (price.input if price.cached_input is None else price.cached_input)
    total += written * (price.input if price.cache_write is None else price.cache_write)
    return total


@cache
def _providers() -> dict[str, Any]:
    return {provider.id: provider for provider in data_snapshot.get_snapshot().providers}


def list_price(provider: str, model: str, at: datetime) -> Price | None:
    """The vendor's list price of ``model`` at a time, or None when the package does not know it."""
    vendor = _providers().get(provider)
    found = vendor.find_model(model) if vendor is not None else None
    if found is None:
        return None
    prices = found.get_prices(at)
    base = _flat(prices, None)
    threshold = _threshold(prices)
    if base is None or threshold is None:
        return base
    return Price(
        base.input, base.output, base.cached_input, base.cache_write, threshold, _flat(prices, threshold)
    )


def context_window(provider: str, model: str) -> int | None:
    """Context window in tokens, or None."""
    vendor = _providers().get(provider)
    found = vendor.find_model(model) if vendor is not None else None
    return found.context_window if found is not None else None


def _threshold(prices: Any) -> int | None:
    for value in (prices.input_mtok, prices.output_mtok):
        if isinstance(value, TieredPrices) and value.tiers:
            return int(value.tiers[0].start)
    return None


def _flat(prices: Any, threshold: int | None) -> Price | None:
    given, made = _per_token(prices.input_mtok, threshold), _per_token(prices.output_mtok, threshold)
    if given is None or made is None:
        return None
    cached = _per_token(prices.cache_read_mtok, threshold)
    return Price(given, made, cached, _per_token(prices.cache_write_mtok, threshold))


def _per_token(value: Decimal | TieredPrices | None, threshold: int | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, TieredPrices):
        tier = next(
            (tier.price for tier in value.tiers if threshold is not None and tier.start <= threshold), None
        )
        value = value.base if tier is None else tier
    return float(value / 1_000_000)


def estimate_tokens(request: ChatRequest) -> int:
    """Input tokens, roughly: UTF-8 bytes / 4, plus a little per message and a fixed number per image."""
    total = 0.0
    for message in request.messages:
        total += TOKENS_PER_MESSAGE
        if isinstance(message.content, str):
            total += len(message.content.encode()) / BYTES_PER_TOKEN
        else:
            for part in message.content or ():
                text = getattr(part, "text", None)
                total += len(text.encode()) / BYTES_PER_TOKEN if text is not None else TOKENS_PER_IMAGE
        total += sum(len(call.arguments) + len(call.name) for call in message.tool_calls) / BYTES_PER_TOKEN
    total += (
        sum(len(str(tool.parameters)) + len(tool.description or "") for tool in request.tools)
        / BYTES_PER_TOKEN
    )
    return int(total) + 1
