"""Finding models by filters."""

from datetime import UTC, date, datetime

import pytest
from fairlead_models.catalog.entries import Entry, built_in
from fairlead_models.catalog.search import Filters, search

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ENTRIES = built_in(NOW)


def names(filters: Filters) -> set[str]:
    return {f"{entry.provider}/{entry.model}" for entry in search(ENTRIES, filters)}


def test_no_filter_finds_everything_in_order() -> None:
    assert search(ENTRIES, Filters()) == ENTRIES


@pytest.mark.parametrize(
    ("filters", "some", "others"),
    [
        (Filters(provider="xai"), "xai/grok-4.5", "openai/gpt-5.4"),
        (Filters(capabilities=("audio", "tools")), "google/gemini-2.5-flash", "openai/gpt-5.4"),
        (Filters(class_="fast"), "openai/gpt-5.4-nano", "openai/gpt-5.4"),
        (Filters(text="COMMAND-A"), "cohere/command-a-03-2025", "cohere/command-r7b-12-2024"),
        (Filters(text="cohere/"), "cohere/embed-v4.0", "openai/gpt-5.4"),
        (Filters(text="small-latest"), "mistral/mistral-small-2603", "mistral/mistral-large-4"),
        (Filters(max_input_usd_per_mtok=0.75), "openai/gpt-5.4-mini", "openai/gpt-5.4"),
        (
            Filters(max_input_usd_per_mtok=100),
            "openai/gpt-5.4",
            "cohere/command-a-vision-07-2025",
        ),
        (Filters(max_output_usd_per_mtok=4.5), "openai/gpt-5.4-mini", "openai/text-embedding-3-small"),
        (Filters(min_context_window=1_000_000), "anthropic/claude-opus-5-5", "anthropic/claude-haiku-4-5"),
        (Filters(min_output_tokens=100_000), "openai/gpt-5.4", "openai/gpt-4.1"),
        (Filters(input_modality="video"), "google/gemini-3.8-flash", "openai/gpt-5.4"),
        (Filters(output_modality="embedding"), "mistral/mistral-embed", "openai/gpt-5.4"),
        (Filters(language="vi"), "cohere/command-a-03-2025", "cohere/command-a-vision-07-2025"),
        (Filters(min_quality=0.9), "openai/gpt-5.4", "openai/gpt-5.4-mini"),
        (Filters(available_on=date(2026, 11, 23)), "openai/gpt-5", "openai/o4-mini"),
        (Filters(available_on=date(2025, 11, 1)), "openai/o4-mini", "openai/gpt-5.1"),
        (Filters(available_on=date(2026, 12, 11)), "openai/gpt-5.1", "openai/gpt-5"),
    ],
)
def test_filters(filters: Filters, some: str, others: str) -> None:
    found = names(filters)
    assert some in found
    assert others not in found


def test_filters_add_up() -> None:
    wanted = Filters(provider="anthropic", class_="fast", max_input_usd_per_mtok=0.5)
    assert names(wanted) == {"anthropic/claude-haiku-5-5"}


def test_what_is_unknown_does_not_pass() -> None:
    bare = [Entry(provider="openai", model="bare")]
    for filters in (
        Filters(capabilities=("tools",)),
        Filters(max_input_usd_per_mtok=1e9),
        Filters(min_context_window=1),
        Filters(min_output_tokens=1),
        Filters(input_modality="text"),
        Filters(language="en"),
        Filters(min_quality=0),
        Filters(verified=True),
    ):
        assert not search(bare, filters)
    assert search(bare, Filters(verified=False, available_on=date(2030, 1, 1))) == bare
