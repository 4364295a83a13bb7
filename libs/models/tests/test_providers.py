"""The providers file: rows by name and by wire, versions, and every mistake with its place."""

import re
from pathlib import Path

import pytest
from fairlead_models.errors import ProvidersFileError
from fairlead_models.providers import KNOWN, WIRES, ProviderSpec, load_providers
from fairlead_models.unified import ChatRequest, Message
from fairlead_models.wires.anthropic.wire import AnthropicWire
from fairlead_models.wires.openai.wire import AzureWire

KEYS = {
    "OPENAI_API_KEY": "sk-o",
    "ANTHROPIC_API_KEY": "sk-a",
    "AZURE_OPENAI_API_KEY": "sk-z",
    "GROQ_API_KEY": "gsk",
    "OURS": "secret",
}


def load(tmp_path: Path, text: str) -> tuple[ProviderSpec, ...]:
    path = tmp_path / "providers.yaml"
    path.write_text(f"providers:\n{text}")
    return load_providers(path, KEYS)


def test_without_a_file_whoever_has_a_key_is_there() -> None:
    assert [spec.name for spec in load_providers(None, KEYS)] == ["openai", "anthropic"]


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "azure"])
def test_known_names_bring_wire_and_address_along(tmp_path: Path, name: str) -> None:
    (spec,) = load(tmp_path, f"  - name: {name}\n")
    assert spec.wire in WIRES
    assert spec.base_url.startswith("http")
    assert spec.protocol() is WIRES[spec.wire]


def test_keys_go_where_each_vendor_wants_them(tmp_path: Path) -> None:
    text = """
  - {name: openai}
  - {name: anthropic}
  - {name: azure, base_url: "https://ours.openai.azure.com"}
  - {name: google, api_key: "${OURS}"}
  - {name: ours, wire: openai, base_url: "http://x/v1"}
"""
    found = {spec.name: spec.auth_headers() for spec in load(tmp_path, text)}
    assert found == {
        "openai": {"authorization": "Bearer sk-o"},
        "anthropic": {"anthropic-version": "2026-10-21", "x-api-key": "sk-a"},
        "azure": {"api-key": "sk-z"},
        "google": {"x-goog-api-key": "secret"},
        "ours": {},
    }


def test_versions_are_pinned_by_provider_and_model(tmp_path: Path) -> None:
    text = """
  - name: anthropic
    api_version: 2023-06-01
    model_api_versions: {claude-opus-5-5: 2026-10-21}
  - {name: azure, base_url: "https://ours.openai.azure.com", api_version: 2025-04-01-preview}
  - {name: google, api_version: v1beta}
"""
    anthropic, azure, google = load(tmp_path, text)
    assert anthropic.auth_headers()["anthropic-version"] == "2023-06-01"
    wire = anthropic.protocol()
    assert isinstance(wire, AnthropicWire)
    assert (wire.version_of("claude-haiku-4-5"), wire.version_of("claude-opus-5-5")) == (
        "2023-06-01",
        "2026-10-21",
    )
    assert isinstance(azure.protocol(), AzureWire)
    assert azure.protocol().models_path().endswith("api-version=2025-04-01-preview")
    assert google.protocol().models_path() == "/v1beta/models"


def test_the_version_that_is_shown_is_the_one_that_is_sent(tmp_path: Path) -> None:
    text = """
  - {name: anthropic}
  - {name: google}
  - {name: mistral}
  - {name: cohere}
  - {name: groq}
  - {name: azure, base_url: "https://ours.openai.azure.com"}
  - {name: old-azure, wire: azure, base_url: "https://ours.openai.azure.com", api_version: 2025-04-01-preview}
  - {name: beta, wire: google, base_url: "https://x", api_version: v1beta}
"""
    for spec in load(tmp_path, text):
        request = ChatRequest(model="m", messages=[Message("user", "Hello")])
        encoded = spec.protocol().encode(request, "m", stream=False)
        sent = f"{spec.base_url}{encoded.path} {spec.auth_headers().get('anthropic-version')}"
        assert spec.sent_api_version is not None
        assert spec.sent_api_version in re.split(r"[/ =]", sent), spec.name
    (nameless,) = load(tmp_path, '  - {name: ours, wire: openai, base_url: "http://x/api"}\n')
    assert nameless.sent_api_version is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{name: UPPER}", "name: expected lower-case"),
        ("{name: openai, colour: red}", "unknown field 'colour'"),
        ("{name: strange}", "wire: expected one of"),
        ("{name: azure}", "base_url: expected an http"),
        ("{name: openai, base_url: ftp://x}", "base_url: expected an http"),
        ("{name: openai, api_key: sk-123}", "keys do not belong in files"),
        ('{name: openai, api_key: "${MISSING}"}', "MISSING is not set"),
        ("{name: openai, api_version: v1}", "no versions to choose from"),
        ("{name: anthropic, api_version: 2024-01-01}", "api_version: expected 2026-10-21"),
        ("{name: google, model_api_versions: {a: v1}}", "only the wire 'anthropic'"),
        ("{name: anthropic, model_api_versions: [a]}", "expected a mapping"),
        ("{name: anthropic, model_api_versions: {a: soon}}", "model_api_versions.a: expected"),
        ("{name: openai, timeouts: {connect_s: 0}}", "greater than 0"),
        ("{name: openai, timeouts: {patience_s: 1}}", "expected numbers for some of"),
        ("{name: openai, models: gpt}", "expected a list of model names"),
        ("{name: openai, headers: {a: 1}}", "mapping of strings"),
        ("{name: openai}\n  - {name: openai}", "is there twice"),
        ("7", "expected a mapping"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ProvidersFileError, match=message):
        load(tmp_path, f"  - {row}\n")


@pytest.mark.parametrize("text", ["", "[]", "providers: 7", "a: b", ":\n  - :", "providers: []\nmore: 1"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "providers.yaml"
    path.write_text(text)
    with pytest.raises(ProvidersFileError):
        load_providers(path, {})
    with pytest.raises(ProvidersFileError, match="cannot be read"):
        load_providers(tmp_path / "absent.yaml", {})


def test_a_key_is_never_shown() -> None:
    assert "secret" not in repr(ProviderSpec("a", "openai", "http://x", "secret", {"x-key": "secret"}))
