"""Names, stand-ins and prices of the built-in catalog and of overrides."""

from datetime import UTC, datetime

import pytest
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog, entries_of
from fairlead_models.catalog.entries import Entry, built_in, overridden
from fairlead_models.errors import UnknownModel
from fairlead_models.prices import Price, cost_usd
from fairlead_models.providers import BUILT_IN
from fairlead_models.unified import Usage

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(built_in(NOW), BUILT_IN)


def test_every_built_in_model_has_a_price_and_a_window(catalog: Catalog) -> None:
    assert {t.provider for t in catalog.entries} == set(BUILT_IN)
    missing = [str(target) for target in catalog.entries if catalog.price(target) is None]
    assert not missing
    assert not [str(t) for t, entry in catalog.entries.items() if entry.context_window is None]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("openai/gpt-5.4-mini", "openai/gpt-5.4-mini"),
        ("gpt-5.4-mini", "openai/gpt-5.4-mini"),
        ("gemini/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("command-a", "cohere/command-a-03-2025"),
        ("cohere/command-a", "cohere/command-a-03-2025"),
        ("openai/brand-new-model", "openai/brand-new-model"),
        ("class:fast", "openai/gpt-5.4-nano"),
        ("auto", "openai/gpt-5.4-mini"),
    ],
)
def test_names_resolve(catalog: Catalog, name: str, first: str) -> None:
    assert str(catalog.resolve(name)[0]) == first


def test_an_unknown_name_says_what_is_near(catalog: Catalog) -> None:
    with pytest.raises(UnknownModel, match=r"gpt-5\.4-mini") as refused:
        catalog.resolve("gpt-5.4-mni")
    assert refused.value.status == 404


def test_stand_ins_are_of_other_targets_and_say_why(catalog: Catalog) -> None:
    found = catalog.equivalents(Target("openai", "gpt-5.4-mini"))
    assert {each.target.provider for each in found} == set(BUILT_IN) - {"openai"}
    assert {each.reason for each in found} == {"same class: balanced"}


def test_candidates_are_named_first(catalog: Catalog) -> None:
    found = catalog.candidates("openai/gpt-5.4-mini")
    assert [each.named for each in found] == [True] + [False] * (len(found) - 1)
    assert catalog.candidates("openai/never-seen")[0].capabilities is None


def test_a_snapshot_gives_the_same_catalog_back(catalog: Catalog) -> None:
    again = Catalog(entries_of(catalog.to_snapshot()), BUILT_IN)
    assert again.entries == catalog.entries


def test_overrides_win_and_can_add_models() -> None:
    rows: list[dict[str, object]] = [
        {
            "provider": "openai",
            "model_name": "gpt-5.4-mini",
            "pricing": {"input_usd_per_mtok": 1.0},
            "verified": True,
        },
        {
            "provider": "openai",
            "model_name": "ours",
            "capabilities": {"classes": ["balanced"]},
            "equivalent_models": [],
        },
    ]
    found = Catalog(overridden(built_in(NOW), rows), BUILT_IN)
    entry = found.entries[Target("openai", "gpt-5.4-mini")]
    assert entry.pricing.input_usd_per_mtok == 1.0
    assert entry.pricing.output_usd_per_mtok == 4.5
    assert entry.verified
    ours = Target("openai", "ours")
    assert ours in found.resolve("class:balanced")
    assert found.price(ours) is None


def test_unknown_providers_are_left_out() -> None:
    found = Catalog([Entry(provider="openai", model="a"), Entry(provider="gone", model="b")], ["openai"])
    assert list(found.entries) == [Target("openai", "a")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(1000, 100), 1000 * 1.0 + 100 * 2.0),
        (Usage(1000, 100, cached_input_tokens=400), 600 * 1.0 + 400 * 0.1 + 100 * 2.0),
        (Usage(1000, 100, cache_write_tokens=200), 800 * 1.0 + 200 * 1.25 + 100 * 2.0),
        (Usage(1000, 100, reasoning_tokens=60), 1000 * 1.0 + 100 * 2.0),
        (Usage(3000, 10), 3000 * 3.0 + 10 * 6.0),
        (Usage(1000, None), None),
        (Usage(), None),
    ],
)
def test_cost_counts_cached_written_and_long_context(usage: Usage, expected: float | None) -> None:
    price = Price(1.0, 2.0, 0.1, 1.25, long_from=2000, long=Price(3.0, 6.0))
    found = cost_usd(usage, price)
    assert found == (None if expected is None else pytest.approx(expected))
    assert cost_usd(usage, None) is None


def test_costs_equal_the_price_packages_own_invoice(catalog: Catalog) -> None:
    from genai_prices import Usage as TheirUsage
    from genai_prices import calc_price

    for target in catalog.entries:
        theirs = calc_price(
            TheirUsage(input_tokens=12_345, output_tokens=678, cache_read_tokens=2_000),
            model_ref=target.model,
            provider_id=target.provider,
            genai_request_timestamp=NOW,
        )
        ours = cost_usd(Usage(12_345, 678, cached_input_tokens=2_000), catalog.price(target))
        assert ours == pytest.approx(float(theirs.total_price)), str(target)
