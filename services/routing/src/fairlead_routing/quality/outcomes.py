"""Compares pickers of a model on outcomes of the same prompts at many models: trained on one half, judged on the other.

Both halves take their turn, so every prompt is judged once by pickers that never saw it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fairlead_routing.quality.evaluation import Cases, Floats, Ints, Report, judge
from fairlead_routing.quality.features import Space, hashed
from fairlead_routing.quality.predictors import (
    Clusters,
    Factors,
    Neighbours,
    QualityPredictor,
    TaskMeans,
    Training,
    Tuned,
    numbers,
    tune,
)

EPS: Final = 0.01
"""One point of a score from 0 to 1."""
COST_WEIGHTS: Final = (0.0, 0.05, 0.2)
"""Score that the dearest model's price is worth."""
BASELINES: Final = ("best single", "per-task best")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """``quality`` is prompts x arms, 0 to 1, NaN = unknown. ``price`` is relative, the dearest arm's 1; None = unknown."""

    name: str
    prompts: tuple[str, ...]
    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    quality: Floats
    price: Floats | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """The result for one weight of cost, and what validation inside each half said of the learned predictor."""

    cost_weight: float
    report: Report
    validated: tuple[tuple[float, float, float], ...]
    """(gain, low, high) in each training half."""


def compare(outcomes: Outcomes, seed: int) -> list[Compared]:
    """Train and judge every picker, for each weight of cost (only 0 when no price is known)."""
    names, task_of = numbers(outcomes.tasks)
    predicted, tuned = _predictions(outcomes, task_of, seed)
    found = []
    for weight in COST_WEIGHTS if outcomes.price is not None else (0.0,):
        price = np.zeros(len(outcomes.arms)) if outcomes.price is None else outcomes.price
        picks = {name: np.argmax(values - weight * price, axis=1) for name, values in predicted.items()}
        picks["random"] = np.random.default_rng(seed).integers(len(outcomes.arms), size=len(task_of))
        if outcomes.price is not None:
            picks["cheapest"] = np.full(len(task_of), int(np.argmin(price)))
        cases = Cases(
            outcomes.arms,
            names,
            task_of,
            outcomes.quality - weight * price,
            lambda best: np.full(len(best), EPS),
        )
        pairs = [
            (policy, base) for policy in ("fairlead", "learned", "factors", "clusters") for base in BASELINES
        ]
        gains = tuple(each.gain for each in tuned)
        found.append(Compared(weight, judge(cases, picks, pairs, seed), gains))
    return found


def _predictions(outcomes: Outcomes, task_of: Ints, seed: int) -> tuple[dict[str, Floats], list[Tuned]]:
    counts = hashed(outcomes.prompts)
    order = np.random.default_rng(seed).permutation(len(task_of))
    halves = (np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :]))
    found: dict[str, Floats] = {}
    tuned = []
    for train, test in (halves, halves[::-1]):
        space = Space.of(counts[train])
        training = Training(space.place(counts[train]), task_of[train], outcomes.quality[train])
        settings = tune(training, seed)
        tuned.append(settings)
        for name, predictor in _pickers(training, settings).items():
            values = found.setdefault(name, np.zeros(outcomes.quality.shape))
            values[test] = predictor.predict(space.place(counts[test]), task_of[test])
    return found, tuned


def _pickers(training: Training, tuned: Tuned) -> Mapping[str, QualityPredictor]:
    means = TaskMeans.of(training)
    learned = tuned.learned(training)
    return {
        "best single": replace(means, by_task=means.by_task[:0]),
        "per-task best": means,
        "tuned kNN": Neighbours.of(training, tuned.neighbours),
        "factors": Factors.of(training, tuned.factors),
        "clusters": Clusters.of(training, tuned.clusters),
        "learned": learned,
        "fairlead": learned if tuned.worth_it else means,
    }
