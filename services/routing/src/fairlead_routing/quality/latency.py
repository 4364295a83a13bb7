"""Compares pickers of the fastest provider of a model in a region on a trace of measurements, in the order of time.

A pick uses only what was measured before its round. Judged is the later half of the rounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fairlead_routing.quality.evaluation import Cases, Report, judge
from fairlead_routing.quality.predictors import numbers

EPS_SHARE: Final = 0.10
EPS_S: Final = 0.05
DAY_S: Final = 86_400.0
HALF_LIFE_DAYS: Final = 7.0
OTHER_REGIONS: Final = 0.3
"""What a measurement from another region weighs."""
QUANTILE: Final = 0.6
"""Above the median: a provider is judged a little by its bad moments."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call. ``seconds`` is None when it failed."""

    time_s: float
    round: float
    """Start of the round of measurements it belongs to, Unix seconds."""
    region: str
    model: str
    provider: str
    seconds: float | None


Expect = Callable[[Sequence[Measurement], str, float], float]
"""(earlier measurements of one model at one provider, region, now) to expected seconds; infinite = nothing known."""


def compare_latency(trace: Sequence[Measurement], seed: int) -> Report:
    """Judge every picker. Needs models that at least two providers serve in the later half of the rounds."""
    ordered = sorted(trace, key=lambda each: each.time_s)
    rounds = sorted({each.round for each in ordered})
    middle = rounds[len(rounds) // 2]
    arms = tuple(sorted({each.provider for each in ordered}))
    choices = [each for each in _choices(ordered) if each.round >= middle]
    names, context_of = numbers([f"{each.model} {each.region}" for each in choices])
    utility = np.full((len(choices), len(arms)), np.nan)
    picks = {name: np.zeros(len(choices), dtype=np.int64) for name in ("random", *PICKERS)}
    rng = np.random.default_rng(seed)
    for row, choice in enumerate(choices):
        for provider, seconds in choice.seconds.items():
            utility[row, arms.index(provider)] = np.nan if seconds is None else -seconds
        offered = sorted(choice.seconds)
        picks["random"][row] = arms.index(offered[int(rng.integers(len(offered)))])
        for name, expect in PICKERS.items():
            expected = {p: expect(choice.history[p], choice.region, choice.round) for p in offered}
            picks[name][row] = arms.index(min(offered, key=lambda p: (expected[p], p)))
    cases = Cases(arms, names, context_of, utility, lambda best: np.maximum(EPS_SHARE * -best, EPS_S))
    return judge(cases, picks, [("fairlead", name) for name in ("best single", "median history")], seed)


@dataclass(frozen=True, slots=True)
class _Choice:
    round: float
    region: str
    model: str
    seconds: dict[str, float | None]
    history: dict[str, tuple[Measurement, ...]]


def _choices(ordered: Sequence[Measurement]) -> list[_Choice]:
    history: dict[tuple[str, str], list[Measurement]] = {}
    groups: dict[tuple[float, str, str], list[Measurement]] = {}
    for each in ordered:
        groups.setdefault((each.round, each.region, each.model), []).append(each)
        history.setdefault((each.model, each.provider), []).append(each)
    found = []
    for (start, region, model), group in groups.items():
        seconds = {
            provider: _mean([each.seconds for each in group if each.provider == provider])
            for provider in {each.provider for each in group}
        }
        if len(seconds) > 1:
            before = {
                p: tuple(
                    each for each in history[model, p] if each.time_s < start and each.seconds is not None
                )
                for p in seconds
            }
            found.append(_Choice(start, region, model, seconds, before))
    return found


def _mean(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return float(np.mean(known)) if known else None


def median_history(history: Sequence[Measurement], region: str, now: float) -> float:
    """Median of all that was measured in the region."""
    found = [each.seconds for each in history if each.region == region and each.seconds is not None]
    return float(np.median(found)) if found else float("inf")


def moving_average(history: Sequence[Measurement], region: str, now: float) -> float:
    """Exponentially weighted, 0.3 for the newest."""
    average = float("inf")
    for each in history:
        if each.region == region and each.seconds is not None:
            average = each.seconds if average == float("inf") else 0.7 * average + 0.3 * each.seconds
    return average


def everywhere(history: Sequence[Measurement], region: str, now: float) -> float:
    """Median over all regions: the best single provider of a model."""
    found = [each.seconds for each in history if each.seconds is not None]
    return float(np.median(found)) if found else float("inf")


def recent_quantile(history: Sequence[Measurement], region: str, now: float) -> float:
    """Weighted quantile: newer measurements weigh more, those from other regions less."""
    weighed = sorted(
        (
            each.seconds,
            0.5 ** ((now - each.time_s) / DAY_S / HALF_LIFE_DAYS)
            * (1.0 if each.region == region else OTHER_REGIONS),
        )
        for each in history
        if each.seconds is not None
    )
    left = QUANTILE * sum(weight for _, weight in weighed)
    for seconds, weight in weighed:
        left -= weight
        if left <= 0:
            return seconds
    return float("inf")


PICKERS: Final[dict[str, Expect]] = {
    "best single": everywhere,
    "median history": median_history,
    "EWMA(.3)": moving_average,
    "fairlead": recent_quantile,
}
