"""What one provider showed of one metric: its value, its size, and limits at any confidence.

Calls are no independent draws: failures come in bursts and latency drifts with the hour. Every sample therefore carries
a *design effect*, the factor by which the variance between blocks of time exceeds the one that independent calls would
show (Kish 1965), and is taken as that much smaller (Rao and Scott 1992; Korn and Graubard 1998). It is never below 1.

==============  ==================================================================================
Proportion      Wilson's score interval (1927)
Mean            Student's t interval; for ratios of sums by the delta method
Quantile        order statistics (exact binomial, distribution-free), widened to the edges of the
                sketch's buckets
Scores          Student's t interval over prompts
==============  ==================================================================================
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self

from fairlead_common import sketch

from fairlead_comparison.domain.distributions import binomial_quantile, normal_quantile, t_quantile

ZERO_SHARE = 1e-12
"""A variance below this share of the squared mean is rounding, not spread."""


class Limits(NamedTuple):
    """Confidence limits; infinite where the sample is too small for one."""

    low: float
    high: float


def spread(variance: float, mean: float) -> float:
    """``variance`` without what is only rounding."""
    return variance if variance > ZERO_SHARE * mean * mean else 0.0


def design_effect(residuals: Sequence[float], n: int, variance: float) -> float:
    """Variance between blocks over that of independent observations, at least 1.

    Args:
        residuals: for each block the sum over its observations of (value - overall mean).
        n: observations in all blocks.
        variance: of one observation.
    """
    blocks = len(residuals)
    if blocks < 2 or n == 0 or variance <= 0:
        return 1.0
    between = blocks / (blocks - 1) * sum(each * each for each in residuals)
    return max(1.0, between / (n * variance))


@dataclass(frozen=True, slots=True)
class Proportion:
    """``events`` of ``n``."""

    events: int
    n: int
    effect: float = 1.0

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.events / self.n

    @property
    def effective_n(self) -> float:
        """Size of the sample of independent observations that would say as much."""
        return self.n / self.effect

    def limits(self, alpha: float) -> Limits:
        """Wilson's score interval without continuity correction, which holds the share also after rounding."""
        z, n, p = normal_quantile(1 - alpha / 2), self.effective_n, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return Limits(max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean (or a ratio of means) of ``n`` observations whose (linearised) variance is ``variance``."""

    value: float
    variance: float
    n: int
    effect: float = 1.0

    @classmethod
    def of_sums(cls, total: float, total_sq: float, n: int) -> Self:
        """From sum and sum of squares; ``n`` at least 2."""
        mean = total / n
        variance = (total_sq - total * mean) / (n - 1)
        return cls(mean, spread(variance, mean), n)

    @property
    def error_sq(self) -> float:
        """Squared standard error."""
        return self.variance * self.effect / self.n

    def limits(self, alpha: float) -> Limits:
        """Student's t interval."""
        half = t_quantile(1 - alpha / 2, self.n - 1) * math.sqrt(self.error_sq)
        return Limits(self.value - half, self.value + half)


@dataclass(frozen=True, slots=True)
class Quantile:
    """The ``q``-quantile of what a sketch holds."""

    buckets: tuple[int, ...]
    counts: tuple[int, ...]
    """Values in this bucket and all before it."""
    q: float
    effect: float = 1.0

    @classmethod
    def of_sketch(cls, values: Mapping[int, int], q: float, effect: float = 1.0) -> Self:
        """From a sketch that is not empty."""
        buckets = tuple(sorted(bucket for bucket, count in values.items() if count > 0))
        return cls(buckets, tuple(accumulate(values[bucket] for bucket in buckets)), q, effect)

    @property
    def n(self) -> int:
        """How many values there are."""
        return self.counts[-1]

    @property
    def bucket(self) -> int:
        """The bucket that holds the quantile."""
        return self._bucket_of_rank(math.floor(self.q * (self.n - 1)) + 1)

    @property
    def value(self) -> float:
        """The quantile, within 1 %."""
        return sketch.value_of(self.bucket)

    def limits(self, alpha: float) -> Limits:
        """Order statistics X(l), X(u) with P(Q < X(l)) <= alpha/2 and P(Q > X(u)) <= alpha/2, to their buckets' edges."""
        low, high = self._limit_buckets(alpha)
        lower_edge = 0.0 if low is None or low == sketch.ZERO else sketch.GAMMA ** (low - 1)
        upper_edge = math.inf if high is None else 0.0 if high == sketch.ZERO else sketch.GAMMA**high
        return Limits(min(lower_edge, self.value), max(upper_edge, self.value))

    def sampling_limits(self, alpha: float) -> Limits:
        """The same without the sketch's error: as if every value were the one that stands for its bucket."""
        low, high = self._limit_buckets(alpha)
        return Limits(
            0.0 if low is None else sketch.value_of(low), math.inf if high is None else sketch.value_of(high)
        )

    def _limit_buckets(self, alpha: float) -> tuple[int | None, int | None]:
        n = max(1, math.floor(self.n / self.effect))
        lower = binomial_quantile(alpha / 2, n, self.q)
        upper = binomial_quantile(1 - alpha / 2, n, self.q) + 1
        return (
            None if lower < 1 else self._bucket_of_rank(math.floor((lower - 1) * self.n / n) + 1),
            None if upper > n else self._bucket_of_rank(math.ceil(upper * self.n / n)),
        )

    def _bucket_of_rank(self, rank: int) -> int:
        return self.buckets[bisect_left(self.counts, rank)]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores by prompt: what two targets said to the same prompt is compared as a pair."""

    by_prompt: Mapping[tuple[int, int], float]

    @property
    def n(self) -> int:
        """Prompts."""
        return len(self.by_prompt)

    @property
    def mean(self) -> Mean:
        """As unpaired observations; needs two prompts."""
        values = self.by_prompt.values()
        return Mean.of_sums(sum(values), sum(each * each for each in values), self.n)

    @property
    def value(self) -> float:
        """Mean over prompts, each counting once."""
        return sum(self.by_prompt.values()) / self.n

    def limits(self, alpha: float) -> Limits:
        """Student's t interval within 0 to 1."""
        if self.n < 2:
            return Limits(0.0, 1.0)
        low, high = self.mean.limits(alpha)
        return Limits(max(0.0, low), min(1.0, high))


Sample = Proportion | Mean | Quantile | Scores
