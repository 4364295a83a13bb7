"""What calls cost: invoices worked out by hand, and the price package's own arithmetic as the judge."""

from datetime import UTC, datetime

import pytest
from fairlead_models.catalog.file import ModelRow, built_in_file
from fairlead_models.prices import Hours, Price, cost_usd, list_price, price_period
from fairlead_models.unified import Usage
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 3, 59, tzinfo=UTC)
FLAT = Price(1.0, 2.0, 0.1, 1.25, long_from=2000, long=Price(3.0, 6.0))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(1000, 100), 1000 * 1.0 + 100 * 2.0),
        (Usage(1000, 100, cached_input_tokens=400), 600 * 1.0 + 400 * 0.1 + 100 * 2.0),
        (Usage(1000, 100, cache_write_tokens=200), 800 * 1.0 + 200 * 1.25 + 100 * 2.0),
        (
            Usage(1000, 100, cache_write_tokens=200, long_cache_write_tokens=50),
            800 * 1.0 + 200 * 1.25 + 100 * 2.0,
        ),
        (Usage(1000, 100, reasoning_tokens=60), 1000 * 1.0 + 100 * 2.0),
        (Usage(1000, 100, image_input_tokens=60, audio_input_tokens=9), 1000 * 1.0 + 100 * 2.0),
        (Usage(2000, 10), 2000 * 1.0 + 10 * 2.0),
        (Usage(2001, 10), 2001 * 3.0 + 10 * 6.0),
        (Usage(0, 0), 0.0),
        (Usage(1000, None), None),
        (Usage(None, 10), None),
        (Usage(), None),
    ],
)
def test_cost_counts_cached_written_and_long_context(usage: Usage, expected: float | None) -> None:
    found = cost_usd(usage, FLAT)
    assert found == (None if expected is None else pytest.approx(expected))
    assert cost_usd(usage, None) is None


def test_reasoning_pictures_and_sound_at_prices_of_their_own() -> None:
    price = Price(1.0, 2.0, 0.1, reasoning=5.0, image_input=3.0, audio_input=7.0, cached_audio_input=0.7)
    usage = Usage(
        1000,
        100,
        cached_input_tokens=300,
        reasoning_tokens=40,
        image_input_tokens=200,
        audio_input_tokens=150,
        cached_audio_input_tokens=50,
    )
    spoken = 100 * 7.0 + 50 * 0.7
    expected = (700 - 200 - 100) * 1.0 + 200 * 3.0 + 250 * 0.1 + spoken + 60 * 2.0 + 40 * 5.0
    assert cost_usd(usage, price) == pytest.approx(expected)


def test_an_output_price_is_needed_only_for_output() -> None:
    assert cost_usd(Usage(1000, 0), Price(1.0, None)) == 1000.0
    assert cost_usd(Usage(1000, 1), Price(1.0, None)) is None


@pytest.mark.parametrize(
    ("clock", "expected"),
    [("23:59", 9.0), ("00:00", 9.0), ("01:29", 9.0), ("01:30", 1.0), ("21:59", 1.0), ("22:00", 9.0)],
)
def test_hours_reach_across_midnight(clock: str, expected: float) -> None:
    price = Price(1.0, 1.0, hours=(Hours(22 * 60, 90, Price(9.0, 9.0)),))
    hour, minute = clock.split(":")
    at = datetime(2026, 11, 23, int(hour), int(minute), tzinfo=UTC)
    assert cost_usd(Usage(1, 0), price, at) == expected
    assert cost_usd(Usage(1, 0), price) in (1.0, 9.0)


M = 1e-6
INVOICES = [
    # provider, model, usage, USD as on paper (prices per million tokens)
    ("openai", "gpt-5.4-mini", Usage(1200, 300), 1200 * 0.75 * M + 300 * 4.5 * M),
    (
        "openai",
        "gpt-5.4",
        Usage(10_000, 2_000, cached_input_tokens=8_000, reasoning_tokens=1_500),
        2_000 * 2.5 * M + 8_000 * 0.25 * M + 2_000 * 15 * M,
    ),
    ("openai", "gpt-5.4", Usage(272_000, 1_000), 272_000 * 2.5 * M + 1_000 * 15 * M),
    ("openai", "gpt-5.4", Usage(272_001, 1_000), 272_001 * 5 * M + 1_000 * 22.5 * M),
    (
        "openai",
        "gpt-5.4",
        Usage(10_000, 1_000, service_tier="flex"),
        10_000 * 1.25 * M + 1_000 * 7.5 * M,
    ),
    (
        "openai",
        "gpt-5.4",
        Usage(10_000, 1_000, service_tier="priority"),
        10_000 * 5 * M + 1_000 * 30 * M,
    ),
    (
        "openai",
        "gpt-5.4",
        Usage(10_000, 1_000, service_tier="default"),
        10_000 * 2.5 * M + 1_000 * 15 * M,
    ),
    (
        "openai",
        "gpt-6-astra",
        Usage(20_000, 500, cached_input_tokens=5_000, cache_write_tokens=10_000),
        5_000 * 10 * M + 5_000 * 1 * M + 10_000 * 12.5 * M + 500 * 50 * M,
    ),
    ("openai", "text-embedding-3-large", Usage(50_000, 0), 50_000 * 0.13 * M),
    (
        "anthropic",
        "claude-haiku-4-5",
        Usage(
            30_000,
            1_000,
            cached_input_tokens=10_000,
            cache_write_tokens=15_000,
            long_cache_write_tokens=5_000,
        ),
        5_000 * 1 * M + 10_000 * 0.1 * M + 10_000 * 1.25 * M + 5_000 * 2 * M + 1_000 * 5 * M,
    ),
    (
        "anthropic",
        "claude-opus-5-5",
        Usage(2_000, 900, reasoning_tokens=600, service_tier="fast"),
        2_000 * 8 * M + 900 * 40 * M,
    ),
    (
        "anthropic",
        "claude-sonnet-4-5",
        Usage(250_000, 4_000, cached_input_tokens=50_000),
        200_000 * 6 * M + 50_000 * 0.6 * M + 4_000 * 22.5 * M,
    ),
    (
        "google",
        "gemini-3.1-pro-preview",
        Usage(150_000, 3_000, cached_input_tokens=100_000, reasoning_tokens=2_000),
        50_000 * 2 * M + 100_000 * 0.2 * M + 3_000 * 12 * M,
    ),
    (
        "google",
        "gemini-3.1-pro-preview",
        Usage(200_001, 3_000),
        200_001 * 4 * M + 3_000 * 18 * M,
    ),
    (
        "google",
        "gemini-2.5-flash",
        Usage(
            10_000,
            100,
            cached_input_tokens=2_000,
            audio_input_tokens=5_000,
            cached_audio_input_tokens=1_000,
        ),
        4_000 * 0.3 * M + 4_000 * 1 * M + 1_000 * 0.03 * M + 1_000 * 0.1 * M + 100 * 2.5 * M,
    ),
    (
        "mistral",
        "mistral-medium-3-5",
        Usage(4_000, 800, cached_input_tokens=1_000),
        3_000 * 1.5 * M + 1_000 * 0.15 * M + 800 * 7.5 * M,
    ),
    ("mistral", "mistral-embed", Usage(9_000, 0), 9_000 * 0.1 * M),
    ("cohere", "command-a-03-2025", Usage(5_000, 700), 5_000 * 2.5 * M + 700 * 10 * M),
    ("cohere", "embed-v4.0", Usage(8_000, 0), 8_000 * 0.12 * M),
    ("xai", "grok-4.5", Usage(1_000, 500, reasoning_tokens=400), 1_000 * 2 * M + 500 * 6 * M),
    (
        "groq",
        "openai/gpt-oss-120b",
        Usage(1_000, 500, cached_input_tokens=400),
        600 * 0.15 * M + 400 * 0.075 * M + 500 * 0.6 * M,
    ),
    ("azure", "gpt-5.4-mini", Usage(1200, 300), 1200 * 0.75 * M + 300 * 4.5 * M),
]


@pytest.mark.parametrize(("provider", "model", "usage", "usd"), INVOICES)
def test_golden_invoices(provider: str, model: str, usage: Usage, usd: float) -> None:
    assert cost_usd(usage, list_price(provider, model, NOW), NOW) == pytest.approx(usd, rel=1e-12)


@pytest.mark.parametrize(("at", "rates"), [(NOW, (0.15, 0.003, 0.6)), (NIGHT, (0.3, 0.006, 1.2))])
def test_deepseek_costs_more_at_certain_hours(at: datetime, rates: tuple[float, float, float]) -> None:
    fresh, cached, made = rates
    usage = Usage(10_000, 1_000, cached_input_tokens=4_000)
    expected = 6_000 * fresh * M + 4_000 * cached * M + 1_000 * made * M
    price = list_price("deepseek", "deepseek-flash", at)
    assert cost_usd(usage, price, at) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "never-seen"), ("nobody", "gpt-5.4"), ("cohere", "command-a-vision-07-2025")],
)
def test_unknown_prices_are_none_not_zero(provider: str, model: str) -> None:
    assert list_price(provider, model, NOW) is None
    assert cost_usd(Usage(1, 1), list_price(provider, model, NOW)) is None
    assert price_period(provider, model, NOW) == (None, None)


@pytest.mark.parametrize("row", built_in_file().models, ids=lambda row: f"{row.provider}/{row.model}")
def test_invoices_equal_the_price_packages_own(row: ModelRow) -> None:
    provider, model = row.provider, row.model
    vendor = {"xai": "x-ai"}.get(provider, provider)
    price = list_price(provider, model, NOW)
    for given, made, cached in [
        (12_345, 678, 2_000),
        (450_000, 1_000, 0),
        (450_000, 1_000, 300_000),
        (7, 0, 0),
    ]:
        if price is None or (price.output is None and made):
            continue
        theirs = calc_price(
            TheirUsage(input_tokens=given, output_tokens=made, cache_read_tokens=cached),
            model_ref=model,
            provider_id=vendor,
            genai_request_timestamp=NOW,
        )
        ours = cost_usd(Usage(given, made, cached_input_tokens=cached), price, NOW)
        assert ours == pytest.approx(float(theirs.total_price), rel=1e-9)
