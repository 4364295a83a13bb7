"""What names stand for, and who stands in for whom."""

from datetime import UTC, datetime

import pytest
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog, entries_of
from fairlead_models.catalog.entries import Entry, built_in
from fairlead_models.errors import UnknownModel
from fairlead_models.providers import BUILT_IN

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(built_in(NOW), BUILT_IN)


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


def test_unknown_providers_are_left_out() -> None:
    found = Catalog([Entry(provider="openai", model="a"), Entry(provider="gone", model="b")], ["openai"])
    assert list(found.entries) == [Target("openai", "a")]


def test_a_model_of_no_class_is_stood_in_for_by_those_of_similar_quality(catalog: Catalog) -> None:
    found = catalog.equivalents(Target("openai", "gpt-5.6"))
    assert [str(each.target) for each in found] == [
        "anthropic/claude-opus-5-5",
        "google/gemini-3.1-pro-preview",
        "anthropic/claude-sonnet-5-5",
    ]
    assert found[0].reason == "similar quality: 0.94, gpt-5.6 0.93"
    assert not catalog.equivalents(Target("openai", "text-embedding-3-small"))


def test_names_with_a_slash_are_their_providers_first() -> None:
    entries = [Entry(provider="groq", model="openai/gpt-oss-120b"), Entry(provider="openai", model="a")]
    both, one = Catalog(entries, ["groq", "openai"]), Catalog(entries, ["groq"])
    served = [Target("groq", "openai/gpt-oss-120b")]
    assert both.resolve("openai/gpt-oss-120b") == one.resolve("openai/gpt-oss-120b") == served
    assert both.resolve("groq/openai/gpt-oss-120b") == served
    assert both.resolve("openai/a") == [Target("openai", "a")]
    assert both.resolve("openai/gpt-5.5") == [Target("openai", "gpt-5.5")]
    with pytest.raises(UnknownModel):
        one.resolve("openai/gpt-5.5")


def test_a_resold_model_does_not_hide_the_vendors_own() -> None:
    found = Catalog(built_in(NOW), ["openai", "openrouter"])
    assert found.resolve("openai/gpt-5.5") == [Target("openai", "gpt-5.5")]
    assert Catalog(built_in(NOW), ["openrouter"]).resolve("openai/gpt-5.5") == [
        Target("openrouter", "openai/gpt-5.5")
    ]


def test_auto_means_no_embeddings_model_even_without_classes() -> None:
    entries = [each for each in built_in(NOW) if not each.classes]
    names = Catalog(entries, ["openai"]).resolve("auto")
    assert names
    assert not any("embedding" in target.model for target in names)
