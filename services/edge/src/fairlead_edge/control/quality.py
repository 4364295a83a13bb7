"""``/api/providers/routing/quality``: how good this edge takes each model to be, by task class, and what that rests on."""

from typing import Literal

from fairlead_common.decisions.quality import QualityTable
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.entries import Entry
from fastapi import APIRouter
from pydantic import BaseModel, Field

from fairlead_edge.control.dependencies import FleetNow, WorkspaceId
from fairlead_edge.fleet import Fleet

router = APIRouter(prefix="/api/providers/routing", tags=["routing"])


class TaskQuality(BaseModel):
    """One model in one task class."""

    task: str
    quality: float | None = Field(
        description="expected, 0 to 1: the scores drawn towards the model's quality"
    )
    scores: int
    mean: float = Field(description="of the scores as they are")
    sources: dict[str, int] = Field(description="abtest, feedback, ...: how many scores came from there")


class ModelQuality(BaseModel):
    """One model. Null = unknown."""

    target: str
    quality: float | None = Field(description="expected over all tasks, 0 to 1")
    prior: float | None = Field(description="what was known before the workspace's own scores")
    prior_source: Literal["measured", "catalog"] | None = Field(
        description="measured: mean of the fleet's A/B tests; catalog: declared"
    )
    tasks: list[TaskQuality] = Field(description="only where the workspace has scores")


class Qualities(BaseModel):
    """All models of which anything is known."""

    models: list[ModelQuality]


@router.get("/quality", summary="Quality of each model, by task class")
async def list_qualities(fleet: FleetNow, workspace_id: WorkspaceId) -> Qualities:
    """What the strategies quality and balanced, ``min_quality`` and ``quality[...]`` in conditions go by."""
    table = fleet.scores(workspace_id)
    entries = fleet.catalog(workspace_id).entries
    targets = sorted({*entries, *table.scores})
    found = (_model(fleet, table, target, entries.get(target)) for target in targets)
    return Qualities(models=[each for each in found if each.prior is not None or each.tasks])


def _model(fleet: Fleet, table: QualityTable, target: Target, entry: Entry | None) -> ModelQuality:
    measured = fleet.measured(target).quality
    declared = None if entry is None else entry.quality
    prior = declared if measured is None else measured
    return ModelQuality(
        target=str(target),
        quality=table.of(target, "", prior),
        prior=prior,
        prior_source=None if prior is None else "catalog" if measured is None else "measured",
        tasks=[
            TaskQuality(
                task=task,
                quality=table.of(target, task, prior),
                scores=found.count,
                mean=found.mean,
                sources=dict(found.sources),
            )
            for task, found in sorted(table.scores.get(target, {}).items())
        ],
    )
