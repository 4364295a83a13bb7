"""What routing did with the calls of a period: who got them, what that saved, and how good the choices look afterwards."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import numpy as np
from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.targets import Target
from fairlead_common.operations import routing_replay as ops
from fairlead_common.operations.calls import DecidedCall

from fairlead_routing.domain import bootstrap
from fairlead_routing.domain.outcomes import OBSERVED, cost_at
from fairlead_routing.domain.replay import Knowledge, first_target, target_of
from fairlead_routing.domain.what_if import estimate

METHOD: Final = (
    "Savings: the price of the same tokens at the baseline, less what was paid. Regret: for each call the mean outcome of"
    " its first target, less that of the best of the candidates kept with it, with the means of the period's own calls"
    " to each target; candidates to which fewer than 5 went are left out, and a call with fewer than two that are left"
    " does not count. The best of several noisy means looks better than it is, so regret is overstated where calls are"
    f" few. 95 % percentile intervals of a bootstrap over calls ({bootstrap.RESAMPLES} resamples, fixed seed)."
)
MAX_LISTED: Final = 50
Then = Mapping[tuple[int | None, str | None], Conditions]
"""(table version, rule) to the conditions that the rule had."""
LIMITS: Final[Mapping[str, Callable[[DecidedCall], float | None]]] = {
    "max_cost_usd": lambda call: call.cost_usd,
    "max_latency_ms": lambda call: call.duration_ms if call.provider is not None else None,
    "max_ttft_ms": lambda call: call.ttft_ms,
}


def analytics(
    calls: Sequence[DecidedCall],
    total: int,
    period: tuple[datetime, datetime],
    rules: Then,
    known: Knowledge,
    baseline: Target | None,
) -> ops.Analytics:
    """Everything, of ``calls``, which may be a sample of ``total``."""
    first = [first_target(call) for call in calls]
    served = [target for target in first if target is not None]
    reasons = (_plain(each.reason) for call in calls for each in call.decision.excluded)
    broken = (limit for call in calls for limit in _broken(call, rules))
    moved = (str(target) for call, target in zip(calls, first, strict=True) if call.failover)

    def count(names: Iterable[str]) -> list[ops.Count]:
        return _counts(names, len(calls))

    return ops.Analytics(
        calls=total,
        looked_at=len(calls),
        since=period[0],
        until=period[1],
        rules=count(call.rule or "" for call in calls if call.decision.strategy is not None),
        strategies=count(call.decision.strategy for call in calls if call.decision.strategy is not None),
        providers=count(target.provider for target in served),
        models=count(str(target) for target in served),
        tasks=count(call.decision.task for call in calls),
        explored=sum(call.decision.explored for call in calls),
        fallbacks=sum(call.failover for call in calls),
        fallbacks_from=count(moved),
        unserved=sum(target is None for target in first),
        exclusions=count(reasons),
        violations=count(broken),
        savings=_savings(calls, known, baseline or _most(served)),
        regret=[_regret(metric, calls) for metric in ("cost_usd", "latency_ms", "failure_share")],
        method=METHOD,
    )


def _counts(names: Iterable[str], calls: int) -> list[ops.Count]:
    found = Counter(names).most_common(MAX_LISTED)
    return [ops.Count(name=name, calls=count, share=min(1.0, count / calls)) for name, count in found]


def _plain(reason: str) -> str:
    """A reason without its figures, so that equal ones count together."""
    return re.sub(r"\d[\d.,]*", "#", reason)


def _broken(call: DecidedCall, rules: Then) -> list[str]:
    conditions = rules.get((call.table_version, call.rule))
    if conditions is None:
        return []
    found = []
    for name, value in LIMITS.items():
        limit, actual = getattr(conditions, name), value(call)
        if limit is not None and actual is not None and actual > limit:
            found.append(name)
    return found


def _most(served: Sequence[Target]) -> Target | None:
    return Counter(served).most_common(1)[0][0] if served else None


def _savings(calls: Sequence[DecidedCall], known: Knowledge, baseline: Target | None) -> ops.Savings | None:
    if baseline is None:
        return None
    pairs = [
        (call.cost_usd, instead)
        for call in calls
        if call.cost_usd is not None and (instead := cost_at(baseline, call, known)) is not None
    ]
    paid, instead_usd = sum(paid for paid, _ in pairs), sum(instead for _, instead in pairs)
    return ops.Savings(
        baseline=str(baseline),
        paid_usd=paid,
        baseline_usd=instead_usd,
        saved_usd=instead_usd - paid,
        calls=len(pairs),
    )


def _cost(call: DecidedCall) -> float | None:
    return call.cost_usd


def _regret(
    metric: Literal["cost_usd", "latency_ms", "failure_share"], calls: Sequence[DecidedCall]
) -> ops.Regret:
    observed = _cost if metric == "cost_usd" else OBSERVED[metric]
    rows = [
        (call, target, value)
        for call in calls
        if (target := first_target(call)) is not None and (value := observed(call)) is not None
    ]
    targets = sorted({target for _, target, _ in rows})
    places = {target: place for place, target in enumerate(targets)}
    chosen = np.array([places[target] for _, target, _ in rows], dtype=np.int64)
    outcomes = np.array([value for _, _, value in rows], dtype=np.float64)
    enough = np.bincount(chosen, minlength=len(targets)) >= bootstrap.MIN_CALLS
    choices = np.zeros((len(rows), len(targets)), dtype=np.bool_)
    for row, (call, target, _) in enumerate(rows):
        for name in {target, *(target_of(each.target) for each in call.decision.candidates)}:
            if name in places and enough[places[name]]:
                choices[row, places[name]] = True
    counted = choices.sum(axis=1) >= 2
    counted &= choices[np.arange(len(rows)), chosen] if len(rows) else counted
    if not counted.any():
        nothing = ops.Estimate(value=None, low=None, high=None)
        return ops.Regret(metric=metric, mean=nothing, best_share=None, calls=0)
    return _regret_of(metric, outcomes, chosen, choices, counted)


def _regret_of(
    metric: Literal["cost_usd", "latency_ms", "failure_share"],
    outcomes: bootstrap.Floats,
    chosen: bootstrap.Whole,
    choices: bootstrap.Flags,
    counted: bootstrap.Flags,
) -> ops.Regret:
    unknown = np.full(choices.shape[1], math.nan)
    patterns, which = np.unique(choices, axis=0, return_inverse=True)

    def regrets(means: bootstrap.Floats) -> bootstrap.Floats:
        """Of each call, in each resample."""
        best = np.stack(
            [means[:, pattern].min(axis=1) if pattern.any() else means[:, 0] for pattern in patterns], axis=1
        )
        found: bootstrap.Floats = means[:, chosen] - best[:, which.ravel()]
        return found

    def mean(weights: bootstrap.Floats) -> bootstrap.Floats:
        means = bootstrap.target_means(weights, outcomes, chosen, unknown)
        among = weights * counted
        found: bootstrap.Floats = (among * regrets(means)).sum(axis=1) / np.maximum(among.sum(axis=1), 1.0)
        return found

    once = np.ones((1, len(outcomes)))
    single = regrets(bootstrap.target_means(once, outcomes, chosen, unknown))[0][counted]
    found = np.concatenate([mean(weights) for weights in bootstrap.resamples(len(outcomes))])
    low, high = np.quantile(found, [0.025, 0.975])
    interval = bootstrap.Interval(float(single.mean()), float(low), float(high))
    return ops.Regret(
        metric=metric,
        mean=estimate(interval),
        best_share=float((single <= 0.0).mean()),
        calls=int(counted.sum()),
    )
