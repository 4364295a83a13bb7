"""How good each model is at each kind of task: scores of its answers, drawn towards what was known before them.

A few scores say little, so an estimate is a posterior mean. Of a model over all tasks: what was known before counts as
``PRIOR_SCORES`` scores. Of a model in one task class: the model's estimate over all tasks counts as
``TASK_PRIOR_SCORES``. A model of which nothing was known before needs ``PRIOR_SCORES`` scores to have an estimate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fairlead_common.decisions.targets import Target

PRIOR_SCORES: Final = 10.0
TASK_PRIOR_SCORES: Final = 20.0


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one model's answers to prompts of one task class."""

    count: int
    mean: float
    """0 to 1."""
    sources: Mapping[str, int] = field(default_factory=dict)
    """Where they come from: abtest, feedback, ...; to how many."""


@dataclass(frozen=True, slots=True)
class QualityTable:
    """Immutable."""

    scores: Mapping[Target, Mapping[str, Scores]] = field(default_factory=dict)
    """target to task class to scores."""

    def of(self, target: Target, task: str, prior: float | None) -> float | None:
        """Expected quality of an answer to a prompt of ``task``, 0 to 1; None = unknown.

        Args:
            prior: what was known of the target before its scores, 0 to 1; None = nothing.
        """
        by_task = self.scores.get(target)
        if not by_task:
            return prior
        overall = _overall(by_task, prior)
        found = by_task.get(task)
        return overall if overall is None or found is None else _drawn(found, TASK_PRIOR_SCORES, overall)


def _overall(by_task: Mapping[str, Scores], prior: float | None) -> float | None:
    count = sum(each.count for each in by_task.values())
    mean = sum(each.count * each.mean for each in by_task.values()) / count
    if prior is None:
        return mean if count >= PRIOR_SCORES else None
    return _drawn(Scores(count, mean), PRIOR_SCORES, prior)


def _drawn(found: Scores, weight: float, towards: float) -> float:
    return (found.count * found.mean + weight * towards) / (found.count + weight)


NO_SCORES: Final = QualityTable()
