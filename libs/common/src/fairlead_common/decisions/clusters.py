"""The edge's table of qualities: which cluster a prompt belongs to, and how good each model is there.

Trained elsewhere; this evaluates it with dictionaries alone.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Final

from fairlead_common.decisions.quality import TASK_PRIOR_SCORES
from fairlead_common.decisions.targets import Target

BUCKETS: Final = 1 << 15
MAX_CHARS: Final = 4000
WORD: Final = re.compile(r"[a-z]+|\d|[^\sa-z\d]")


def features(prompt: str) -> dict[int, float]:
    """Hashed words and pairs of words, their counts damped by a logarithm: bucket to weight."""
    words = WORD.findall(prompt[:MAX_CHARS].lower())
    counts = Counter(words)
    counts.update(f"{one} {two}" for one, two in pairwise(words))
    found: dict[int, float] = {}
    for word, count in counts.items():
        bucket = zlib.crc32(word.encode()) % BUCKETS
        found[bucket] = found.get(bucket, 0.0) + 1 + math.log(count)
    return found


@dataclass(frozen=True, slots=True)
class ClusterTable:
    """Immutable. ``pull`` is bucket to (cluster, weight) pairs, the inverse frequency of words multiplied in."""

    pull: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    qualities: tuple[Mapping[str, float], ...] = ()
    """Of each cluster: model to expected quality, 0 to 1."""
    prompts: tuple[int, ...] = ()
    """How many prompts each cluster was learned from."""
    version: int = 0

    def cluster_of(self, prompt: str) -> int | None:
        """The cluster of the largest pull, the lower number on ties; None when no word is known."""
        sums: dict[int, float] = {}
        for bucket, weight in features(prompt).items():
            for cluster, strength in self.pull.get(bucket, ()):
                sums[cluster] = sums.get(cluster, 0.0) + weight * strength
        return min(sums, key=lambda cluster: (-sums[cluster], cluster)) if sums else None

    def of(self, prompt: str) -> Mapping[str, float]:
        """Model to expected quality; empty when nothing is known."""
        cluster = self.cluster_of(prompt)
        return {} if cluster is None else self.qualities[cluster]

    def expected(self, cluster: int, model: str, otherwise: float | None) -> float | None:
        """Expected quality of ``model`` in a cluster: the learned one, drawn towards what is expected without it.

        Args:
            otherwise: quality for the task class, 0 to 1, or None; it counts as ``TASK_PRIOR_SCORES`` prompts.
        """
        learned = self.qualities[cluster].get(model)
        if learned is None or otherwise is None:
            return otherwise if learned is None else learned
        prompts = self.prompts[cluster]
        return (prompts * learned + TASK_PRIOR_SCORES * otherwise) / (prompts + TASK_PRIOR_SCORES)


class Prediction:
    """What a table says of one prompt. Its cluster is looked up once, and only when somebody asks.

    Args:
        prompt: makes the text of the user's latest turn.
    """

    def __init__(self, table: ClusterTable, prompt: Callable[[], str]) -> None:
        self.table = table
        self._prompt = prompt
        self.asked = False
        """A decision went by it."""

    @cached_property
    def cluster(self) -> int | None:
        """None = no word of the prompt is known."""
        self.asked = True
        return self.table.cluster_of(self._prompt())

    def knows(self, target: Target) -> bool:
        """Whether answers of ``target`` to prompts of this cluster were learned from."""
        cluster = self.cluster
        return cluster is not None and str(target) in self.table.qualities[cluster]

    def expected(self, target: Target, otherwise: float | None) -> float | None:
        """Expected quality of an answer of ``target`` to the prompt; see ``ClusterTable.expected``."""
        cluster = self.cluster
        return otherwise if cluster is None else self.table.expected(cluster, str(target), otherwise)
