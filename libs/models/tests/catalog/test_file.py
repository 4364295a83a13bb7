"""The catalog file: what is in it agrees with the price package, and a wrong file is refused with the place."""

from datetime import UTC, datetime

import pytest
from fairlead_models import prices
from fairlead_models.catalog.file import CAPABILITIES, CAPABILITY_MODALITIES, built_in_file, load
from fairlead_models.catalog.profiles import profile_of
from fairlead_models.errors import CatalogFileError
from fairlead_models.providers import BUILT_IN, COMPATIBLE

NOW = datetime(2026, 11, 23, tzinfo=UTC)
UNPRICED = {
    "cohere/command-a-reasoning-08-2025": "contracts only",
    "cohere/command-a-vision-07-2025": "contracts only",
}

GOOD = """
classes: {fast: quick}
families:
  - {provider: openai, pattern: 'gpt-.*', sampling: free}
models:
  - {provider: openai, model: gpt-1, classes: [fast], capabilities: [tools]}
"""


def test_it_covers_every_provider_that_has_models_of_its_own() -> None:
    named = {row.provider for row in built_in_file().models}
    assert named == {*BUILT_IN, *COMPATIBLE} - {"vllm", "ollama"}


def test_every_model_has_a_price_and_a_window_or_is_known_to_have_none() -> None:
    rows = built_in_file().models
    unpriced = {
        f"{row.provider}/{row.model}"
        for row in rows
        if prices.list_price(row.provider, row.model, NOW) is None
    }
    assert unpriced == set(UNPRICED)
    windowless = [
        row.model
        for row in rows
        if not row.context_window and not prices.context_window(row.provider, row.model)
    ]
    assert not windowless


def test_every_chat_model_of_a_class_says_what_it_can_do() -> None:
    for row in built_in_file().models:
        assert set(row.capabilities) <= set(CAPABILITIES)
        if row.classes:
            assert "streaming" in row.capabilities
            assert row.quality is not None


def test_efforts_and_capabilities_agree() -> None:
    for row in built_in_file().models:
        efforts = profile_of(row.provider, row.model).reasoning_efforts
        if "reasoning" not in row.capabilities:
            assert not efforts, row.model
        elif efforts is not None:
            assert set(efforts) - {"none"}, row.model


def test_modalities_follow_from_capabilities_unless_said() -> None:
    rows = {(row.provider, row.model): row for row in built_in_file().models}
    assert rows["openai", "gpt-5.4"].takes() == ("text", "image", "file")
    assert rows["google", "gemini-3.8-flash"].takes() == ("text", "image", "file", "audio", "video")
    assert rows["openai", "text-embedding-3-small"].makes() == ("embedding",)
    for row in rows.values():
        for capability, modality in CAPABILITY_MODALITIES.items():
            assert capability not in row.capabilities or modality in row.takes()


def test_a_good_file_is_read() -> None:
    found = load(GOOD, "x.yaml")
    assert found.models[0].model == "gpt-1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("capabilities: [tools]", "capabilities: [teleport]"),
            r"models\.0\.capabilities\.0 \(openai/gpt-1\)",
        ),
        (("model: gpt-1", "model: gpt-1, speed: 3"), r"models\.0\.speed \(openai/gpt-1\): Extra inputs"),
        (("[fast]", "[slow]"), r"openai/gpt-1: unknown class 'slow'"),
        (("model: gpt-1", "model: gpt-1, aliases: [gpt-1]"), "openai/gpt-1 is there twice"),
        (("'gpt-.*'", "'gpt-('"), r"families\.0 \(openai/gpt-\(\).*not a regular expression"),
        (("sampling: free", "sampling: wild"), r"families\.0\.sampling \(openai/gpt-\.\*\)"),
        (("model: gpt-1", "model: gpt-1, quality: 2"), r"models\.0\.quality"),
        (("model: gpt-1", "model: gpt-1, context_window: 0"), r"models\.0\.context_window"),
        (("model: gpt-1", "model: gpt-1, reasoning_efforts: [low]"), "without the capability 'reasoning'"),
        (("[tools]", "[embeddings]"), "'embeddings' and the block 'embedding' belong together"),
        (("model: gpt-1", "model: gpt-1, released: soon"), r"models\.0\.released"),
        (("classes: {fast: quick}", "classes: {fast: quick}\nmore: 1"), "x.yaml: more"),
        (("classes: {fast: quick}", "classes: {fast: quick"), r"x\.yaml: not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(change: tuple[str, str], message: str) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    with pytest.raises(CatalogFileError, match=message):
        load(text, "x.yaml")


@pytest.mark.parametrize("text", ["", "[]", "just words"])
def test_another_document_is_refused(text: str) -> None:
    with pytest.raises(CatalogFileError, match="expected a mapping"):
        load(text, "x.yaml")
