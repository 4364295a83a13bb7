"""Quality: scores of answers to the prompts of A/B tests, and their mean."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Score(NamedTuple):
    """Mean score (0 to 1) of one target's answers to one prompt of one test; ``samples`` answers went into it."""

    prompt: tuple[int, int]
    """Test and index."""
    provider: str
    model: str
    value: float
    samples: int
    at: datetime


class Quality(NamedTuple):
    """Mean score (0 to 1) over all answers, and how many they are."""

    mean: float
    samples: int


def quality_by_target(scores: Iterable[Score]) -> dict[tuple[str, str], Quality]:
    """Quality of each (provider, model): every answer counts once."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for each in scores:
        found = sums[each.provider, each.model]
        found[0] += each.value * each.samples
        found[1] += each.samples
    return {target: Quality(total / samples, int(samples)) for target, (total, samples) in sums.items()}
