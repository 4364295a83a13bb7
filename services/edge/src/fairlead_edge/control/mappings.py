"""``/api/providers/models/{provider}/{model}``: what operators declare of a model, confirm, or report as wrong."""

from datetime import date
from typing import Any

from fairlead_models.catalog.entries import DECLARABLE, Pricing
from fairlead_models.errors import UnknownModel
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from fairlead_edge.control.dependencies import OPERATOR, CatalogNow, Changed, Store
from fairlead_edge.control.models import entry_of

router = APIRouter(prefix="/api/providers/models", tags=["models"])


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
    entry = entry_of(catalog, provider, model)
    saved = await store.mark_mapping(entry.provider, entry.model, verified=True, reported=None)
    changed()
    return Marked.model_validate(dict(saved))


@router.post("/{provider}/{model}/report", summary="Report a wrong mapping")
async def report(
    store: Store, changed: Changed, catalog: CatalogNow, provider: str, model: str, body: Report
) -> Marked:
    """A person says what is wrong; the mapping counts as not verified until somebody confirms it."""
    entry = entry_of(catalog, provider, model)
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
