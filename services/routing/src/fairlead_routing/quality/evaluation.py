"""Judges policies on held-out outcomes by *expected* utility per context, with intervals from a paired bootstrap.

The oracle of a context is the arm of the best mean utility among its cases. A context counts as eps-optimal for a policy
when the policy's own mean there is within eps of the oracle's; contexts in which all arms are within eps of each other
are left out of that rate and counted apart. A pick without an outcome was not allowed: it counts as the worst arm of
its context, whatever was right. The oracle is the largest of several noisy means, so every figure errs against the
policies, and an interval of the rate may lie below its estimate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLES: Final = 1000
LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cases:
    """Held-out outcomes. ``utility`` is cases x arms, higher is better, NaN = the arm was not allowed or not measured."""

    arms: tuple[str, ...]
    contexts: tuple[str, ...]
    context_of: Ints
    utility: Floats
    slack: Callable[[Floats], Floats]
    """eps of each oracle value, in units of utility."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One policy on one set of cases."""

    eps_optimal: Estimate
    """Share of cases in contexts in which the policy's mean is within eps of the best arm's."""
    optimal_picks: Estimate
    """Share of cases whose picked arm is within eps of the context's best one, by its mean there."""
    regret: Estimate
    """Mean over the cases, against the best arm of the context."""
    of_oracle: Estimate
    """Mean utility over the oracle's (for costs such as seconds: the oracle's over the policy's)."""
    not_allowed: int


@dataclass(frozen=True, slots=True)
class Report:
    """All policies on one set of cases, with the paired gain of the chosen ones over the baselines."""

    cases: int
    contexts: int
    indifferent: int
    """Contexts in which all arms are within eps of each other."""
    verdicts: Mapping[str, Verdict]
    gains: Mapping[tuple[str, str], Estimate]
    """(policy, baseline) to the mean utility gained over the baseline."""


def judge(
    cases: Cases,
    picks: Mapping[str, Ints],
    pairs: Sequence[tuple[str, str]],
    seed: int,
    resamples: int = RESAMPLES,
) -> Report:
    """Judge every policy.

    Args:
        picks: of each policy, the number of the arm picked in each case.
        pairs: (policy, baseline) to compare case by case.
    """
    gained = {name: realised(cases, chosen) for name, chosen in picks.items()}
    one = np.ones(len(cases.context_of))
    rng = np.random.default_rng(seed)
    weights = [rng.multinomial(len(one), one / len(one)).astype(float) for _ in range(resamples)]
    exact = _measure(cases, picks, gained, one)
    drawn = [_measure(cases, picks, gained, weight) for weight in weights]
    verdicts = {
        name: _verdict(
            exact.figures[name],
            [each.figures[name] for each in drawn],
            int(np.isnan(cases.utility[np.arange(len(one)), chosen]).sum()),
        )
        for name, chosen in picks.items()
    }
    gains = {}
    for policy, baseline in pairs:
        difference = gained[policy] - gained[baseline]
        gains[policy, baseline] = _estimate(
            float(difference.mean()), [float(weight @ difference) / len(one) for weight in weights]
        )
    return Report(len(one), exact.contexts, exact.indifferent, verdicts, gains)


def realised(cases: Cases, chosen: Ints) -> Floats:
    """Utility of each pick; of one that was not allowed, the mean of its context's worst arm."""
    found: Floats = cases.utility[np.arange(len(chosen)), chosen].copy()
    means = _context_means(cases, np.ones(len(chosen)))
    _, worst = _ends(means)
    missing = np.isnan(found)
    found[missing] = np.nan_to_num(worst)[cases.context_of][missing]
    return found


@dataclass(frozen=True, slots=True)
class _Measured:
    figures: Mapping[str, tuple[float, float, float, float]]
    contexts: int
    indifferent: int


def _measure(
    cases: Cases, picks: Mapping[str, Ints], gained: Mapping[str, Floats], weight: Floats
) -> _Measured:
    means = _context_means(cases, weight)
    best, worst = _ends(means)
    total = np.bincount(cases.context_of, weight, len(cases.contexts))
    seen = (total > 0) & np.isfinite(best)
    eps = np.where(seen, cases.slack(np.where(seen, best, 0.0)), 0.0)
    matters = seen & (best - worst > eps)
    oracle = float(total[seen] @ best[seen]) / float(total[seen].sum())
    figures = {}
    for name, utility in gained.items():
        mean = np.bincount(cases.context_of, weight * utility, len(cases.contexts)) / np.maximum(total, 1e-12)
        value = float(total[seen] @ mean[seen]) / float(total[seen].sum())
        picked = means[cases.context_of, picks[name]]
        near = picked >= (best - eps)[cases.context_of]
        share = float(total[matters].sum())
        counted = weight * matters[cases.context_of]
        figures[name] = (
            float(total[matters & (mean >= best - eps)].sum()) / share if share else 1.0,
            float(counted @ near) / share if share else 1.0,
            oracle - value,
            value / oracle if oracle > 0 else oracle / value,
        )
    return _Measured(figures, int(seen.sum()), int((seen & ~matters).sum()))


Figures = tuple[float, float, float, float]


def _verdict(exact: Figures, drawn: Sequence[Figures], not_allowed: int) -> Verdict:
    optimal, picks, regret, share = (
        _estimate(value, [each[column] for each in drawn]) for column, value in enumerate(exact)
    )
    return Verdict(optimal, picks, regret, share, not_allowed)


def _ends(means: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(means).any(axis=1)
    best = np.where(known, np.where(np.isfinite(means), means, -np.inf).max(axis=1), np.nan)
    worst = np.where(known, np.where(np.isfinite(means), means, np.inf).min(axis=1), np.nan)
    return best, worst


def _context_means(cases: Cases, weight: Floats) -> Floats:
    """Contexts x arms; NaN where an arm has outcomes in less than half of the context's cases."""
    known = np.isfinite(cases.utility)
    shape = (len(cases.contexts), len(weight))
    belongs = csr_matrix((weight, (cases.context_of, np.arange(len(weight)))), shape=shape)
    counts = belongs @ known.astype(float)
    sums = belongs @ np.where(known, cases.utility, 0.0)
    total = np.bincount(cases.context_of, weight, len(cases.contexts))[:, None]
    enough = counts >= np.maximum(total / 2, 1e-9)
    return np.where(enough, sums / np.maximum(counts, 1e-12), np.nan)


def _estimate(value: float, drawn: Sequence[float]) -> Estimate:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.asarray(drawn), (tail, 1 - tail))
    return Estimate(value, float(low), float(high))
