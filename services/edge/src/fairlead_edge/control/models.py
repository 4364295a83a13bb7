"""``/api/providers/models``: the catalog with capabilities, prices, stand-ins and measured performance, and its refresh."""

from datetime import date
from typing import Annotated, Any, Literal

from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.changes import ModelChange, changes
from fairlead_models.catalog.entries import Entry, Pricing
from fairlead_models.catalog.search import Filters, search
from fairlead_models.errors import CatalogFileError, UnknownModel
from fairlead_models.providers import ProviderSpec
from fastapi import APIRouter, HTTPException, Query
from pydantic import AwareDatetime, BaseModel

from fairlead_edge.control.dependencies import OPERATOR, CatalogNow, CatalogSource, Changed, FleetNow, Specs
from fairlead_edge.fleet import Fleet

router = APIRouter(prefix="/api/providers/models", tags=["models"])


class MeasuredOut(BaseModel):
    """What calls showed of a model lately. Null = not enough was seen to say."""

    calls: int
    failures: int
    error_rate: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    output_tokens_per_s: float | None
    cost_per_call_usd: float | None
    quality: float | None
    quality_samples: int
    window_s: int
    window_end: AwareDatetime


class ModelOut(Entry):
    """One model at one provider. Null = unknown. ``sources`` names every value that is known."""

    target: str
    measured: MeasuredOut | None = None
    input_tokens_per_estimated: float | None = None
    """Learned by this edge from the usage of answers; estimates of cost and length are corrected by it."""


class ProviderOut(BaseModel):
    """How a provider is spoken to."""

    provider: str
    wire: str
    region: str | None
    api_version: str | None
    """The version of its API that requests name, in a header or in their path; null = its address names none."""
    model_api_versions: dict[str, str]
    """Of single models that are pinned to another."""


class ModelList(BaseModel):
    """Models that match, and the providers that can be called."""

    models: list[ModelOut]
    providers: list[ProviderOut]


class FieldChange(BaseModel):
    """One field of a model."""

    before: Any
    now: Any


class ModelChangeOut(BaseModel):
    """What a refresh changes of one model."""

    target: str
    change: Literal["added", "removed", "changed"]
    fields: dict[str, FieldChange]


class Refreshed(BaseModel):
    """What a refresh has found; edges follow within about a second."""

    price_package: str
    """Version of genai-prices."""
    read_anew: bool
    """The package's data or the catalog file had changed on disk since they were read."""
    changes: list[ModelChangeOut]


class EquivalentOut(BaseModel):
    """A stand-in, and why it is one."""

    target: str
    reason: str
    pricing: Pricing


class Equivalents(BaseModel):
    """Stand-ins of a model, in the order in which they are preferred before anything is measured."""

    target: str
    equivalents: list[EquivalentOut]


@router.get("", summary="List models")
async def list_models(
    catalog: CatalogNow,
    fleet: FleetNow,
    specs: Specs,
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
    models = [_out(entry, fleet) for entry in search(catalog.entries.values(), wanted)]
    return ModelList(models=models, providers=[_provider_out(spec) for spec in specs])


@router.post("/refresh", summary="Read prices and catalog anew", dependencies=[OPERATOR])
async def refresh(fleet: FleetNow, source: CatalogSource, changed: Changed) -> Refreshed:
    """Read the installed price package and the catalog file; say what differs from what is in use.

    Done again, it finds nothing more.
    """
    try:
        anew = await source.read_anew()
    except (CatalogFileError, OSError) as error:
        raise HTTPException(500, f"{error}; what was read before stays in use") from error
    found = changes(fleet.models.shared.entries, (await source.made()).shared.entries)
    changed()
    return Refreshed(
        price_package=source.price_package, read_anew=anew, changes=[_change_out(each) for each in found]
    )


@router.get("/{provider}/{model}", summary="One model")
async def get_model(catalog: CatalogNow, fleet: FleetNow, provider: str, model: str) -> ModelOut:
    """Capabilities, price, classes, and what was measured lately."""
    return _out(entry_of(catalog, provider, model), fleet)


@router.get("/{provider}/{model}/equivalents", summary="Who can stand in")
async def get_equivalents(catalog: CatalogNow, provider: str, model: str) -> Equivalents:
    """Stand-ins with reasons."""
    entry = entry_of(catalog, provider, model)
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


def _out(entry: Entry, fleet: Fleet) -> ModelOut:
    target = Target(entry.provider, entry.model)
    return ModelOut(
        **{**entry.model_dump(), "sources": entry.value_sources()},
        target=str(target),
        measured=_measured(fleet, target),
        input_tokens_per_estimated=fleet.ratios.applied.get(target),
    )


def _measured(fleet: Fleet, target: Target) -> MeasuredOut | None:
    known = fleet.performance.get(target.provider)
    found = next((each for each in known.models if each.model == target.model), None) if known else None
    if known is None or found is None:
        return None
    figures = found.model_dump(include=set(MeasuredOut.model_fields))
    window_s = found.window_s if found.window_s is not None else known.window_s
    return MeasuredOut.model_validate({**figures, "window_s": window_s, "window_end": known.window_end})


def _provider_out(spec: ProviderSpec) -> ProviderOut:
    return ProviderOut(
        provider=spec.name,
        wire=spec.wire,
        region=spec.region,
        api_version=spec.sent_api_version,
        model_api_versions=dict(spec.model_api_versions),
    )


def _change_out(change: ModelChange) -> ModelChangeOut:
    fields = {name: FieldChange(before=before, now=now) for name, (before, now) in change.fields.items()}
    return ModelChangeOut(target=str(change.target), change=change.change, fields=fields)


def entry_of(catalog: Catalog, provider: str, model: str) -> Entry:
    """What the catalog says of a model. Raises HTTPException(404) when that is nothing."""
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
