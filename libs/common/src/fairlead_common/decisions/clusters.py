"""The edge's table of qualities: which cluster a prompt belongs to, and how good each model is there.

Trained elsewhere; this evaluates it with dictionaries alone.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

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
