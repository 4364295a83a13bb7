"""Two arms in one metric: the difference with its interval and p value, and what it amounts to.

Latencies are compared as logarithms, so their difference is a ratio of geometric means; costs as a ratio of means, because
the bill is a sum; quality as a difference of means. Prompts are pairs; calls of a single prompt are two samples.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from fairlead_common.operations.abtest import ComparisonOut, Estimate

from fairlead_abtest.domain import effects
from fairlead_abtest.domain.distributions import Values, mann_whitney_p, mcnemar_p, wilcoxon_p
from fairlead_abtest.domain.effects import Effect
from fairlead_abtest.domain.metrics import Metric
from fairlead_abtest.domain.multiplicity import benjamini_hochberg, holm
from fairlead_abtest.domain.observations import Table
from fairlead_abtest.domain.power import paired_power, two_sample_power

MIN_UNITS: Final = 10
"""Fewer units decide nothing: neither Student's t nor the sequence can be trusted with less."""
UNKNOWN: Final = Estimate(value=None, low=None, high=None)


def compare_pairs(
    table: Table, metric: Metric, *, decides: bool, alpha: float, minimum_effect: float, final: bool
) -> list[ComparisonOut]:
    """All pairs of arms in one metric.

    Args:
        decides: this metric decides the test: Holm over its pairs, and simultaneous intervals (level 1 - alpha / pairs).
            Otherwise Benjamini-Hochberg and intervals of level 1 - alpha each.
        final: all calls are in: fixed-horizon statistics; else confidence sequences.
    """
    arms = list(combinations(table.plan.arms, 2))
    pairs = [Pair(table, metric, one, other, alpha=alpha, final=final) for one, other in arms]
    adjusted = _adjusted(
        [None if pair.effect is None else pair.effect.p_value() for pair in pairs], decides=decides
    )
    level = alpha / len(pairs) if decides else alpha
    return [
        pair.compared(p, level, alpha, pair.margin(minimum_effect))
        for pair, p in zip(pairs, adjusted, strict=True)
    ]


def _adjusted(p_values: Sequence[float | None], *, decides: bool) -> list[float | None]:
    known = [p for p in p_values if p is not None]
    found = iter((holm if decides else benjamini_hochberg)(known))
    return [None if p is None else next(found) for p in p_values]


class Pair:
    """Two arms of a table in one metric."""

    def __init__(
        self, table: Table, metric: Metric, one: str, other: str, *, alpha: float, final: bool
    ) -> None:
        self._metric, self._one, self._other, self._final = metric, one, other, final
        self._unpriced = [arm for arm in (one, other) if metric.name == "cost" and table.unpriced(arm)]
        self._values = self._of(table, per_protocol=False)
        self._protocol = self._of(table, per_protocol=True)
        self.units = len(self._values[0])
        self._one_is_free = metric.name == "cost" and self.units > 0 and not all(map(np.mean, self._values))
        self._is_share = metric.name == "quality" and _is_share(self._values[1] - self._values[0])
        self._two_samples = table.plan.by_call and not self._is_share
        planned = table.plan.units * (2 if self._two_samples else 1)
        self._rho = None if final else effects.tuned_rho(alpha, planned)
        self.effect = self._effect(*self._values)

    def _of(self, table: Table, *, per_protocol: bool) -> tuple[Values, Values]:
        if self._unpriced:
            return np.array([]), np.array([])
        return table.pairs(self._metric.name, self._one, self._other, per_protocol=per_protocol)

    def _effect(self, first: Values, second: Values) -> Effect | None:
        if self._is_share:
            return effects.paired_shares(second - first, self._rho)
        if self._metric.name == "cost" and not self._one_is_free:
            ratio = effects.welch_log_ratio if self._two_samples else effects.paired_log_ratio
            return ratio(first, second, self._rho)
        if self._one_is_free and len(first):
            dearer = max(float(np.mean(first)), float(np.mean(second))) or 1.0
            first, second = first / dearer, second / dearer
        if self._two_samples:
            return effects.welch(first, second, self._rho)
        return effects.paired(second - first, self._rho)

    @property
    def _logarithmic(self) -> bool:
        return self._metric.relative and not self._one_is_free

    def margin(self, minimum_effect: float) -> float:
        """The smallest difference worth having, on the scale of the effect."""
        return math.log1p(minimum_effect) if self._logarithmic else minimum_effect

    def _shown(self, effect: Effect | None, level: float) -> Estimate:
        """From the scale of the effect to that of the reader: logarithms of ratios become shares."""
        if effect is None:
            return UNKNOWN
        values = [effect.estimate, *effect.interval(level)]
        if self._logarithmic:
            values = [math.expm1(min(value, 700.0)) for value in values]
        elif self._one_is_free:
            if (
                effect.estimate > 0
            ):  # the first is free: no share of nothing says how much more the other one costs
                return UNKNOWN
            share = max(-1.0, effect.estimate)
            return Estimate(value=share, low=share, high=share)
        else:
            values = [min(1.0, max(-1.0, value)) for value in values]
        return Estimate(value=values[0], low=values[1], high=values[2])

    def compared(self, adjusted: float | None, level: float, alpha: float, margin: float) -> ComparisonOut:
        """As it is answered.

        Args:
            adjusted: p value adjusted for the number of pairs.
            level: the shown interval has level 1 - ``level``.
            margin: see ``margin``.
        """
        finding = self._finding(adjusted, level, alpha, margin)
        return ComparisonOut.model_validate(
            {
                "metric": self._metric.name,
                "arm1": self._one,
                "arm2": self._other,
                "units": self.units,
                "difference": self._shown(self.effect, level),
                "p_value": None if self.effect is None else self.effect.p_value(),
                "adjusted_p_value": adjusted,
                "robust_p_value": self._robust_p(),
                "method": self._method(),
                "power": self._power(margin, level),
                "finding": finding,
                "more_units": self._more(level, margin) if finding == "undecided" else None,
                "per_protocol": self._shown(self._effect(*self._protocol), level),
                "per_protocol_units": len(self._protocol[0]),
            }
        )

    def _finding(self, adjusted: float | None, level: float, alpha: float, margin: float) -> str:
        """Better and worse need significance and a difference worth having; equivalence is two one-sided tests."""
        if self.effect is None or adjusted is None or self.units < MIN_UNITS:
            return "undecided"
        if adjusted < alpha and abs(self.effect.estimate) >= margin:
            return "better" if (self.effect.estimate > 0) == self._metric.higher_is_better else "worse"
        low, high = self.effect.interval(2 * level)
        return "equivalent" if -margin < low and high < margin else "undecided"

    def _more(self, level: float, margin: float) -> int | None:
        """About how many more units would decide; None when that cannot be said, or is out of reach."""
        if self.effect is None or self.effect.se == 0:
            return max(MIN_UNITS - self.units, 1) if self.units else None
        size = abs(self.effect.estimate)
        apart = size >= margin
        target = max(size if apart else margin - size, margin / 4)
        needed = self.effect.units_needed(target, level if apart else 2 * level)
        if needed >= effects.UNITS_LIMIT:
            return None
        return max(math.ceil(needed * self.units / self.effect.units) - self.units, MIN_UNITS - self.units, 1)

    def _power(self, margin: float, level: float) -> float | None:
        if not self._final or self.effect is None or self.effect.se == 0:
            return None
        if self._two_samples:
            spread = self.effect.se * math.sqrt(self.units / 2)
            return two_sample_power(margin / spread, self.units, level)
        spread = self.effect.se * math.sqrt(self.units)
        return paired_power(margin / spread, self.units, level)

    def _robust_p(self) -> float | None:
        first, second = self._values
        if not self._final or self.units < 2:
            return None
        differences = second - first
        if self._is_share and _binary(differences):
            return mcnemar_p(int(np.sum(differences > 0)), int(np.sum(differences < 0)))
        return mann_whitney_p(first, second) if self._two_samples else wilcoxon_p(differences)

    def _method(self) -> str:
        if self._unpriced:
            return f"none: the price of {' and '.join(self._unpriced)} is unknown"
        if self.effect is None:
            return "none yet: fewer than two units with a value for both"
        scale = {
            "quality": "difference of means",
            "latency": "ratio of geometric means",
            "cost": "difference as a share of the dearer arm, as one is free"
            if self._one_is_free
            else "ratio of means",
        }[self._metric.name]
        if not self._final:
            return f"{scale}; asymptotic confidence sequence, valid at every look"
        if self._is_share:
            return f"{scale}; Agresti and Min's interval of paired shares; robust: exact McNemar"
        if self._two_samples:
            return f"{scale}; Welch's t; robust: Mann-Whitney"
        return f"{scale}; paired t; robust: Wilcoxon signed-rank"


def _binary(differences: Values) -> bool:
    return bool(np.all(np.isin(differences, (-1.0, 0.0, 1.0))))


def _is_share(differences: Values) -> bool:
    """Pass or fail, or no variation at all: what Student's t cannot judge."""
    return len(differences) > 0 and (_binary(differences) or float(np.ptp(differences)) == 0)
