"""Entries: the built-in ones as of a day, those of the providers file, and what operators lay over them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog, entries_of
from fairlead_models.catalog.entries import Entry, Pricing, built_in, declared, overridden
from fairlead_models.prices import cost_usd
from fairlead_models.providers import BUILT_IN, COMPATIBLE, ProviderSpec
from fairlead_models.unified import Usage
from pydantic import ValidationError

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MINI = ("openai", "gpt-5.4-mini")


def found(entries: list[Entry], provider: str, model: str) -> Entry:
    return next(entry for entry in entries if (entry.provider, entry.model) == (provider, model))


def laid_over(row: dict[str, Any], at: datetime = NOW) -> Entry:
    provider, model = row.setdefault("provider", MINI[0]), row.setdefault("model_name", MINI[1])
    return found(overridden(built_in(at), [row], at), provider, model)


def test_an_entry_says_what_the_profile_knows() -> None:
    entry = found(built_in(NOW), "openai", "gpt-5.6")
    assert entry.sampling == "unless_reasoning"
    assert entry.reasoning_efforts == ("none", "low", "medium", "high", "xhigh", "max")
    assert entry.input_modalities == ("text", "image", "file")
    assert entry.released == date(2026, 7, 9)
    assert entry.pricing.source == "genai-prices"
    assert entry.pricing.valid_from == date(2026, 8, 21)


def test_prices_are_those_of_the_day() -> None:
    before = found(built_in(datetime(2026, 8, 20, tzinfo=UTC)), "openai", "gpt-5.6").pricing
    after = found(built_in(datetime(2026, 8, 21, tzinfo=UTC)), "openai", "gpt-5.6").pricing
    assert before.valid_until == after.valid_from
    assert before.input_usd_per_mtok != after.input_usd_per_mtok


def test_a_retired_model_is_in_no_class() -> None:
    end = date(2027, 4, 1)
    day = datetime(end.year, end.month, end.day, tzinfo=UTC)
    last, retired = built_in(day - timedelta(days=1)), built_in(day)
    assert found(last, "openai", "gpt-5.4-nano").classes == ("fast",)
    assert found(retired, "openai", "gpt-5.4-nano").classes == ()
    assert found(retired, "openai", "gpt-5.4-nano").retired(day)
    names = Catalog(retired, BUILT_IN).resolve("class:fast")
    assert Target("openai", "gpt-5.4-nano") not in names


def test_unknown_prices_are_null() -> None:
    entry = found(built_in(NOW), "cohere", "command-a-vision-07-2025")
    assert entry.pricing == Pricing()
    assert entry.pricing.price() is None


def test_a_snapshot_is_small_and_gives_everything_back() -> None:
    providers = [*BUILT_IN, *COMPATIBLE]
    catalog = Catalog(built_in(NOW), providers)
    data = orjson.dumps(catalog.to_snapshot())
    assert Catalog(entries_of(orjson.loads(data)), providers).entries == catalog.entries
    assert len(data) < 200_000


def test_snapshots_of_older_versions_are_read() -> None:
    old = {"provider": "openai", "model": "x", "pricing": {"input_usd_per_mtok": 1.0}, "gone": 1}
    assert entries_of({"models": [old]})[0].pricing.input_usd_per_mtok == 1.0


# the providers file


def test_a_model_at_another_address_of_its_vendor_can_do_the_same() -> None:
    specs = [
        ProviderSpec("azure", "azure", "https://x.openai.azure.com", models=("gpt-5.4-mini", "ours")),
        ProviderSpec("claude-eu", "anthropic", "https://eu.example", models=("claude-haiku-4-5",)),
        ProviderSpec("vllm", "vllm", "http://vllm/v1", models=("gpt-5.4-mini",)),
    ]
    entries = declared(specs, NOW)
    azure = found(entries, "azure", "gpt-5.4-mini")
    assert azure.classes == ("balanced",)
    assert azure.pricing.input_usd_per_mtok == 0.75
    assert azure.source == "providers file"
    claude = found(entries, "claude-eu", "claude-haiku-4-5")
    assert claude.capabilities is not None
    assert claude.pricing.price() is None
    assert found(entries, "azure", "ours").capabilities is None
    assert found(entries, "vllm", "gpt-5.4-mini").capabilities is None


def test_naming_a_built_in_model_in_the_providers_file_keeps_what_is_built_in() -> None:
    spec = ProviderSpec("openai", "openai-native", "https://api.openai.com/v1", models=("gpt-5.4-mini",))
    assert declared([spec], NOW) == [found(built_in(NOW), *MINI)]


# what operators declare


def test_an_operators_price_wins_and_the_rest_stays() -> None:
    entry = laid_over({"pricing": {"input_usd_per_mtok": 1.0}, "verified": True})
    assert entry.pricing.input_usd_per_mtok == 1.0
    assert entry.pricing.output_usd_per_mtok == 4.5
    assert entry.pricing.source == "operator"
    assert entry.verified
    assert entry.classes == ("balanced",)
    price = entry.pricing.price()
    assert cost_usd(Usage(1_000_000, 1_000_000), price) == pytest.approx(1.0 + 4.5)


def test_an_operators_price_counts_only_on_its_days() -> None:
    declared_price = {"input_usd_per_mtok": 1.0, "valid_from": "2026-12-01", "valid_until": "2027-01-01"}
    for day, expected in [(date(2026, 11, 30), 0.75), (date(2026, 12, 1), 1.0), (date(2027, 1, 1), 0.75)]:
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        assert laid_over({"pricing": declared_price}, at).pricing.input_usd_per_mtok == expected


def test_a_list_prices_days_do_not_end_an_operators_price() -> None:
    entry = laid_over(
        {
            "provider": "google",
            "model_name": "gemini-3.8-flash",
            "pricing": {"input_usd_per_mtok": 1.0},
        }
    )
    assert entry.pricing.valid_until is None


def test_operators_say_what_a_new_model_can_do() -> None:
    entry = laid_over(
        {
            "model_name": "ours",
            "capabilities": {
                "classes": ["balanced"],
                "aliases": ["our-alias"],
                "capabilities": ["tools", "streaming"],
                "languages": ["de"],
                "input_modalities": ["text"],
                "context_window": 4096,
                "quality": 0.5,
                "deprecated_at": "2027-01-01",
            },
            "equivalent_models": ["google/gemini-3.8-flash"],
        }
    )
    assert entry.capabilities == ("tools", "streaming")
    assert entry.languages == ("de",)
    assert entry.deprecated_at == date(2027, 1, 1)
    assert entry.pricing.price() is None
    catalog = Catalog([*built_in(NOW), entry], BUILT_IN)
    ours = Target("openai", "ours")
    assert ours in catalog.resolve("class:balanced")
    assert catalog.resolve("our-alias") == [ours]
    assert catalog.equivalents(ours)[0].reason == "declared equivalent by an operator"


def test_a_model_that_an_operator_retired_is_in_no_class() -> None:
    assert laid_over({"capabilities": {"deprecated_at": "2026-11-23"}}).classes == ()
    assert laid_over({"capabilities": {"deprecated_at": "2026-11-24"}}).classes == ("balanced",)


def test_a_row_that_no_entry_can_hold_is_refused() -> None:
    with pytest.raises(ValidationError, match="input_usd_per_mtok"):
        laid_over({"pricing": {"input_usd_per_mtok": -1}})
