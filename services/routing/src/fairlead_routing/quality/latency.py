"""Compares pickers of the fastest provider of a model in a region on a trace of measurements, in the order of time.

A pick uses only what was measured before its round. Judged is the later half of the rounds. ``fairlead`` follows the
leader: of many settings and of the simple pickers, the one whose picks have cost least in all rounds before. Beside
the pickers stand oracles, which look at the judged rounds themselves and say what could be reached at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Final

import numpy as np

from fairlead_routing.quality.evaluation import Cases, Report, judge
from fairlead_routing.quality.predictors import numbers

EPS_SHARE: Final = 0.10
EPS_S: Final = 0.05
DAY_S: Final = 86_400.0
HALF_LIVES_DAYS: Final = (2.0, 7.0, 30.0)
OTHER_REGIONS: Final = (0.1, 0.3, 1.0)
"""What a measurement from another region weighs."""
QUANTILES: Final = (0.5, 0.6)
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


EACH_ROUND: Final = "oracle: each round"
"""Knows the round itself: nothing can do better."""
OTHER_ROUNDS: Final = "oracle: other rounds"
"""Knows every second judged round of the context, and picks in the rest: the level of these very days, not the noise."""
ONE_PER_MODEL: Final = "oracle: one per model"
"""Knows all judged rounds, and takes one provider for a model in all regions: the best fixed choice in hindsight."""

Expect = Callable[[Sequence[Measurement], str, float], float]
"""(earlier measurements of one model at one provider, region, now) to expected seconds; infinite = nothing known."""


def compare_latency(trace: Sequence[Measurement], seed: int) -> Report:
    """Judge every picker.

    Raises:
        ValueError: nowhere in the later half of the rounds is there a choice between providers of one model.
    """
    ordered = sorted(trace, key=lambda each: each.time_s)
    rounds = sorted({each.round for each in ordered})
    middle = rounds[len(rounds) // 2]
    arms = tuple(sorted({each.provider for each in ordered}))
    every = sorted(_choices(ordered), key=lambda each: each.round)
    picked = _picks(every)
    later = [row for row, each in enumerate(every) if each.round >= middle]
    if not later:
        raise ValueError("no model was measured at two providers in one round of the later half")
    choices = [every[row] for row in later]
    names, context_of = numbers([f"{each.model} {each.region}" for each in choices])
    utility = np.full((len(choices), len(arms)), np.nan)
    rng = np.random.default_rng(seed)
    for row, choice in enumerate(choices):
        for provider, seconds in choice.seconds.items():
            utility[row, arms.index(provider)] = np.nan if seconds is None else -seconds
    picked["random"] = [str(rng.choice(sorted(each.seconds))) for each in every]
    picks = {name: np.array([arms.index(of[row]) for row in later]) for name, of in picked.items()}
    for name, of in _oracles([every[row] for row in later]).items():
        picks[name] = np.array([arms.index(provider) for provider in of])
    cases = Cases(arms, names, context_of, utility, lambda best: np.maximum(EPS_SHARE * -best, EPS_S))
    return judge(cases, picks, [("fairlead", name) for name in BASELINES], seed)


def _picks(choices: "Sequence[_Choice]") -> dict[str, list[str]]:
    """The provider that each picker takes in each choice; the choices are in the order of their rounds."""
    settings = product(HALF_LIVES_DAYS, OTHER_REGIONS, QUANTILES)
    experts = BASELINES | {str(setting): recent_quantile(*setting) for setting in settings}
    found: dict[str, list[str]] = {name: [] for name in (*BASELINES, "fairlead")}
    cost = dict.fromkeys(experts, 0.0)
    for _, same_round in groupby(choices, lambda each: each.round):
        leader, spent = min(cost, key=lambda name: cost[name]), dict.fromkeys(experts, 0.0)
        for choice in same_round:
            picked = {name: _picked(choice, expect) for name, expect in experts.items()}
            for name in BASELINES:
                found[name].append(picked[name])
            found["fairlead"].append(picked[leader])
            for name, provider in picked.items():
                spent[name] += _cost(choice, provider)
        cost = {name: before + spent[name] for name, before in cost.items()}
    return found


def _oracles(judged: "Sequence[_Choice]") -> dict[str, list[str]]:
    """What each oracle takes, of the means over some of the judged rounds: see ``ORACLES``."""
    number = {start: place for place, start in enumerate(sorted({each.round for each in judged}))}

    def same_context(one: _Choice, other: _Choice) -> bool:
        return (one.model, one.region) == (other.model, other.region)

    def other_rounds(one: _Choice, other: _Choice) -> bool:
        return same_context(one, other) and number[one.round] % 2 != number[other.round] % 2

    seen: dict[str, Callable[[_Choice, _Choice], bool]] = {
        EACH_ROUND: lambda one, other: one is other,
        OTHER_ROUNDS: other_rounds,
        ONE_PER_MODEL: lambda one, other: one.model == other.model,
    }
    return {
        name: [_least(one, [other for other in judged if sees(one, other)]) for one in judged]
        for name, sees in seen.items()
    }


def _least(choice: "_Choice", among: "Sequence[_Choice]") -> str:
    """The provider of the least mean cost among these choices."""
    costs = {p: [_cost(each, p) for each in among if p in each.seconds] for p in choice.seconds}
    return min(costs, key=lambda p: (np.mean(costs[p]) if costs[p] else np.inf, p))


def _cost(choice: "_Choice", provider: str) -> float:
    """Seconds of a pick, as the history counts them."""
    seconds = choice.seconds[provider]
    return _failed(list(choice.seconds.values())) or 0.0 if seconds is None else seconds


def _failed(together: Sequence[float | None]) -> float | None:
    """Seconds that a failure costs among these: its time and another's, the slowest of them; None = nobody answered."""
    return max((2 * seconds for seconds in together if seconds is not None), default=None)


def _picked(choice: "_Choice", expect: Expect) -> str:
    expected = {p: expect(choice.history[p], choice.region, choice.round) for p in choice.seconds}
    return min(expected, key=lambda provider: (expected[provider], provider))


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
    failed = {key: _failed([each.seconds for each in group]) for key, group in groups.items()}
    for each in ordered:
        if each.seconds is None:
            each = replace(each, seconds=failed[each.round, each.region, each.model])
        history.setdefault((each.model, each.provider), []).append(each)
    found = []
    for (start, region, model), group in groups.items():
        seconds = {
            provider: _mean([each.seconds for each in group if each.provider == provider])
            for provider in {each.provider for each in group}
        }
        if len(seconds) > 1 and any(each is not None for each in seconds.values()):
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


def recent_quantile(half_life_days: float, other_regions: float, quantile: float) -> Expect:
    """Weighted quantile: newer measurements weigh more, those from other regions less."""

    def expect(history: Sequence[Measurement], region: str, now: float) -> float:
        weighed = sorted(
            (
                each.seconds,
                0.5 ** ((now - each.time_s) / DAY_S / half_life_days)
                * (1.0 if each.region == region else other_regions),
            )
            for each in history
            if each.seconds is not None
        )
        total = sum(weight for _, weight in weighed)
        left = quantile * total
        for seconds, weight in weighed if total > 0 else ():
            left -= weight
            if left <= 0:
                return seconds
        return float("inf")

    return expect


BASELINES: Final[dict[str, Expect]] = {
    "best single": everywhere,
    "median history": median_history,
    "EWMA(.3)": moving_average,
}
