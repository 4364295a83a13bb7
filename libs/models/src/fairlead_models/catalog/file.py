"""The built-in catalog file, strictly validated: what models can do, and what their endpoints accept.

A row names one model; a family says what is true of all models whose whole name matches its pattern, also of models
that came out after this file was written. Prices are not in it: they come from a package that others keep.
"""

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fairlead_models.errors import CatalogFileError

BUILT_IN = Path(__file__).with_name("models.yaml")

CAPABILITIES = (
    "tools",
    "vision",
    "files",
    "audio",
    "structured_output",
    "reasoning",
    "streaming",
    "logprobs",
    "embeddings",
)
Capability = Literal[
    "tools",
    "vision",
    "files",
    "audio",
    "structured_output",
    "reasoning",
    "streaming",
    "logprobs",
    "embeddings",
]
Modality = Literal["text", "image", "file", "audio", "video", "embedding"]
CAPABILITY_MODALITIES: dict[Capability, Modality] = {"vision": "image", "files": "file", "audio": "audio"}
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Sampling = Literal["free", "unless_reasoning", "none"]
Share = Annotated[float, Field(ge=0, le=1)]


class Traits(BaseModel):
    """What an endpoint accepts for a model, beyond what its wire says. Null = unknown: nothing is held back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampling: Sampling | None = None
    """Whether temperature, top_p and logprobs are accepted: always, only while the model does not reason, or never."""
    reasoning_efforts: tuple[Effort, ...] | None = None
    """Efforts that are accepted; an empty list = the model does not reason."""
    reasoning_default: Effort | None = None
    """The effort of a request that names none."""
    thinking: Literal["adaptive", "budget", "level", "prompt_mode"] | None = None
    """How the wire is told to think."""
    thinking_off: bool | None = None
    """Thinking can be switched off."""
    api: Literal["chat", "responses", "responses_with_tools"] | None = None
    """OpenAI: when a request must go to the Responses API: never, always, or when it has tools and the model reasons."""
    forced_tool_choice: bool | None = None
    """The model can be made to call a tool."""
    stop: bool | None = None
    """Stop sequences are accepted."""
    penalties: bool | None = None
    """Frequency and presence penalties are accepted."""
    prefill: bool | None = None
    """A conversation may end with the beginning of the answer."""
    system_anywhere: bool | None = None
    """System messages may stand inside the conversation."""
    schema_with_tools: bool | None = None
    """An output schema and tools can be asked for together."""
    sealed_calls: bool | None = None
    """Tool calls in the history must carry the seal they came with."""
    temperature_or_top_p: bool | None = None
    """Only one of the two is accepted in a request."""


class Family(Traits):
    """Traits of all models of a provider whose whole name matches."""

    provider: str
    pattern: str

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"'{self.pattern}' is not a regular expression: {error}") from error
        return self


class Embedding(BaseModel):
    """What an embeddings model makes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimensions: int = Field(ge=1)
    """Length of a vector when none is asked for."""
    dimensions_allowed: tuple[int, ...] | None = None
    """Lengths that can be asked for, when they are few."""
    dimensions_up_to: int | None = Field(default=None, ge=1)
    """Every length up to this can be asked for; neither = only ``dimensions``."""
    max_inputs: int | None = Field(default=None, ge=1)
    """Texts in one request."""


class ModelRow(Traits):
    """One model at one provider."""

    provider: str
    model: str
    classes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...]
    input_modalities: tuple[Modality, ...] | None = None
    """Null = text, and what the capabilities say."""
    output_modalities: tuple[Modality, ...] | None = None
    """Null = text; vectors of an embeddings model."""
    languages: tuple[str, ...] | None = None
    """Languages the vendor names (ISO 639-1); null = it names none in particular."""
    context_window: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    quality: Share | None = None
    released: date | None = None
    deprecated_at: date | None = None
    """The day from which the vendor does not promise it any more."""
    embedding: Embedding | None = None

    def takes(self) -> tuple[Modality, ...]:
        """Modalities of the input."""
        if self.input_modalities is not None:
            return self.input_modalities
        return ("text", *(kind for need, kind in CAPABILITY_MODALITIES.items() if need in self.capabilities))

    def makes(self) -> tuple[Modality, ...]:
        """Modalities of the output."""
        return self.output_modalities or (("embedding",) if self.embedding is not None else ("text",))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if ("embeddings" in self.capabilities) != (self.embedding is not None):
            raise ValueError("capability 'embeddings' and the block 'embedding' belong together")
        if self.reasoning_efforts and "reasoning" not in self.capabilities:
            raise ValueError("reasoning_efforts without the capability 'reasoning'")
        return self


class CatalogFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: dict[str, str]
    families: tuple[Family, ...] = ()
    models: tuple[ModelRow, ...]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for row in self.models:
            for name in (row.model, *row.aliases):
                if (row.provider, name) in seen:
                    raise ValueError(f"{row.provider}/{name} is there twice")
                seen.add((row.provider, name))
            if unknown := set(row.classes) - set(self.classes):
                raise ValueError(f"{row.provider}/{row.model}: unknown class '{min(unknown)}'")
        return self


def load(text: str, where: str) -> CatalogFile:
    """The catalog in ``text``.

    Raises:
        CatalogFileError: not YAML, an unknown field, a bad value, a duplicate; says where.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CatalogFileError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise CatalogFileError(f"{where}: expected a mapping with 'classes', 'families' and 'models'")
    try:
        return CatalogFile.model_validate(found)
    except ValidationError as error:
        raise CatalogFileError("; ".join(_line(where, found, each) for each in error.errors())) from error


def _line(where: str, found: dict[str, Any], error: Any) -> str:
    path = ".".join(str(step) for step in error["loc"])
    named = ""
    if len(error["loc"]) > 1 and error["loc"][0] in ("models", "families"):
        row = found[error["loc"][0]][error["loc"][1]]
        if isinstance(row, dict):
            named = f" ({row.get('provider')}/{row.get('model') or row.get('pattern')})"
    return f"{where}: {path or 'file'}{named}: {error['msg']}"


@cache
def built_in_file() -> CatalogFile:
    """The file that comes with this library."""
    return load(BUILT_IN.read_text(encoding="utf-8"), BUILT_IN.name)
