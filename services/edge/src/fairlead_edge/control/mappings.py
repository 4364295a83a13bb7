"""``/api/providers/models/{provider}/{model}``: what is declared of a model, confirmed, or reported as wrong.

What a workspace says counts for itself; what the operator's says counts for all, and gives way to a workspace's own.
"""

from datetime import date
from typing import Any

from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import DECLARABLE, Pricing
from fairlead_models.errors import UnknownModel
from fastapi import APIRouter, HTTPException
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_edge.control.dependencies import AskedWorkspace, CatalogNow, Changed, Scope, Store
from fairlead_edge.control.models import entry_of

router = APIRouter(prefix="/api/providers/models", tags=["models"])


class MappingIn(BaseModel):
    """What is declared of a model; fields left out stay as they are without it."""

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


class DeclaredOut(BaseModel):
    """What a workspace has declared of a model, confirmed, or reported as wrong. Workspace 1's counts for all."""

    workspace_id: int
    provider: str
    model_name: str
    equivalent_models: list[str]
    capabilities: dict[str, Any]
    """Its capabilities, and whatever else was declared beside prices."""
    pricing: Pricing
    verified: bool
    reported_wrong: str | None
    updated_at: AwareDatetime


class DeclaredList(BaseModel):
    """Rows of one workspace, or of all for the operator."""

    declared: list[DeclaredOut]


class Report(BaseModel):
    """What is wrong with a mapping."""

    reason: str = Field(min_length=3, max_length=500)


class Marked(BaseModel):
    """A mapping after somebody looked at it."""

    workspace_id: int
    provider: str
    model_name: str
    verified: bool
    reported_wrong: str | None


@router.get("/declared", summary="What was declared")
async def list_declared(store: Store, scope: Scope) -> DeclaredList:
    """What the workspace has declared, confirmed and reported; for the operator, that of all workspaces."""
    rows = await store.mappings(scope)
    return DeclaredList(declared=[DeclaredOut.model_validate(dict(row)) for row in rows])


@router.put("/{provider}/{model}", summary="Declare a model")
async def put_model(
    store: Store,
    changed: Changed,
    catalog: CatalogNow,
    workspace_id: AskedWorkspace,
    provider: str,
    model: str,
    body: MappingIn,
) -> Marked:
    """Create or replace what a workspace declares of a model, the operator's for all; edges follow within about a second."""
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
        "workspace_id": workspace_id,
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


@router.post("/{provider}/{model}/verify", summary="Confirm a mapping")
async def verify(
    store: Store,
    changed: Changed,
    catalog: CatalogNow,
    workspace_id: AskedWorkspace,
    provider: str,
    model: str,
) -> Marked:
    """A person has confirmed what the workspace goes by."""
    target = _target(catalog, provider, model)
    saved = await store.mark_mapping(workspace_id, target, verified=True, reported=None)
    changed()
    return Marked.model_validate(dict(saved))


@router.post("/{provider}/{model}/report", summary="Report a wrong mapping")
async def report(
    store: Store,
    changed: Changed,
    catalog: CatalogNow,
    workspace_id: AskedWorkspace,
    provider: str,
    model: str,
    body: Report,
) -> Marked:
    """A person says what is wrong; the mapping counts as not verified in the workspace until somebody confirms it.

    The operator finds it in the list of what was declared.
    """
    target = _target(catalog, provider, model)
    saved = await store.mark_mapping(workspace_id, target, verified=False, reported=body.reason)
    changed()
    return Marked.model_validate(dict(saved))


@router.delete("/{provider}/{model}", status_code=204, summary="Drop what was declared")
async def delete_model(
    store: Store, changed: Changed, workspace_id: AskedWorkspace, provider: str, model: str
) -> None:
    """Back to what holds without it."""
    if not await store.delete_mapping(workspace_id, Target(provider, model)):
        raise HTTPException(404, f"workspace {workspace_id} has declared nothing of '{provider}/{model}'")
    changed()


def _target(catalog: Catalog, provider: str, model: str) -> Target:
    entry = entry_of(catalog, provider, model)
    return Target(entry.provider, entry.model)
