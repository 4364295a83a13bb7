"""``/api/providers/models``: the catalog with capabilities, prices and stand-ins, and what operators declare over it."""

from datetime import date
from typing import Annotated, Any

from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import DECLARABLE, Entry, Pricing
from fairlead_models.catalog.search import Filters, search
from fairlead_models.errors import UnknownModel
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from fairlead_edge.control.dependencies import OPERATOR, CatalogNow, Changed, Store

router = APIRouter(prefix="/api/providers/models", tags=["models"])


class ModelOut(Entry):
    """One model at one provider. Null = unknown."""

    target: str


class ModelList(BaseModel):
    """Models that match."""

    models: list[ModelOut]


class EquivalentOut(BaseModel):
    """A stand-in, and why it is one."""

    target: str
    reason: str
    pricing: Pricing


class Equivalents(BaseModel):
    """Stand-ins of a model, in the order in which they are preferred before anything is measured."""

    target: str
    equivalents: list[EquivalentOut]


class MappingIn(BaseModel):
    """What an operator declares of a model; fields left out keep what is built in."""

    model_config = ConfigDict(extra="forbid")

    equivalent_models: list[str] = Field(default=[], description="provider/model")
    classes: list[str] | None = None
    aliases: list[str] | None = None
    capabilities: list[str] | None = None
    input_modalities: list[str] | None = None
    output_modalities: list[str] | None = None
    languages: list[str] | None = Field(default=None, description="ISO 639-1")
    deprecated_at: date | None = Field(
        default=None, description="the day from which it is not promised any more"
    )
    context_window: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    quality: float | None = Field(default=None, ge=0, le=1)
    pricing: Pricing | None = None
    verified: bool = False


class Report(BaseModel):
    """What is wrong with a mapping."""

    reason: str = Field(min_length=3, max_length=500)


class Marked(BaseModel):
    """A mapping after somebody looked at it."""

    provider: str
    model_name: str
    verified: bool
    reported_wrong: str | None


@router.get("", summary="List models")
async def list_models(
    catalog: CatalogNow,
    provider: str | None = None,
    capability: Annotated[list[str] | None, Query()] = None,
    class_: Annotated[str | None, Query(alias="class")] = None,
    q: Annotated[str | None, Query(description="part of provider/model or of an alias")] = None,
    max_input_usd_per_mtok: float | None = None,
    max_output_usd_per_mtok: float | None = None,
    min_context_window: int | None = None,
    min_output_tokens: int | None = None,
    input_modality: str | None = None,
    output_modality: str | None = None,
    language: Annotated[str | None, Query(description="ISO 639-1")] = None,
    min_quality: float | None = None,
    verified: bool | None = None,
    available_on: Annotated[date | None, Query(description="released by this day, not retired on it")] = None,
) -> ModelList:
    """All models that can be called, with filters. What is unknown of a model does not pass a filter on it."""
    wanted = Filters(
        provider=provider,
        capabilities=tuple(capability or ()),
        class_=class_,
        text=q,
        max_input_usd_per_mtok=max_input_usd_per_mtok,
        max_output_usd_per_mtok=max_output_usd_per_mtok,
        min_context_window=min_context_window,
        min_output_tokens=min_output_tokens,
        input_modality=input_modality,
        output_modality=output_modality,
        language=language,
        min_quality=min_quality,
        verified=verified,
        available_on=available_on,
    )
    return ModelList(models=[_out(entry) for entry in search(catalog.entries.values(), wanted)])


@router.get("/{provider}/{model}", summary="One model")
async def get_model(catalog: CatalogNow, provider: str, model: str) -> ModelOut:
    """Capabilities, price, classes."""
    return _out(_entry(catalog, provider, model))


@router.get("/{provider}/{model}/equivalents", summary="Who can stand in")
async def get_equivalents(catalog: CatalogNow, provider: str, model: str) -> Equivalents:
    """Stand-ins with reasons."""
    entry = _entry(catalog, provider, model)
    target = Target(entry.provider, entry.model)
    found = [
        EquivalentOut(
            target=str(each.target),
            reason=each.reason,
            pricing=catalog.entries[each.target].pricing if each.target in catalog.entries else Pricing(),
        )
        for each in catalog.equivalents(target)
    ]
    return Equivalents(target=str(target), equivalents=found)


@router.put("/{provider}/{model}", summary="Declare a model", dependencies=[OPERATOR])
async def put_model(
    store: Store, changed: Changed, catalog: CatalogNow, provider: str, model: str, body: MappingIn
) -> Marked:
    """Create or replace what is declared of a model; edges follow within about a second."""
    if provider not in catalog.providers:
        raise HTTPException(
            422,
            f"provider '{provider}' is not configured; configured are {', '.join(sorted(catalog.providers))}",
        )
    for name in body.equivalent_models:
        try:
            catalog.resolve(name)
        except UnknownModel as error:
            raise HTTPException(422, f"equivalent_models: {error.message}") from error
    abilities = body.model_dump(mode="json", include=set(DECLARABLE))
    row: dict[str, Any] = {
        "model_name": model,
        "provider": provider,
        "equivalent_models": body.equivalent_models,
        "capabilities": {name: value for name, value in abilities.items() if value is not None},
        "pricing": body.pricing.model_dump(mode="json", exclude_none=True) if body.pricing else {},
        "verified": body.verified,
    }
    saved = await store.put_mapping(row)
    changed()
    return Marked.model_validate(dict(saved))


@router.post("/{provider}/{model}/verify", summary="Confirm a mapping", dependencies=[OPERATOR])
async def verify(store: Store, changed: Changed, catalog: CatalogNow, provider: str, model: str) -> Marked:
    """A person has confirmed what is declared."""
    entry = _entry(catalog, provider, model)
    saved = await store.mark_mapping(entry.provider, entry.model, verified=True, reported=None)
    changed()
    return Marked.model_validate(dict(saved))


@router.post("/{provider}/{model}/report", summary="Report a wrong mapping")
async def report(
    store: Store, changed: Changed, catalog: CatalogNow, provider: str, model: str, body: Report
) -> Marked:
    """A person says what is wrong; the mapping counts as not verified until somebody confirms it."""
    entry = _entry(catalog, provider, model)
    saved = await store.mark_mapping(entry.provider, entry.model, verified=False, reported=body.reason)
    changed()
    return Marked.model_validate(dict(saved))


@router.delete(
    "/{provider}/{model}", status_code=204, summary="Drop what was declared", dependencies=[OPERATOR]
)
async def delete_model(store: Store, changed: Changed, provider: str, model: str) -> None:
    """Back to what is built in."""
    if not await store.delete_mapping(provider, model):
        raise HTTPException(404, f"nothing is declared of '{provider}/{model}'")
    changed()


def _out(entry: Entry) -> ModelOut:
    return ModelOut(**entry.model_dump(), target=f"{entry.provider}/{entry.model}")


def _entry(catalog: Catalog, provider: str, model: str) -> Entry:
    try:
        target = catalog.resolve(f"{provider}/{model}")[0]
    except UnknownModel as error:
        raise HTTPException(404, error.message) from error
    found = catalog.entries.get(target)
    if found is None:
        raise HTTPException(
            404, f"the catalog knows nothing of '{target}'; requests for it are passed on as they are"
        )
    return found
