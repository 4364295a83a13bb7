"""Value of the ``quality`` bucket, key = workspace id: scores of answers by model and task class, from routing."""

from pydantic import BaseModel, ConfigDict, Field

from fairlead_common.decisions.quality import QualityTable, Scores
from fairlead_common.decisions.targets import Target


class TaskScores(BaseModel):
    """Scores of one model in one task class."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str
    task: str
    count: int = Field(ge=1)
    mean: float = Field(ge=0, le=1)
    sources: dict[str, int]
    """abtest, feedback, ... to the number of scores that came from there."""


class QualitySnapshot(BaseModel):
    """All scores of a workspace, by target, then task."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    scores: tuple[TaskScores, ...] = ()

    def table(self) -> QualityTable:
        """As routing decisions read it."""
        found: dict[Target, dict[str, Scores]] = {}
        for each in self.scores:
            of_target = found.setdefault(Target(each.provider, each.model), {})
            of_target[each.task] = Scores(each.count, each.mean, each.sources)
        return QualityTable(found)
