"""Predictors of the quality of every model for a prompt: neighbours, kernel ridge, matrix factors, clusters, a mean.

All predict the difference to the mean of the model in the task class, so that what is not learned falls back to it.
Their settings are chosen by validation inside the outcomes they are trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from fairlead_routing.quality.evaluation import Floats, Ints

FOLDS: Final = 3
NEIGHBOURS: Final = (50, 100, 200, 400)
RIDGE: Final = ((2.0, 3.0), (4.0, 10.0), (2.0, 30.0), (4.0, 30.0))
"""(gamma of the Gaussian kernel, penalty)."""
FACTORS: Final = ((1, 3.0), (2, 3.0), (4, 3.0), (4, 30.0))
"""(rank, penalty)."""
CLUSTERS: Final = (8, 16, 32)
MOST_COMPARED: Final = 4000
"""Prompts that a new one is compared with: the cost of a kernel grows with the cube of their number."""
TASK_PRIOR: Final = 20.0
"""Outcomes of the whole that the mean of a task class starts with."""


class QualityPredictor(Protocol):
    """A trained predictor."""

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """Expected quality, prompts x models, in the units it was trained on."""


@dataclass(frozen=True, slots=True)
class Training:
    """Outcomes to learn from. ``quality`` is prompts x models, NaN = unknown; ``tasks`` are numbers from 0."""

    places: Floats
    tasks: Ints
    quality: Floats

    def part(self, which: Ints) -> "Training":
        """Some of the prompts."""
        return Training(self.places[which], self.tasks[which], self.quality[which])


@dataclass(frozen=True, slots=True)
class TaskMeans:
    """The mean of each model per task class, drawn towards its mean over all; an unknown class gets the latter."""

    overall: Floats
    by_task: Floats

    @classmethod
    def of(cls, training: Training) -> "TaskMeans":
        """Means over all prompts; an unknown outcome counts as the worst one known, so that a few do not make a winner."""
        known = np.isfinite(training.quality)
        filled = np.where(known, training.quality, 0.0)
        counts = known.sum(axis=0)
        worst = float(np.nanmin(training.quality)) if known.any() else 0.0
        missing = len(known) - counts
        overall = (filled.sum(axis=0) + missing * worst) / max(1, len(known))
        rows = []
        for task in range(int(training.tasks.max(initial=-1)) + 1):
            of_task = training.tasks == task
            unknown = (~known[of_task]).sum(axis=0)
            total = filled[of_task].sum(axis=0) + unknown * worst
            rows.append((total + TASK_PRIOR * overall) / (of_task.sum() + TASK_PRIOR))
        return cls(overall, np.array(rows).reshape(-1, len(overall)))

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """The mean of the prompt's class."""
        table = np.vstack((self.by_task, self.overall))
        found: Floats = table[np.where((tasks >= 0) & (tasks < len(self.by_task)), tasks, len(self.by_task))]
        return found


def _residuals(training: Training, means: TaskMeans) -> Floats:
    found = training.quality - means.predict(training.places, training.tasks)
    return np.where(np.isfinite(found), found, 0.0)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Mean of the ``count`` nearest training prompts, weighted by similarity."""

    means: TaskMeans
    places: Floats
    residuals: Floats
    count: int

    @classmethod
    def of(cls, training: Training, count: int) -> "Neighbours":
        """Trained."""
        means = TaskMeans.of(training)
        training = training.part(_thinned(len(training.places)))
        return cls(means, training.places, _residuals(training, means), count)

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """See ``QualityPredictor``."""
        similar = np.maximum(places @ self.places.T, 0.0)
        count = min(self.count, similar.shape[1])
        cut = np.partition(similar, similar.shape[1] - count, axis=1)[:, -count][:, None]
        weights = np.where(similar >= cut, similar, 0.0)
        local = (weights @ self.residuals) / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        found: Floats = self.means.predict(places, tasks) + local
        return found


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Ridge regression with a Gaussian kernel over the reduced space."""

    means: TaskMeans
    places: Floats
    weights: Floats
    gamma: float

    @classmethod
    def of(cls, training: Training, setting: tuple[float, float]) -> "KernelRidge":
        """Trained with (gamma, penalty)."""
        means = TaskMeans.of(training)
        gamma, penalty = setting
        training = training.part(_thinned(len(training.places)))
        kernel = _gaussian(training.places, training.places, gamma)
        kernel[np.diag_indices_from(kernel)] += penalty
        weights: Floats = np.linalg.solve(kernel, _residuals(training, means)).astype(np.float64)
        return cls(means, training.places, weights, gamma)

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """See ``QualityPredictor``."""
        found: Floats = (
            self.means.predict(places, tasks) + _gaussian(places, self.places, self.gamma) @ self.weights
        )
        return found


def _thinned(count: int) -> Ints:
    """Evenly spread places of at most ``MOST_COMPARED`` prompts."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_COMPARED)).astype(np.int64))


def _gaussian(one: Floats, other: Floats, gamma: float) -> Floats:
    """Of rows of unit length: the squared distance is 2 - 2 cos."""
    return np.exp(-gamma * np.maximum(2 - 2 * (one @ other.T), 0.0))


@dataclass(frozen=True, slots=True)
class Factors:
    """Matrix factorisation with the prompt's place as its side: a few traits of prompts times as many of each model.

    Reduced-rank ridge regression (Izenman 1975; Mukherjee and Zhu 2011): the ridge fit, projected onto its own leading
    right singular vectors.
    """

    means: TaskMeans
    weights: Floats

    @classmethod
    def of(cls, training: Training, setting: tuple[int, float]) -> "Factors":
        """Trained with (rank, penalty)."""
        means = TaskMeans.of(training)
        rank, penalty = setting
        places = training.places
        square = places.T @ places + penalty * np.eye(places.shape[1])
        weights = np.linalg.solve(square, places.T @ _residuals(training, means))
        traits = np.linalg.svd(places @ weights, full_matrices=False)[2][:rank]
        return cls(means, (weights @ traits.T) @ traits)

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """See ``QualityPredictor``."""
        found: Floats = self.means.predict(places, tasks) + places @ self.weights
        return found


@dataclass(frozen=True, slots=True)
class Clusters:
    """The mean of the nearest cluster, drawn towards that of the task class: the form the edge can evaluate."""

    means: TaskMeans
    centres: Floats
    residuals: Floats

    @classmethod
    def of(cls, training: Training, count: int) -> "Clusters":
        """Trained: spherical k-means from spread-out first centres, 25 rounds at most."""
        means = TaskMeans.of(training)
        places = training.places
        centres = _spread(places, min(count, len(places)))
        nearest = np.argmax(places @ centres.T, axis=1)
        for _ in range(25):
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, places)
            centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
            again = np.argmax(places @ centres.T, axis=1)
            if np.array_equal(again, nearest):
                break
            nearest = again
        residuals = np.zeros((len(centres), training.quality.shape[1]))
        np.add.at(residuals, nearest, _residuals(training, means))
        residuals /= (np.bincount(nearest, minlength=len(centres)) + TASK_PRIOR)[:, None]
        return cls(means, centres, residuals)

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """See ``QualityPredictor``."""
        found: Floats = (
            self.means.predict(places, tasks) + self.residuals[np.argmax(places @ self.centres.T, axis=1)]
        )
        return found


def _spread(places: Floats, count: int) -> Floats:
    """The first place, then each time the one farthest from all chosen."""
    chosen = [0]
    near = places @ places[0]
    while len(chosen) < count:
        chosen.append(int(np.argmin(near)))
        near = np.maximum(near, places @ places[chosen[-1]])
    return places[chosen].copy()


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of several predictors."""

    parts: tuple[QualityPredictor, ...]

    def predict(self, places: Floats, tasks: Ints) -> Floats:
        """See ``QualityPredictor``."""
        return np.asarray(sum(part.predict(places, tasks) for part in self.parts)) / len(self.parts)


Fit = Callable[[Training], QualityPredictor]


@dataclass(frozen=True, slots=True)
class Tuned:
    """What validation inside the training outcomes found. Gains are paired, over the class means, per prompt."""

    neighbours: int
    ridge: tuple[float, float]
    factors: tuple[int, float]
    clusters: int
    gains: Floats

    def learned(self, training: Training) -> QualityPredictor:
        """The mean of neighbours and kernel ridge."""
        return Mean((Neighbours.of(training, self.neighbours), KernelRidge.of(training, self.ridge)))

    @property
    def gain(self) -> tuple[float, float, float]:
        """(mean, low, high) of the learned predictor's gain in validation: a 95 % normal interval."""
        mean = float(self.gains.mean())
        half = 1.96 * float(self.gains.std()) / max(1.0, float(np.sqrt(len(self.gains))))
        return mean, mean - half, mean + half

    @property
    def worth_it(self) -> bool:
        """The interval of the gain over the class means excludes a loss."""
        return self.gain[1] > 0


def tune(training: Training, seed: int) -> Tuned:
    """Choose every setting by ``FOLDS``-fold validation.

    The class means that the gain is measured against have seen all of ``training``, the learned predictor never the
    prompt it is judged on: an advantage for the means that outweighs the settings being chosen by the same folds.
    """
    order = np.random.default_rng(seed).permutation(len(training.tasks))
    folds = [order[start::FOLDS] for start in range(FOLDS)]

    def out_of_fold(fit: Fit) -> Floats:
        found = np.zeros(training.quality.shape)
        for fold in folds:
            rest = np.setdiff1d(order, fold)
            found[fold] = fit(training.part(rest)).predict(training.places[fold], training.tasks[fold])
        return found

    near = {k: out_of_fold(lambda part, k=k: Neighbours.of(part, k)) for k in NEIGHBOURS}  # type: ignore[misc]
    ridge = {s: out_of_fold(lambda part, s=s: KernelRidge.of(part, s)) for s in RIDGE}  # type: ignore[misc]
    factors = {s: out_of_fold(lambda part, s=s: Factors.of(part, s)) for s in FACTORS}  # type: ignore[misc]
    groups = {k: out_of_fold(lambda part, k=k: Clusters.of(part, k)) for k in CLUSTERS}  # type: ignore[misc]
    best_near = max(near, key=lambda k: _value(training, near[k]).mean())
    best_ridge = max(ridge, key=lambda s: _value(training, ridge[s]).mean())
    best_factors = max(factors, key=lambda s: _value(training, factors[s]).mean())
    best_groups = max(groups, key=lambda k: _value(training, groups[k]).mean())
    usual = TaskMeans.of(training).predict(training.places, training.tasks)
    gains = _value(training, near[best_near] + ridge[best_ridge]) - _value(training, usual)
    return Tuned(best_near, best_ridge, best_factors, best_groups, gains)


def _value(training: Training, predicted: Floats) -> Floats:
    """Quality of the model that is predicted to be best, prompt by prompt; of an unknown outcome, 0."""
    picked = training.quality[np.arange(len(predicted)), np.argmax(predicted, axis=1)]
    found: Floats = np.where(np.isfinite(picked), picked, 0.0)
    return found


def numbers(names: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """(the names in order, the number of each entry's name)."""
    ordered = tuple(sorted(set(names)))
    place = {name: position for position, name in enumerate(ordered)}
    return ordered, np.array([place[name] for name in names], dtype=np.int64)
