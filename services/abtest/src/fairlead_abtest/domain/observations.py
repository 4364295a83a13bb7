"""From recorded results to the numbers that are compared: one value per arm and unit, by metric and point of view.

Intention to treat: a failed call counts with the stated failure value of the metric. Per protocol: failed calls are left
out. A unit is a prompt (its repeats averaged, as they are not independent), or with a single prompt one call.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from fairlead_common.operations.abtest import MetricName
from fairlead_common.outcomes import ErrorClass

from fairlead_abtest.domain.distributions import Values

OURS = ErrorClass.CALLER_GONE
"""A call that our own worker never finished: nobody's failure, so it counts for no arm."""


@dataclass(frozen=True)
class Observation:
    """What is known of one call of one arm."""

    prompt_index: int
    repeat: int
    arm: str
    latency_ms: float
    error_class: str | None = None
    ttft_ms: float | None = None
    cost_usd: float | None = None
    quality: float | None = None
    output_tokens: int | None = None
    response: str | None = None

    @property
    def ok(self) -> bool:
        """The arm answered."""
        return self.error_class is None


@dataclass(frozen=True)
class Plan:
    """What was to be observed."""

    arms: tuple[str, ...]
    prompts: int
    repeats: int
    timeout_s: float
    scored: frozenset[int] = frozenset()
    """Prompts whose answers can be scored."""

    @property
    def by_call(self) -> bool:
        """A single prompt: its repeats are the units, and nothing is said about other prompts."""
        return self.prompts == 1

    @property
    def units(self) -> int:
        """How many units there will be."""
        return self.repeats if self.by_call else self.prompts

    def planned_calls(self) -> dict[str, int]:
        """Calls per arm."""
        return dict.fromkeys(self.arms, self.prompts * self.repeats)


Cell = tuple[int, int]
"""(prompt, repeat): what every arm is asked once."""


class Table:
    """Observations by cell and arm; the units that count, in the order of the plan.

    Args:
        whole: count every complete unit; False: only those before the first incomplete one, because while a test runs the
            units that are complete early are the quick ones, and a time-out that is still pending would be overlooked.
    """

    def __init__(self, plan: Plan, observations: Iterable[Observation], *, whole: bool) -> None:
        self.plan = plan
        self.cells: dict[Cell, dict[str, Observation]] = {}
        for each in observations:
            self.cells.setdefault((each.prompt_index, each.repeat), {})[each.arm] = each
        self.units: list[list[Cell]] = []
        for unit in self._planned():
            if all(len(self.cells.get(cell, ())) == len(plan.arms) for cell in unit):
                self.units.append(unit)
            elif not whole:
                break
        self._dearest = max(
            (each.cost_usd for each in self.of_all() if each.ok and each.cost_usd), default=None
        )

    def _planned(self) -> list[list[Cell]]:
        plan = self.plan
        if plan.by_call:
            return [[(0, repeat)] for repeat in range(plan.repeats)]
        return [[(prompt, repeat) for repeat in range(plan.repeats)] for prompt in range(plan.prompts)]

    def of_all(self) -> list[Observation]:
        """All observations."""
        return [each for cell in self.cells.values() for each in cell.values()]

    def of(self, arm: str) -> list[Observation]:
        """All observations of an arm."""
        return [cell[arm] for cell in self.cells.values() if arm in cell]

    def unpriced(self, arm: str) -> bool:
        """An answer of this arm came at an unknown price."""
        return any(each.ok and each.cost_usd is None for each in self.of(arm))

    def pairs(
        self, metric: MetricName, first: str, second: str, *, per_protocol: bool
    ) -> tuple[Values, Values]:
        """The values of two arms, unit by unit; units without a value for both are left out.

        Latencies are natural logarithms of milliseconds, because they multiply; quality and cost are as they are.
        """
        rows = []
        for unit in self.units:
            both = [self._cell(metric, self.cells[cell], first, second, per_protocol) for cell in unit]
            known = [values for values in both if values is not None]
            if known:
                rows.append(np.mean(known, axis=0))
        found = np.array(rows, dtype=np.float64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def _cell(
        self, metric: MetricName, cell: dict[str, Observation], first: str, second: str, per_protocol: bool
    ) -> tuple[float, float] | None:
        one, other = cell[first], cell[second]
        if OURS in (one.error_class, other.error_class) or (per_protocol and not (one.ok and other.ok)):
            return None
        values = self._value(metric, one, cell), self._value(metric, other, cell)
        return None if values[0] is None or values[1] is None else (values[0], values[1])

    def _value(self, metric: MetricName, each: Observation, cell: dict[str, Observation]) -> float | None:
        if metric == "quality":
            if each.prompt_index not in self.plan.scored:
                return None
            return each.quality if each.ok else 0.0
        if metric == "latency":
            failed_ms = max(each.latency_ms, self.plan.timeout_s * 1000)
            return float(np.log(max(each.latency_ms if each.ok else failed_ms, 0.001)))
        if each.ok:
            return each.cost_usd
        same_prompt = [other.cost_usd for other in cell.values() if other.ok and other.cost_usd is not None]
        return max(same_prompt, default=self._dearest)

    def latencies(self) -> Values:
        """Latency of every successful call in the units that count: cells x arms, milliseconds; NaN = failed."""
        rows = [
            [
                self.cells[cell][arm].latency_ms if self.cells[cell][arm].ok else np.nan
                for arm in self.plan.arms
            ]
            for unit in self.units
            for cell in unit
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.plan.arms))
