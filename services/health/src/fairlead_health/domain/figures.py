"""Figures over windows that are longer than what is kept in memory: how many calls, and how long the good ones took."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from fairlead_common import sketch
from fairlead_common.operations.alert_rules import AnyRule

from fairlead_health.domain.rules import windows_of


class Count(NamedTuple):
    """Calls that were not limited, and how many of them failed."""

    calls: int
    failures: int


class Timing(NamedTuple):
    """A quantile of the latency of ``samples`` successful calls, within 1 %."""

    samples: int
    value_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one provider. What was not asked for, or cannot be known now, is not there."""

    counts: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))
    """By window."""
    timings: Mapping[tuple[str, float], Timing] = field(default_factory=lambda: MappingProxyType({}))
    """By window and quantile."""
    errors: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Class of error to how many calls of the last 5 minutes ended so; as evidence."""


UNMEASURED = Figures()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a set of rules needs to know."""

    counts: frozenset[str]
    timings: frozenset[tuple[str, float]]


def wanted(rules: Iterable[AnyRule]) -> Wanted:
    """Windows of counts, and windows with quantiles, over all rules that are on."""
    counts, timings = set[str](), set[tuple[str, float]]()
    for rule in rules:
        match rule.kind:
            case "error_rate" | "burn_rate" if rule.enabled:
                counts.update(windows_of(rule))
            case "latency" | "latency_baseline" if rule.enabled:
                timings.update((window, rule.quantile) for window in windows_of(rule))
    return Wanted(frozenset(counts), frozenset(timings))


def timings_of(window: str, found: Mapping[int, int], wanted: Wanted) -> dict[tuple[str, float], Timing]:
    """The quantiles that are wanted of one window's sketch."""
    samples = sum(found.values())
    return {
        (name, q): Timing(samples, sketch.quantile(found, q) or 0.0)
        for name, q in wanted.timings
        if name == window
    }
