"""A mergeable quantile sketch with 1 % relative error: DDSketch with logarithmic buckets (Masson, Rim, Lee, VLDB 2019).

A sketch is ``{bucket: count}``; merging is adding counts, in memory or with SUM in SQL. Values are milliseconds.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
LOG_GAMMA: Final = math.log(GAMMA)
ZERO: Final = -100_000
"""Bucket of values of 0 or below."""

Sketch = Counter[int]


def bucket_of(value: float) -> int:
    """Bucket of a value."""
    return ZERO if value <= 0 else math.ceil(math.log(value) / LOG_GAMMA)


def value_of(bucket: int) -> float:
    """The value that stands for a bucket, within 1 % of everything in it."""
    return 0.0 if bucket == ZERO else 2 * GAMMA**bucket / (GAMMA + 1)


def sketch_of(values: Iterable[float]) -> Sketch:
    """Sketch of some values."""
    return Counter(bucket_of(value) for value in values)


def from_json(stored: Mapping[str, int]) -> Sketch:
    """A sketch as it is stored (JSON has only strings for keys)."""
    return Counter({int(bucket): count for bucket, count in stored.items()})


def to_json(sketch: Sketch) -> dict[str, int]:
    """A sketch as it is stored."""
    return {str(bucket): count for bucket, count in sorted(sketch.items())}


def quantile(sketch: Mapping[int, int], q: float) -> float | None:
    """The ``q``-quantile (0 to 1), within 1 % relative error; None for an empty sketch."""
    total = sum(sketch.values())
    if total == 0:
        return None
    rank = q * (total - 1)
    seen = 0
    for bucket in sorted(sketch):
        seen += sketch[bucket]
        if seen > rank:
            return value_of(bucket)
    return value_of(max(sketch))


def mean(sketch: Mapping[int, int]) -> float | None:
    """The mean, within 1 % relative error; None for an empty sketch."""
    total = sum(sketch.values())
    return sum(value_of(bucket) * count for bucket, count in sketch.items()) / total if total else None
