"""How long a simulated provider takes: distributions in seconds, drawn with a seeded generator."""

import math
import random
from dataclasses import dataclass
from typing import Any

Z95 = 1.6448536269514722
KINDS = ("constant", "uniform", "lognormal", "empirical")


class LatencyError(ValueError):
    """A distribution that cannot be used; the message says why."""


@dataclass(frozen=True)
class Distribution:
    """constant(s) | uniform(low_s, high_s) | lognormal(median_s, p95_s) | empirical(values_s)."""

    kind: str = "constant"
    first: float = 0.0
    second: float = 0.0
    values: tuple[float, ...] = ()

    def draw(self, random_: random.Random) -> float:
        """One value in seconds, never negative."""
        if self.kind == "constant":
            return self.first
        if self.kind == "uniform":
            return random_.uniform(self.first, self.second)
        if self.kind == "lognormal":
            if self.first <= 0:
                return 0.0
            sigma = math.log(max(self.second, self.first) / self.first) / Z95
            return random_.lognormvariate(math.log(self.first), sigma)
        return random_.choice(self.values)

    @classmethod
    def parse(cls, value: Any) -> "Distribution":
        """From ``0.2`` or ``{"kind": "lognormal", "median_s": 0.2, "p95_s": 0.6}`` and the like.

        Raises:
            LatencyError: anything else.
        """
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return cls("constant", float(value))
        fields = {"constant": ("s",), "uniform": ("low_s", "high_s"), "lognormal": ("median_s", "p95_s")}
        kind = value.get("kind") if isinstance(value, dict) else None
        if kind == "empirical" and _numbers(value.get("values_s")):
            return cls("empirical", values=tuple(float(each) for each in value["values_s"]))
        if kind in fields and _numbers([value.get(name) for name in fields[kind]]):
            numbers = [float(value[name]) for name in fields[kind]]
            return cls(kind, numbers[0], numbers[1] if len(numbers) > 1 else 0.0)
        raise LatencyError(
            f"expected seconds, or an object with kind {', '.join(KINDS)} and its fields in seconds; found {value!r}"
        )


def _numbers(values: Any) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(each, int | float) and not isinstance(each, bool) and each >= 0 for each in values)
    )


@dataclass
class Latency:
    """The three waits of an answer."""

    first_token: Distribution = Distribution("lognormal", 0.06, 0.15)
    between_tokens: Distribution = Distribution("constant", 0.002)
    whole: Distribution = Distribution("lognormal", 0.1, 0.25)
    """Of an answer that is not streamed."""

    def change(self, values: dict[str, Any]) -> None:
        """Set some of the three. Raises LatencyError, and then changes nothing."""
        known = {"first_token", "between_tokens", "whole"}
        if unknown := set(values) - known:
            raise LatencyError(f"unknown latency '{min(unknown)}'; known are {', '.join(sorted(known))}")
        parsed = {name: Distribution.parse(value) for name, value in values.items()}
        for name, distribution in parsed.items():
            setattr(self, name, distribution)
