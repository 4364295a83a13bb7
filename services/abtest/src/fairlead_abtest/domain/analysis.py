"""What a test shows: each arm by itself, every pair in every metric, and a verdict on the metric that decides.

While a test runs the statistics are valid at every look (confidence sequences); once all its calls are in, they are those
of the fixed horizon that was set when it was created. Figures that have no sequence come without intervals until then.
"""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
from fairlead_common.operations import abtest as ops

from fairlead_abtest.domain import singles
from fairlead_abtest.domain.distributions import mean
from fairlead_abtest.domain.metrics import METRICS, Metric
from fairlead_abtest.domain.observations import OURS, Observation, Plan, Table
from fairlead_abtest.domain.pairs import MIN_UNITS, UNKNOWN, compare_pairs
from fairlead_abtest.domain.scoring import likeness
from fairlead_abtest.domain.verdict import Circumstances, verdict

QUANTILES: Final = (0.5, 0.95)
AGREEMENT_PROMPTS: Final = 200


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
        each for metric in _metrics(question) for each in _compared(table, metric, question, final=final)
    ]
    primary = [each for each in comparisons if each.metric == question.metric]
    unit: Literal["prompt", "call"] = "call" if plan.by_call else "prompt"
    circumstances = Circumstances(
        METRICS[question.metric],
        question.minimum_effect,
        question.alpha,
        question.status,
        question.stop_reason,
        unit,
        units=min((each.units for each in primary), default=0),
    )
    return ops.Analysis(
        test_id=question.test_id,
        status=question.status,
        final=final,
        metric=question.metric,
        minimum_effect=question.minimum_effect,
        alpha=question.alpha,
        unit=unit,
        planned_units=plan.units,
        verdict=verdict(plan.arms, primary, circumstances),
        arms=[_arm(table, arm, question.alpha, final=final) for arm in plan.arms],
        comparisons=comparisons,
        quantile_differences=_quantile_differences(table, question, final=final),
        sample_ratio=_sample_ratio(table, question.status),
        notes=_notes(table, question, final=final),
    )


def _metrics(question: Question) -> list[Metric]:
    """The one that decides first; quality only where it can be scored."""
    found = sorted(METRICS.values(), key=lambda metric: metric.name != question.metric)
    return [metric for metric in found if metric.name != "quality" or question.plan.scored]


def _compared(table: Table, metric: Metric, question: Question, *, final: bool) -> list[ops.ComparisonOut]:
    decides = metric.name == question.metric
    effect = question.minimum_effect if decides else metric.default_effect
    return compare_pairs(
        table, metric, decides=decides, alpha=question.alpha, minimum_effect=effect, final=final
    )


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
        return UNKNOWN
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


def _sample_ratio(table: Table, status: ops.Status) -> ops.SampleRatio:
    """While calls are under way, the slower arm lags behind for no other reason."""
    expected = table.plan.planned_calls()
    observed = {arm: len(table.of(arm)) for arm in table.plan.arms}
    p_value = None if status == "running" else singles.sample_ratio_p(observed, expected)
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
