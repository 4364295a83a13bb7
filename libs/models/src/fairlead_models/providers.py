"""Providers are data: a row says which wire, which base URL, which key. Secrets are references to the environment.

The providers file is YAML::

    providers:
      - name: openai                  # a slug; built-in names bring their wire, base URL and key variable along
      - name: groq
        api_key: ${GROQ_API_KEY}      # references only; a literal key is refused
      - name: our-vllm
        wire: openai                  # openai = any compatible endpoint; see WIRES for the others
        base_url: http://vllm.internal:8000/v1
        models: [llama-4-70b]         # what it serves, when the catalog cannot know
        headers: {x-team: platform}
        timeouts: {connect_s: 2, first_byte_s: 30, between_bytes_s: 15, total_s: 300}
        region: eu-central
        status_page: https://status.example.com/api/v2/summary.json   # Statuspage's format; off unless it is given
        enabled: true
      - name: azure
        base_url: https://my-resource.openai.azure.com
        api_version: v1               # or a date, which puts the deployment's name into the path
      - name: anthropic
        api_version: 2026-10-21       # the default
        model_api_versions: {claude-haiku-4-5: 2023-06-01}   # this one still takes a temperature
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from fairlead_models.errors import ProvidersFileError
from fairlead_models.transport.protocol import Timeouts
from fairlead_models.wires.anthropic.encode import OLD_VERSION, VERSION
from fairlead_models.wires.anthropic.wire import AnthropicWire
from fairlead_models.wires.cohere.wire import CohereWire
from fairlead_models.wires.google.wire import VERSION as GOOGLE_VERSION
from fairlead_models.wires.google.wire import GoogleWire
from fairlead_models.wires.mistral.wire import MistralWire
from fairlead_models.wires.openai import dialects
from fairlead_models.wires.openai.wire import AzureWire, OpenAIWire
from fairlead_models.wires.protocol import Wire

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

WIRES: dict[str, Wire] = {
    "openai": OpenAIWire(dialects.COMPATIBLE),
    "openai-native": OpenAIWire(dialects.OPENAI),
    "azure": AzureWire(dialects.OPENAI),
    "anthropic": AnthropicWire(),
    "google": GoogleWire(),
    "mistral": MistralWire(),
    "cohere": CohereWire(),
    "groq": OpenAIWire(dialects.GROQ),
    "deepseek": OpenAIWire(dialects.DEEPSEEK),
    "together": OpenAIWire(dialects.TOGETHER),
    "fireworks": OpenAIWire(dialects.FIREWORKS),
    "openrouter": OpenAIWire(dialects.OPENROUTER),
    "xai": OpenAIWire(dialects.XAI),
    "vllm": OpenAIWire(dialects.VLLM),
    "ollama": OpenAIWire(dialects.OLLAMA),
}
"""By the name that a provider's row gives as ``wire``; "openai" is any compatible endpoint."""

KEY_HEADERS = {"anthropic": "x-api-key", "google": "x-goog-api-key", "azure": "api-key"}
"""Where the key goes; elsewhere it is a bearer token."""

VERSIONS = {
    "anthropic": re.compile(rf"{VERSION}|{OLD_VERSION}"),
    "google": re.compile(r"v1|v1beta|v1alpha"),
    "azure": re.compile(r"v1|preview|\d{4}-\d{2}-\d{2}(-preview)?"),
}
"""API versions that a row may pin, by wire."""


OWN_VERSIONS = {
    "anthropic": VERSION,
    "google": GOOGLE_VERSION,
    "azure": "v1",
    "mistral": "v1",
    "cohere": "v2",
}
"""API versions that a wire names by itself unless the row pins another."""
PATH_VERSION = re.compile(r"/(v\d+[a-z0-9]*)$")


@dataclass(frozen=True)
class ProviderSpec:
    """One provider: how to reach it and how to speak to it. ``repr`` never shows the key."""

    name: str
    wire: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    region: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    models: tuple[str, ...] = ()
    enabled: bool = True
    api_version: str | None = None
    """The API version that requests name; None = the wire's own."""
    model_api_versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of single models that differ from it."""
    status_page: str | None = None
    """URL of the vendor's status in Statuspage's ``summary.json`` format; None = nobody asks it."""

    def protocol(self) -> Wire:
        """The wire, in the pinned version."""
        if self.wire == "anthropic" and (self.api_version or self.model_api_versions):
            return AnthropicWire(self.api_version or VERSION, self.model_api_versions)
        if self.wire == "google" and self.api_version:
            return GoogleWire(self.api_version)
        if self.wire == "azure" and self.api_version:
            return AzureWire(dialects.OPENAI, self.api_version)
        return WIRES[self.wire]

    @property
    def sent_api_version(self) -> str | None:
        """The API version that requests name, in a header or in their path; None = neither wire nor address has one."""
        named = PATH_VERSION.search(self.base_url)
        return self.api_version or OWN_VERSIONS.get(self.wire) or (named[1] if named else None)

    def auth_headers(self) -> dict[str, str]:
        """Headers that authenticate, in the way of the wire, with the API version where every request must name it."""
        found = {"anthropic-version": self.api_version or VERSION} if self.wire == "anthropic" else {}
        if self.api_key is not None:
            header = KEY_HEADERS.get(self.wire)
            found |= {header: self.api_key} if header else {"authorization": f"Bearer {self.api_key}"}
        return found


BUILT_IN: dict[str, tuple[str, str, str]] = {
    # name: (wire, base URL, variable of the key)
    "openai": ("openai-native", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": ("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "google": ("google", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY"),
    "mistral": ("mistral", "https://api.mistral.ai", "MISTRAL_API_KEY"),
    "cohere": ("cohere", "https://api.cohere.com", "COHERE_API_KEY"),
}
COMPATIBLE: dict[str, tuple[str, str, str]] = {
    "groq": ("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "deepseek": ("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "together": ("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": ("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "openrouter": ("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "xai": ("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    "vllm": ("vllm", "http://127.0.0.1:8000/v1", "VLLM_API_KEY"),
    "ollama": ("ollama", "http://127.0.0.1:11434/v1", "OLLAMA_API_KEY"),
}
KNOWN: dict[str, tuple[str, str | None, str]] = {
    **BUILT_IN,
    **COMPATIBLE,
    "azure": ("azure", None, "AZURE_OPENAI_API_KEY"),  # every customer has an address of his own
}
FIELDS = frozenset(
    "name wire base_url api_key headers region timeouts models enabled status_page api_version model_api_versions".split()
)


def load_providers(path: Path | None, env: Mapping[str, str]) -> tuple[ProviderSpec, ...]:
    """The providers of a file, or without one the built-in providers whose key is set in ``env``.

    Raises:
        ProvidersFileError: unreadable, not YAML, unknown field, bad value, duplicate name, missing variable.
    """
    if path is None:
        return tuple(
            ProviderSpec(name, wire, url, env[variable])
            for name, (wire, url, variable) in BUILT_IN.items()
            if env.get(variable)
        )
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProvidersFileError(
            f"{path}: cannot be read ({error.strerror}); name a readable YAML file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProvidersFileError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    rows = found.get("providers") if isinstance(found, dict) else None
    if not isinstance(rows, list) or (isinstance(found, dict) and found.keys() != {"providers"}):
        raise ProvidersFileError(f"{path}: expected one top-level key 'providers' with a list of providers")
    specs = [_row(path, i, row, env) for i, row in enumerate(rows)]
    names = [spec.name for spec in specs]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ProvidersFileError(
                f"{path}: providers[{i}].name: '{name}' is there twice; names must be unique"
            )
    return tuple(spec for spec in specs if spec.enabled)


def _row(path: Path, position: int, row: object, env: Mapping[str, str]) -> ProviderSpec:
    where = f"{path}: providers[{position}]"
    if not isinstance(row, dict):
        raise ProvidersFileError(f"{where}: expected a mapping with at least 'name'")
    name = row.get("name")
    if not isinstance(name, str) or not SLUG.fullmatch(name):
        raise ProvidersFileError(
            f"{where}.name: expected lower-case letters, digits, - and _ (at most 50), found {name!r}"
        )
    where = f"{path}: provider '{name}'"
    if unknown := sorted(set(row) - FIELDS):
        raise ProvidersFileError(
            f"{where}: unknown field '{unknown[0]}'; known are {', '.join(sorted(FIELDS))}"
        )
    wire, url, variable = KNOWN.get(name, (None, None, None))
    wire, url = row.get("wire", wire), row.get("base_url", url)
    if wire not in WIRES:
        raise ProvidersFileError(f"{where}.wire: expected one of {', '.join(sorted(WIRES))}, found {wire!r}")
    return ProviderSpec(
        name=name,
        wire=wire,
        base_url=_url(where, "base_url", url),
        api_key=_key(where, row.get("api_key"), variable, env),
        headers=_strings(where, "headers", row.get("headers"), env),
        region=row.get("region"),
        timeouts=_timeouts(where, row.get("timeouts")),
        models=_models(where, row.get("models")),
        enabled=row.get("enabled", True) is not False,
        status_page=_url(where, "status_page", row["status_page"]) if row.get("status_page") else None,
        api_version=_version(where, "api_version", row.get("api_version"), wire),
        model_api_versions=_versions(where, row.get("model_api_versions"), wire),
    )


def _version(where: str, name: str, value: object, wire: str) -> str | None:
    """YAML reads a bare 2023-06-01 as a date; that is what the operator meant."""
    if value is None:
        return None
    known, found = VERSIONS.get(wire), str(value)
    if known is None:
        raise ProvidersFileError(f"{where}.{name}: the wire '{wire}' has no versions to choose from")
    if not known.fullmatch(found):
        raise ProvidersFileError(f"{where}.{name}: expected {known.pattern}, found {found!r}")
    return found


def _versions(where: str, value: object, wire: str) -> dict[str, str]:
    if value is None:
        return {}
    if wire != "anthropic":
        raise ProvidersFileError(
            f"{where}.model_api_versions: only the wire 'anthropic' has versions per model"
        )
    if not isinstance(value, dict):
        raise ProvidersFileError(f"{where}.model_api_versions: expected a mapping of models to versions")
    return {
        str(model): _version(where, f"model_api_versions.{model}", version, wire) or VERSION
        for model, version in value.items()
    }


def _url(where: str, name: str, value: object) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ProvidersFileError(f"{where}.{name}: expected an http(s) URL, found {value!r}")
    return str(value).rstrip("/")


def _key(where: str, value: object, variable: str | None, env: Mapping[str, str]) -> str | None:
    if value is None:
        return env.get(variable) or None if variable else None
    if not isinstance(value, str) or not REFERENCE.fullmatch(value):
        raise ProvidersFileError(
            f"{where}.api_key: expected a reference like ${{MY_API_KEY}}; keys do not belong in files"
        )
    return _resolve(f"{where}.api_key", value, env)


def _resolve(where: str, value: str, env: Mapping[str, str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        found = env.get(match[1])
        if not found:
            raise ProvidersFileError(
                f"{where}: the environment variable {match[1]} is not set; set it, or remove the reference"
            )
        return found

    return REFERENCE.sub(replaced, value)


def _strings(where: str, name: str, value: object, env: Mapping[str, str]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(
        isinstance(each, str) for pair in value.items() for each in pair
    ):
        raise ProvidersFileError(f"{where}.{name}: expected a mapping of strings to strings")
    return {key.lower(): _resolve(f"{where}.{name}.{key}", each, env) for key, each in value.items()}


def _models(where: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ProvidersFileError(f"{where}.models: expected a list of model names")
    return tuple(value)


def _timeouts(where: str, value: Any) -> Timeouts:
    if value is None:
        return Timeouts()
    known = set(Timeouts.__dataclass_fields__)
    if not isinstance(value, dict) or not set(value) <= known:
        raise ProvidersFileError(f"{where}.timeouts: expected numbers for some of {', '.join(sorted(known))}")
    if not all(
        isinstance(each, int | float) and not isinstance(each, bool) and each > 0 for each in value.values()
    ):
        raise ProvidersFileError(
            f"{where}.timeouts: every time-out must be a number of seconds greater than 0"
        )
    return Timeouts(**{key: float(each) for key, each in value.items()})
