"""The past under changed rules: differences in shares, cost, latency, quality and failures, with intervals."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from fairlead_common.decisions.table import CompiledTable
from fairlead_common.decisions.targets import Target
from fairlead_common.operations import routing_replay as ops
from fairlead_common.operations.calls import DecidedCall

from fairlead_routing.domain import bootstrap
from fairlead_routing.domain.outcomes import OBSERVED, cost_at, expected, quality_at
from fairlead_routing.domain.purse import Purse
from fairlead_routing.domain.replay import Knowledge, Replayed, replay

METHOD: Final = (
    "Each call is decided again by the edges' code, with the draw and the judgements kept with it; what was not a"
    " candidate then is judged by what is known now, without the learned predictor. A budget is counted call by call, by"
    " what each would have cost. A call that stays where it was keeps its outcome. Elsewhere, latency and failures are the"
    " means of the period's calls that did go there (direct method; what is measured now where fewer than 5 did), cost is"
    " the price for the tokens the call had, quality is what was expected. 95 % percentile intervals of a paired bootstrap"
    f" over calls ({bootstrap.RESAMPLES} resamples, fixed seed), the means included."
)
Paired = list[tuple[float, float]]


def what_if(
    calls: Sequence[DecidedCall],
    total: int,
    table: CompiledTable,
    known: Knowledge,
    purse: Purse | None = None,
    assumed: Sequence[str] = (),
) -> ops.WhatIf:
    """Replay ``calls`` under ``table``.

    Args:
        calls: oldest first.
        total: calls of the period, of which ``calls`` may be a sample.
        purse: the workspace's money; None = there is no budget.
        assumed: what the knowledge and the purse take for true.
    """
    found = list(_replays(calls, table, known, purse))
    done = [each for each in found if isinstance(each, Replayed)]
    reasons = Counter(each for each in found if isinstance(each, str))
    served = [each for each in done if each.before is not None and each.after is not None]
    return ops.WhatIf(
        calls=total,
        looked_at=len(calls),
        replayed=len(done),
        changed=sum(each.changed for each in done),
        unserved=sum(each.after is None for each in done),
        blocked=sum(each.blocked for each in done),
        not_replayed=[ops.NotReplayed(reason=why, calls=count) for why, count in reasons.most_common()],
        rules=dict(Counter(each.rule or "" for each in done if not each.blocked).most_common()),
        providers=_shares([(_provider(each.before), _provider(each.after)) for each in done]),
        models=_shares([(_name(each.before), _name(each.after)) for each in done]),
        metrics=[
            _paired("cost_usd", served, _costs(served, known)),
            *(_modelled(metric, served, known) for metric in ("latency_ms", "ttft_ms", "failure_share")),
            _paired("quality", served, _qualities(served, known)),
        ],
        assumed=list(assumed),
        method=METHOD,
    )


def _replays(
    calls: Sequence[DecidedCall], table: CompiledTable, known: Knowledge, purse: Purse | None
) -> Iterator[Replayed | str]:
    for turn, call in enumerate(calls):
        budget = None if purse is None else purse.budget(call.started_at.timestamp())
        found = replay(call, table, known, turn, budget)
        if purse is not None:
            purse.pay(_would_cost(call, found, known))
        yield found


def _would_cost(call: DecidedCall, found: Replayed | str, known: Knowledge) -> float:
    """USD; 0 where nothing can be told, as in a budget of live calls."""
    if isinstance(found, str) or not found.changed:
        return call.cost_usd or 0.0
    return 0.0 if found.after is None else cost_at(found.after, call, known) or 0.0


def _provider(target: Target | None) -> str | None:
    return None if target is None else target.provider


def _name(target: Target | None) -> str | None:
    return None if target is None else str(target)


def _shares(pairs: Sequence[tuple[str | None, str | None]]) -> list[ops.ShareDifference]:
    names = sorted({name for pair in pairs for name in pair if name is not None})
    if not names:
        return []
    places: dict[str | None, int] = {name: place for place, name in enumerate(names)}
    before = np.array([places.get(one, -1) for one, _ in pairs])
    after = np.array([places.get(other, -1) for _, other in pairs])
    differences = bootstrap.shares(before, after, len(names))
    return [
        ops.ShareDifference(
            name=name,
            before=float((before == place).mean()),
            after=float((after == place).mean()),
            difference=estimate(differences[place]),
        )
        for name, place in zip(names, range(len(names)), strict=True)
    ]


def _costs(served: Sequence[Replayed], known: Knowledge) -> Paired:
    found = []
    for each in served:
        paid = each.call.cost_usd
        instead = cost_at(each.after, each.call, known) if each.changed and each.after else paid
        if paid is not None and instead is not None:
            found.append((paid, instead))
    return found


def _qualities(served: Sequence[Replayed], known: Knowledge) -> Paired:
    found = []
    for each in served:
        one = quality_at(each.before, each.call, known) if each.before else None
        other = quality_at(each.after, each.call, known) if each.after else None
        if one is not None and other is not None:
            found.append((one, other))
    return found


def _paired(
    metric: Literal["cost_usd", "quality"], served: Sequence[Replayed], pairs: Paired
) -> ops.MetricDifference:
    values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return ops.MetricDifference(
        metric=metric,
        before=_mean(values[:, 0]),
        after=_mean(values[:, 1]),
        difference=estimate(bootstrap.mean_of(values[:, 1] - values[:, 0])),
        calls=len(pairs),
        unknown=len(served) - len(pairs),
    )


def _modelled(
    metric: Literal["latency_ms", "ttft_ms", "failure_share"], served: Sequence[Replayed], known: Knowledge
) -> ops.MetricDifference:
    rows = [(each, value) for each in served if (value := OBSERVED[metric](each.call)) is not None]
    targets = sorted({target for each, _ in rows for target in (each.before, each.after) if target})
    places = {target: place for place, target in enumerate(targets)}
    fallback = np.array(
        [_or_nan(expected(metric, known.measured.get(target))) for target in targets], dtype=np.float64
    )
    before = np.array([places[each.before] for each, _ in rows if each.before], dtype=np.int64)
    after = np.array([places[each.after] for each, _ in rows if each.after], dtype=np.int64)
    outcomes = np.array([value for _, value in rows], dtype=np.float64)
    told = (before == after) | bootstrap.usable(before, fallback)[after] if len(rows) else before == after
    if not told.any():
        return _unknown(metric, len(rows))
    change = bootstrap.difference(outcomes, before, after, told, fallback)
    mean = float(outcomes[told].mean())
    return ops.MetricDifference(
        metric=metric,
        before=mean,
        after=mean + change.value,
        difference=estimate(change),
        calls=int(told.sum()),
        unknown=int((~told).sum()),
    )


def _unknown(metric: Literal["latency_ms", "ttft_ms", "failure_share"], calls: int) -> ops.MetricDifference:
    nothing = ops.Estimate(value=None, low=None, high=None)
    return ops.MetricDifference(
        metric=metric, before=None, after=None, difference=nothing, calls=0, unknown=calls
    )


def estimate(found: bootstrap.Interval) -> ops.Estimate:
    """As it is told; NaN = null."""
    return ops.Estimate(value=_or_none(found.value), low=_or_none(found.low), high=_or_none(found.high))


def _mean(values: bootstrap.Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
