"""Trains the edge's quality table from outcomes, and refuses one that is not shown to be better than the plain means."""

from typing import Final

import numpy as np
from fairlead_common.snapshots.predictor import Cluster, Evaluation, LearnedTable, compiled

from fairlead_routing.quality.evaluation import Cases, Floats, Ints, judge
from fairlead_routing.quality.features import Space, hashed, weighted
from fairlead_routing.quality.outcomes import EPS, Outcomes
from fairlead_routing.quality.predictors import Clusters, TaskMeans, Training, numbers, tune

WORDS_PER_CLUSTER: Final = 300


def train(outcomes: Outcomes, seed: int) -> LearnedTable:
    """Train on each half and judge the very table on the other; then train on all."""
    names, task_of = numbers(outcomes.tasks)
    order = np.random.default_rng(seed).permutation(len(task_of))
    halves = (np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :]))
    picks = {name: np.zeros(len(order), dtype=np.int64) for name in ("table", "per-task best")}
    for learn, test in (halves, halves[::-1]):
        table = compiled(clusters_of(outcomes, task_of, learn, seed))
        nothing = np.zeros((len(order), 1))
        means = TaskMeans.of(Training(nothing, task_of, outcomes.quality).part(learn))
        usual = np.argmax(means.predict(nothing[test], task_of[test]), axis=1)
        picks["per-task best"][test] = usual
        for row, default in zip(test, usual, strict=True):
            known = table.of(outcomes.prompts[row])
            best = max(known, key=lambda arm: known[arm]) if known else outcomes.arms[default]
            picks["table"][row] = outcomes.arms.index(best)
    cases = Cases(outcomes.arms, names, task_of, outcomes.quality, lambda best: np.full(len(best), EPS))
    report = judge(cases, picks, [("table", "per-task best")], seed)
    every = np.arange(len(order))
    gain = report.gains["table", "per-task best"]
    evaluation = Evaluation(
        source=outcomes.name[:500],
        prompts=len(order),
        seed=seed,
        gain=gain.value,
        low=gain.low,
        high=gain.high,
    )
    return LearnedTable(evaluation=evaluation, clusters=clusters_of(outcomes, task_of, every, seed))


def clusters_of(outcomes: Outcomes, task_of: Ints, which: Ints, seed: int) -> tuple[Cluster, ...]:
    """Clusters of some of the prompts. They do not know the task class: the words have to tell."""
    counts = hashed([outcomes.prompts[row] for row in which])
    space = Space.of(counts)
    training = Training(space.place(counts), np.zeros_like(task_of[which]), outcomes.quality[which])
    clusters = Clusters.of(training, tune(training, seed).clusters)
    member = np.argmax(training.places @ clusters.centres.T, axis=1)
    quality = np.clip(
        clusters.predict(clusters.centres, np.zeros(len(clusters.centres), dtype=np.int64)), 0, 1
    )
    words = weighted(counts, space.idf)
    return tuple(
        Cluster(
            prompts=int((member == number).sum()),
            quality={arm: round(float(row[n]), 4) for n, arm in enumerate(outcomes.arms)},
            words=tuple(
                (bucket, round(strength * float(space.idf[bucket]), 5))
                for bucket, strength in _strongest(np.asarray(words[member == number].sum(axis=0)).ravel())
            ),
        )
        for number, row in enumerate(quality)
    )


def _strongest(mean: Floats) -> list[tuple[int, float]]:
    length = float(np.linalg.norm(mean))
    chosen = np.argsort(-mean, kind="stable")[:WORDS_PER_CLUSTER]
    return [(int(bucket), float(mean[bucket]) / length) for bucket in chosen if mean[bucket] > 0]
