"""What a test shows: each arm by itself, every pair in every metric, and a verdict on the metric that decides.

While a test runs the statistics are valid at every look (confidence sequences); once all its calls are in, they are those
of the fixed horizon that was set when it was created. Figures that have no sequence come without intervals until then.
"""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Final, get_args

import numpy as np
from fairlead_common.operations import abtest as ops

from fairlead_abtest.domain import effects, singles
from fairlead_abtest.domain.distributions import (
    Values,
    mann_whitney_p,
    mcnemar_p,
    mean,
    wilcoxon_p,
)
from fairlead_abtest.domain.effects import Effect
from fairlead_abtest.domain.multiplicity import benjamini_hochberg, holm
from fairlead_abtest.domain.observations import OURS, Observation, Plan, Table
from fairlead_abtest.domain.power import paired_power, two_sample_power
from fairlead_abtest.domain.scoring import likeness
from fairlead_abtest.domain.verdict import Circumstances, verdict

MIN_UNITS: Final = 10
"""Fewer units decide nothing: neither Student's t nor the sequence can be trusted with less."""
DEFAULT_EFFECT: Final[dict[str, float]] = {"quality": 0.05, "latency": 0.1, "cost": 0.05}
QUANTILES: Final = (0.5, 0.95)
AGREEMENT_PROMPTS: Final = 200
HIGHER_IS_BETTER: Final[dict[str, bool]] = {"quality": True, "latency": False, "cost": False}


@dataclass(frozen=True)
class Question:
    """What the test is to answer."""

    test_id: int
    status: ops.Status
    stop_reason: str | None
    metric: ops.MetricName
    minimum_effect: float
    alpha: float
    plan: Plan


def analyse(question: Question, observations: list[Observation]) -> ops.Analysis:
    """The whole analysis; the same for the same input."""
    plan, final = question.plan, question.status == "completed"
    table = Table(plan, observations, whole=final)
    comparisons = [
        each for metric in _metrics(question) for each in _family(table, metric, question, final=final)
    ]
    primary = [each for each in comparisons if each.metric == question.metric]
    unit = "call" if plan.by_call else "prompt"
    units = min((each.units for each in primary), default=0)
    circumstances = Circumstances(
        question.metric,
        question.minimum_effect,
        question.alpha,
        question.status,
        question.stop_reason,
        unit,
        units,
    )
    return ops.Analysis(
        test_id=question.test_id,
        status=question.status,
        final=final,
        metric=question.metric,
        minimum_effect=question.minimum_effect,
        alpha=question.alpha,
        unit="call" if plan.by_call else "prompt",
        planned_units=plan.units,
        verdict=verdict(plan.arms, primary, circumstances),
        arms=[_arm(table, arm, question.alpha, final=final) for arm in plan.arms],
        comparisons=comparisons,
        quantile_differences=_quantile_differences(table, question, final=final),
        sample_ratio=_sample_ratio(table),
        notes=_notes(table, question, final=final),
    )


def _metrics(question: Question) -> list[ops.MetricName]:
    """The one that decides first; quality only where it can be scored."""
    others = [each for each in get_args(ops.MetricName) if each != question.metric]
    return [each for each in (question.metric, *others) if each != "quality" or question.plan.scored]


def _family(
    table: Table, metric: ops.MetricName, question: Question, *, final: bool
) -> list[ops.ComparisonOut]:
    """All pairs in one metric, adjusted for their number."""
    pairs = list(combinations(table.plan.arms, 2))
    primary = metric == question.metric
    margin = question.minimum_effect if primary else DEFAULT_EFFECT[metric]
    made = [_Pair(table, metric, one, other, question.alpha, final=final) for one, other in pairs]
    known = [pair for pair in made if pair.effect is not None]
    p_values = [pair.effect.p_value() for pair in known if pair.effect is not None]
    adjusted = dict(
        zip((id(pair) for pair in known), (holm if primary else benjamini_hochberg)(p_values), strict=True)
    )
    level = question.alpha / len(pairs) if primary else question.alpha
    return [pair.out(adjusted.get(id(pair)), level, question.alpha, margin) for pair in made]


class _Pair:
    """Two arms in one metric."""

    def __init__(
        self, table: Table, metric: ops.MetricName, one: str, other: str, alpha: float, *, final: bool
    ) -> None:
        self.metric, self.one, self.other, self.final = metric, one, other, final
        self.by_call = table.plan.by_call
        units = table.plan.units * (2 if self.by_call else 1)
        self._rho = None if final else effects.tuned_rho(alpha, units)
        self.unpriced = [arm for arm in (one, other) if metric == "cost" and table.unpriced(arm)]
        self.values = self._values(table, per_protocol=False)
        self.protocol_values = self._values(table, per_protocol=True)
        self.one_is_free = (
            metric == "cost"
            and len(self.values[0]) > 0
            and bool(np.mean(self.values[0]) == 0 or np.mean(self.values[1]) == 0)
        )
        self.effect = self._effect(*self.values)
        self.protocol = self._effect(*self.protocol_values)

    def _values(self, table: Table, *, per_protocol: bool) -> tuple[Values, Values]:
        if self.unpriced:
            return np.array([]), np.array([])
        return table.pairs(self.metric, self.one, self.other, per_protocol=per_protocol)

    def _effect(self, first: Values, second: Values) -> Effect | None:
        if self.metric == "cost" and not self.one_is_free:
            make = effects.welch_log_ratio if self.by_call else effects.paired_log_ratio
            return make(first, second, self._rho)
        if self.one_is_free and len(first):
            dearer = max(float(np.mean(first)), float(np.mean(second))) or 1.0
            first, second = first / dearer, second / dearer
        differences = second - first
        if self.metric == "quality" and (
            _binary(differences) or not np.ptp(differences) if len(differences) else True
        ):
            return effects.paired_shares(differences, self._rho)
        if self.by_call:
            return effects.welch(first, second, self._rho)
        return effects.paired(differences, self._rho)

    def _shown(self, value: float) -> float:
        """From the scale of the computation to that of the reader: logarithms of ratios become shares."""
        if self.metric == "quality" or self.one_is_free:
            return value
        return math.expm1(min(value, 700.0))

    def _margin(self, minimum_effect: float) -> float:
        relative = self.metric != "quality" and not self.one_is_free
        return math.log1p(minimum_effect) if relative else minimum_effect

    def _estimate(self, effect: Effect | None, level: float) -> ops.Estimate:
        if effect is None:
            return ops.Estimate(value=None, low=None, high=None)
        low, high = effect.interval(level)
        if self.metric == "quality":
            low, high = max(-1.0, low), min(1.0, high)
        return ops.Estimate(value=self._shown(effect.estimate), low=self._shown(low), high=self._shown(high))

    def out(
        self, adjusted: float | None, level: float, alpha: float, minimum_effect: float
    ) -> ops.ComparisonOut:
        """As it is answered. ``level`` is alpha, divided by the number of pairs where these decide."""
        finding = self._finding(adjusted, level, alpha, self._margin(minimum_effect))
        return ops.ComparisonOut.model_validate(
            {
                "metric": self.metric,
                "arm1": self.one,
                "arm2": self.other,
                "units": len(self.values[0]),
                "difference": self._estimate(self.effect, level),
                "p_value": None if self.effect is None else self.effect.p_value(),
                "adjusted_p_value": adjusted,
                "robust_p_value": self._robust_p(),
                "method": self._method(),
                "power": self._power(self._margin(minimum_effect), level),
                "finding": finding,
                "more_units": self._more(level, self._margin(minimum_effect))
                if finding == "undecided"
                else None,
                "per_protocol": self._estimate(self.protocol, level),
                "per_protocol_units": len(self.protocol_values[0]),
            }
        )

    def _finding(self, adjusted: float | None, level: float, alpha: float, margin: float) -> str:
        if self.effect is None or adjusted is None or len(self.values[0]) < MIN_UNITS:
            return "undecided"
        if adjusted < alpha and abs(self.effect.estimate) >= margin:
            return "better" if (self.effect.estimate > 0) == HIGHER_IS_BETTER[self.metric] else "worse"
        low, high = self.effect.interval(2 * level)  # two one-sided tests
        return "equivalent" if -margin < low and high < margin else "undecided"

    def _more(self, level: float, margin: float) -> int | None:
        have = len(self.values[0])
        if self.effect is None or self.effect.se == 0:
            return max(MIN_UNITS - have, 1) if have else None
        size = abs(self.effect.estimate)
        apart = size >= margin
        target = max(size if apart else margin - size, margin / 4)
        needed = self.effect.units_needed(target, level if apart else 2 * level)
        if needed >= effects.UNITS_LIMIT:
            return None
        return max(math.ceil(needed / self.effect.units * have) - have, MIN_UNITS - have, 1)

    def _power(self, margin: float, level: float) -> float | None:
        if not self.final or self.effect is None or self.effect.se == 0:
            return None
        if self.by_call and not self._is_share():
            per_arm = self.effect.units // 2
            spread = self.effect.se * math.sqrt(per_arm / 2)
            return two_sample_power(margin / spread, per_arm, level)
        spread = self.effect.se * math.sqrt(self.effect.units)
        return paired_power(margin / spread, self.effect.units, level)

    def _is_share(self) -> bool:
        return self.metric == "quality" and _binary(self.values[1] - self.values[0])

    def _robust_p(self) -> float | None:
        first, second = self.values
        if not self.final or len(first) < 2:
            return None
        if self.by_call and not self._is_share():
            return mann_whitney_p(first, second)
        differences = second - first
        if self._is_share():
            return mcnemar_p(int(np.sum(differences > 0)), int(np.sum(differences < 0)))
        return wilcoxon_p(differences)

    def _method(self) -> str:
        if self.unpriced:
            return f"none: the price of {' and '.join(self.unpriced)} is unknown"
        if self.effect is None:
            return "none yet: fewer than two units, or nothing to compare"
        scale = {
            "quality": "difference of means",
            "latency": "ratio of geometric means",
            "cost": "difference as a share of the dearer arm, as one is free"
            if self.one_is_free
            else "ratio of means",
        }[self.metric]
        if not self.final:
            return f"{scale}; asymptotic confidence sequence, valid at every look"
        if self._is_share():
            return f"{scale}; paired shares after Agresti and Min; robust: exact McNemar"
        if self.by_call:
            return f"{scale}; Welch's t; robust: Mann-Whitney"
        return f"{scale}; paired t; robust: Wilcoxon signed-rank"


def _binary(differences: Values) -> bool:
    return bool(np.all(np.isin(differences, (-1.0, 0.0, 1.0))))


def _arm(table: Table, arm: str, alpha: float, *, final: bool) -> ops.ArmOut:
    seen = [each for each in table.of(arm) if each.error_class != OURS]
    answered = [each for each in seen if each.ok]
    latencies = [each.latency_ms for each in answered]
    costs = [each.cost_usd for each in answered if each.cost_usd is not None]
    tokens = [float(each.output_tokens) for each in answered if each.output_tokens is not None]
    firsts = [each.ttft_ms for each in answered if each.ttft_ms is not None]
    scored = [each for each in seen if each.prompt_index in table.plan.scored]
    return ops.ArmOut(
        arm=arm,
        calls=len(seen),
        failures=len(seen) - len(answered),
        failure_classes=dict(Counter(each.error_class for each in seen if each.error_class is not None)),
        success=_success(len(answered), len(seen), alpha, final=final),
        quality_mean=mean(
            [each.quality or 0.0 for each in scored if each.quality is not None or not each.ok]
        ),
        latency_p50_ms=_quantile(latencies, 0.5),
        latency_p95_ms=_quantile(latencies, 0.95),
        ttft_p50_ms=_quantile(firsts, 0.5),
        cost_per_call_usd=mean(costs) if len(costs) == len(answered) else None,
        output_tokens_mean=mean(tokens),
        agreement=_agreement(table, arm),
        quantiles=[_quantile_out(latencies, q, alpha, final=final) for q in QUANTILES],
    )


def _success(answered: int, calls: int, alpha: float, *, final: bool) -> ops.Estimate:
    if calls == 0:
        return ops.Estimate(value=None, low=None, high=None)
    low, high = singles.wilson(answered, calls, alpha) if final else (None, None)
    return ops.Estimate(value=answered / calls, low=low, high=high)


def _quantile(values: list[float], q: float) -> float | None:
    return float(np.quantile(values, q)) if values else None


def _quantile_out(values: list[float], q: float, alpha: float, *, final: bool) -> ops.QuantileOut:
    low, high = (singles.quantile_interval(values, q, alpha) if final else None) or (None, None)
    return ops.QuantileOut(q=q, latency_ms=ops.Estimate(value=_quantile(values, q), low=low, high=high))


def _agreement(table: Table, arm: str) -> float | None:
    """Mean likeness of the arm's answers to those of the other arms, over the first prompts."""
    found = []
    for unit in table.units[:AGREEMENT_PROMPTS]:
        cell = table.cells[unit[0]]
        own = cell[arm].response
        for other, each in cell.items():
            if other != arm and own is not None and each.response is not None:
                found.append(likeness(own, each.response))
    return mean(found)


def _quantile_differences(table: Table, question: Question, *, final: bool) -> list[ops.QuantileDifference]:
    rows, arms = table.latencies(), table.plan.arms
    if len(rows) == 0:
        return []
    found = []
    for q in QUANTILES:
        generator = np.random.default_rng(question.test_id)
        intervals = singles.quantile_differences(rows, q, question.alpha, generator) if final else {}
        for i, j in combinations(range(len(arms)), 2):
            one, other = (_quantile([x for x in rows[:, k] if not math.isnan(x)], q) for k in (i, j))
            value = None if one is None or other is None else other - one
            low, high = intervals.get((i, j), (None, None))
            estimate = ops.Estimate(value=value, low=low, high=high)
            found.append(ops.QuantileDifference(arm1=arms[i], arm2=arms[j], q=q, difference_ms=estimate))
    return found


def _sample_ratio(table: Table) -> ops.SampleRatio:
    expected = table.plan.planned_calls()
    observed = {arm: len(table.of(arm)) for arm in table.plan.arms}
    p_value = singles.sample_ratio_p(observed, expected)
    alarm = p_value is not None and p_value < singles.SAMPLE_RATIO_ALARM
    return ops.SampleRatio(expected=expected, observed=observed, p_value=p_value, alarm=alarm)


def _notes(table: Table, question: Question, *, final: bool) -> list[str]:
    plan = question.plan
    found = [
        (
            "Intention to treat: a failed call counts against the arm that was asked: quality 0,"
            f" latency {plan.timeout_s:g} s (the time-out), cost that of the dearest answer to the same prompt."
            " Per protocol leaves failed calls out."
        ),
    ]
    if plan.by_call:
        found.append("One prompt only: the statements hold for this prompt, not for others.")
    if plan.units < MIN_UNITS:
        found.append(f"Fewer than {MIN_UNITS} {'calls' if plan.by_call else 'prompts'} decide nothing.")
    if not final:
        found.append(
            f"Counted are the {len(table.units)} units before the first one that some arm has not finished."
        )
    lost = sum(1 for each in table.of_all() if each.error_class == OURS)
    if lost:
        found.append(
            f"{lost} calls were given up because our own workers died over them; they count for no arm."
        )
    if not plan.scored:
        found.append("Quality is not scored: no prompt has a reference, and no JSON was asked for.")
    return found
