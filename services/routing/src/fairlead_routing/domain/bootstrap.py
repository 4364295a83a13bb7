"""Paired bootstrap over calls: what the mean outcome would have been if other targets had been chosen.

A call that stays where it was keeps its outcome. For one that goes elsewhere, the mean outcome of the calls that did go
there is expected, computed anew in each resample, so that the intervals hold the uncertainty of both. This is the direct
method of off-policy evaluation with a model of one mean per target; it is right as far as the calls of different
targets are alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 400
CHUNK: Final = 25
SEED: Final = 20_261_125
MIN_CALLS: Final = 5
"""Fewer calls than this say nothing of a target's mean."""

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % percentile interval; NaN = unknown."""

    value: float
    low: float
    high: float


def resamples(count: int) -> Iterator[Floats]:
    """How often each call is drawn in each resample, some resamples at a time; always the same draws."""
    random, chances = np.random.default_rng(SEED), np.full(count, 1 / count)
    for _ in range(0, RESAMPLES, CHUNK):
        yield random.multinomial(count, chances, size=CHUNK).astype(np.float64)


def mean_of(values: Floats) -> Interval:
    """Mean of a value per call."""
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    found = np.concatenate([weights @ values for weights in resamples(len(values))]) / len(values)
    return _interval(float(values.mean()), found)


def shares(before: Whole, after: Whole, count: int) -> list[Interval]:
    """For each of ``count`` names, by how much its share of the calls grows."""
    change = one_hot(after, count) - one_hot(before, count)
    found = np.concatenate([weights @ change for weights in resamples(len(before))]) / len(before)
    values = change.mean(axis=0)
    return [_interval(float(values[i]), found[:, i]) for i in range(count)]


def usable(before: Whole, fallback: Floats) -> Flags:
    """Targets whose mean can be told, from enough calls or from ``fallback`` (NaN = unknown)."""
    counts = np.bincount(before, minlength=len(fallback))
    found: Flags = (counts >= MIN_CALLS) | ~np.isnan(fallback)
    return found


def difference(outcomes: Floats, before: Whole, after: Whole, told: Flags, fallback: Floats) -> Interval:
    """Mean change of the outcome per call, over the calls that are ``told``; every ``after`` of these must be usable.

    All calls, told or not, say what is to be expected of the targets they went to.
    """
    changed = ((before != after) & told).astype(np.float64)
    there, among = one_hot(after, len(fallback)) * changed[:, None], told.astype(np.float64)

    def change(weights: Floats) -> Floats:
        means = target_means(weights, outcomes, before, fallback)
        gained: Floats = (weights @ there * means).sum(axis=1) - weights @ (outcomes * changed)
        return gained / np.maximum(weights @ among, 1.0)

    value = change(np.ones((1, len(outcomes))))
    return _interval(
        float(value[0]), np.concatenate([change(weights) for weights in resamples(len(outcomes))])
    )


def target_means(weights: Floats, outcomes: Floats, before: Whole, fallback: Floats) -> Floats:
    """Mean outcome of each target in each resample; NaN where nothing is known."""
    chosen = one_hot(before, len(fallback))
    sums, counts = weights @ (chosen * outcomes[:, None]), weights @ chosen
    overall = chosen.T @ outcomes / np.maximum(chosen.sum(axis=0), 1)
    own = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    enough = chosen.sum(axis=0) >= MIN_CALLS
    found: Floats = np.where(enough, own, fallback)
    return np.where(np.isnan(found), 0.0, found)


def one_hot(which: Whole, count: int) -> Floats:
    """A row for each call, a column for each name; -1 = none."""
    found = np.zeros((len(which), count))
    rows = np.flatnonzero(which >= 0)
    found[rows, which[rows]] = 1.0
    return found


def _interval(value: float, found: Floats) -> Interval:
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(value, float(low), float(high))
