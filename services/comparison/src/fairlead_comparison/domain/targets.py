"""What figures are of: a provider, or one model at a provider, written ``provider/model``."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fairlead_common.operations.comparison import Level

from fairlead_comparison.domain.samples import Scores
from fairlead_comparison.domain.scores import Score
from fairlead_comparison.domain.sums import Part, Sums


@dataclass(frozen=True, slots=True)
class Selection:
    """Certain targets, or (none named) everything of a level."""

    targets: Collection[str] = ()
    level: Level = "provider"

    def names(self, provider: str, model: str) -> list[str]:
        """Names under which traffic of this model at this provider counts."""
        if not self.targets:
            return [provider if self.level == "provider" else f"{provider}/{model}"]
        return [name for name in (provider, f"{provider}/{model}") if name in self.targets]


def problem_of(targets: Sequence[str]) -> str | None:
    """What is wrong with a list of targets that are to be compared, or None."""
    for name in targets:
        if targets.count(name) > 1:
            return f"targets names '{name}' twice"
        provider, slash, _ = name.partition("/")
        if slash and provider in targets:
            return (
                f"targets names '{name}' beside '{provider}', which contains it; compare it with other models"
            )
    return None


def blocks_of(parts: Iterable[Part], selection: Selection) -> dict[str, dict[datetime, Sums]]:
    """Sums of each target by block of time, in order; a named target without traffic has no blocks."""
    found: dict[str, dict[datetime, Sums]] = {name: {} for name in selection.targets}
    for part in parts:
        for name in selection.names(part.provider, part.model):
            found.setdefault(name, {}).setdefault(part.at, Sums()).add(part.sums)
    return found


def scores_of(scores: Iterable[Score], selection: Selection) -> dict[str, Scores]:
    """Scores of each target by prompt; several models of a provider are averaged by their answers."""
    sums: dict[str, dict[tuple[int, int], tuple[float, int]]] = defaultdict(dict)
    for each in scores:
        for name in selection.names(each.provider, each.model):
            value, samples = sums[name].get(each.prompt, (0.0, 0))
            sums[name][each.prompt] = (value + each.value * each.samples, samples + each.samples)
    return {
        name: Scores({prompt: value / samples for prompt, (value, samples) in by_prompt.items()})
        for name, by_prompt in sums.items()
    }


def quality_steps(
    scores: Iterable[Score], selection: Selection, step_s: int
) -> dict[str, list[tuple[datetime, Scores]]]:
    """Scores of each target in each step of time in which there are any, in order."""
    by_step: dict[int, list[Score]] = defaultdict(list)
    for each in scores:
        by_step[int(each.at.timestamp() // step_s)].append(each)
    found: dict[str, list[tuple[datetime, Scores]]] = {name: [] for name in selection.targets}
    for number in sorted(by_step):
        at = datetime.fromtimestamp(number * step_s, UTC)
        for name, sample in scores_of(by_step[number], selection).items():
            found.setdefault(name, []).append((at, sample))
    return found
