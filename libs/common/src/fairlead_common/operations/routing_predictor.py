"""What the routing service answers about the learned predictor of qualities."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.operations.routing import SERVICE, OfWorkspace
from fairlead_common.snapshots.predictor import Evaluation, LearnedTable


class InstallPredictor(OfWorkspace):
    """Decide by this table from now on."""

    table: LearnedTable
    changed_by: str | None = None
    """Id of the key that asked for it."""


class RemovePredictor(OfWorkspace):
    """Decide without a table."""

    changed_by: str | None = None


class RestorePredictor(RemovePredictor):
    """Decide by the table of an earlier version again."""

    version: int = Field(ge=1)


class LearnedFrom(BaseModel):
    """What a table is, without its words."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    clusters: int
    models: list[str]
    bytes: int
    evaluation: Evaluation


class Predictor(BaseModel):
    """One version of a workspace's predictor."""

    version: int
    action: Literal["installed", "removed", "restored"]
    table: LearnedFrom | None = Field(description="null: from then on there was none")
    changed_by: str | None = Field(description="id of the key that asked for it; null: unknown")
    changed_at: AwareDatetime


class PredictorVersions(BaseModel):
    """The versions that are kept, the newest first; it is in force."""

    versions: list[Predictor]


PREDICTOR = Operation(SERVICE, "predictor", OfWorkspace, Predictor)
INSTALL_PREDICTOR = Operation(SERVICE, "install_predictor", InstallPredictor, Predictor)
REMOVE_PREDICTOR = Operation(SERVICE, "remove_predictor", RemovePredictor, Empty)
PREDICTOR_VERSIONS = Operation(SERVICE, "predictor_versions", OfWorkspace, PredictorVersions)
RESTORE_PREDICTOR = Operation(SERVICE, "restore_predictor", RestorePredictor, Predictor)
