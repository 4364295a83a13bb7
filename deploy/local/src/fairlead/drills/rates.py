"""The highest rate that a stack sustains while nothing fails: which one is tried next, and what a try must show. Pure.

A rate is *sustained* when every request is answered, when 99 of 100 requests take less than ``EXTRA_P99_MS`` beyond
the time of their attempts at providers, counted from the moment at which they were due, when latency is what it is at
the lowest rate (at most ``SLOWER`` times its p99), when all outcomes are in Postgres ``RECORDED_S`` after the end, and
when the cores are busy for at most ``BUSIEST`` of the time: who fills them has nothing left for the work that a failing
provider makes. A rate that fails is given a second try: other work on the machine must not decide.

A machine that is shared with others is not as fast at one time as at another. So the rate is checked again right before
each drill, and goes down by a tenth until it is sustained; the next check tries a tenth more than the last, up to the
rate of the search.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LOWEST: Final = 100.0
"""Requests per second."""
HIGHEST: Final = 3200.0
GROWTH: Final = 1.3
CLOSE: Final = 1.1
"""The search ends when the lowest rate that fails is less than this many times the highest that does not."""
TRIES: Final = 2
LOAD_S: Final = 6.0
EXTRA_P99_MS: Final = 10.0
"""A fifth of what is promised to rescued requests: failing providers make work, and it must fit as well."""
SLOWER: Final = 1.5
BUSIEST: Final = 0.7
"""Of the time of all cores: where the chart's autoscaler adds an edge."""
RECORDED_S: Final = 5.0


@dataclass(frozen=True)
class Rung:
    """One rate, tried once. Milliseconds and seconds as named; None = nothing was answered."""

    rate: float
    requests: int
    answered: int
    """Completely, and recorded."""
    extra_p99_ms: float | None
    latency_p99_ms: float | None
    recorded_s: float
    busy: float
    """Share of the time of all cores, 0 to 1, whoever took it."""
    before: str = ""
    """The drill that was about to begin; empty = in the search."""

    def too_high(self, lowest: "Rung") -> str | None:
        """Why this rate is not sustained; None = it is."""
        if self.answered < self.requests:
            return (
                f"{self.requests - self.answered} of {self.requests} requests were not answered and recorded"
            )
        if self.extra_p99_ms is None or self.extra_p99_ms >= EXTRA_P99_MS:
            return (
                f"p99 of the time beyond the attempts {_ms(self.extra_p99_ms)}, not under {EXTRA_P99_MS:g} ms"
            )
        most = SLOWER * (lowest.latency_p99_ms or 0.0)
        if self.latency_p99_ms is None or self.latency_p99_ms > most:
            return f"p99 of latency {_ms(self.latency_p99_ms)}, above {most:.0f} ms"
        if self.recorded_s > RECORDED_S:
            return f"outcomes recorded after {self.recorded_s:.1f} s, not within {RECORDED_S:g} s"
        if self.busy > BUSIEST:
            return f"cores {self.busy:.0%} busy, more than {BUSIEST:.0%}"
        return None


def next_rate(tried: Sequence[Rung]) -> float | None:
    """The rate to try now, in requests per second; None = the search is over."""
    if not tried:
        return LOWEST
    last, sustained = tried[-1].rate, highest(tried)
    failed = Counter(each.rate for each in tried if each.too_high(tried[0]))
    if last != sustained and 0 < failed[last] < TRIES:
        return last
    if not sustained:
        return None
    too_high = min((rate for rate in failed if rate > sustained), default=None)
    if too_high is None:
        return min(round(sustained * GROWTH, -1), HIGHEST) if sustained < HIGHEST else None
    middle = round((sustained + too_high) / 2, -1)
    return middle if too_high / sustained > CLOSE and sustained < middle < too_high else None


def highest(tried: Sequence[Rung]) -> float:
    """The highest rate that the search found to be sustained, in requests per second; 0 = none was."""
    return max((each.rate for each in tried if not each.before and not each.too_high(tried[0])), default=0.0)


def next_check(tried: Sequence[Rung], before: str) -> float | None:
    """The rate to check before a drill, in requests per second; None = not even the lowest is sustained now."""
    last, best = tried[-1], highest(tried)
    if not last.before:
        return best
    if last.before != before:
        return min(round(last.rate * CLOSE, -1), best)
    return None if last.rate <= LOWEST else max(round(last.rate / CLOSE, -1), LOWEST)


def in_words(rung: Rung, lowest: Rung) -> str:
    """For people."""
    why = rung.too_high(lowest)
    when = f"before {rung.before}, " if rung.before else ""
    return (
        f"{when}{rung.rate:g}/s: beyond the attempts p99 {_ms(rung.extra_p99_ms)}, latency p99 {_ms(rung.latency_p99_ms)},"
        f" recorded after {rung.recorded_s:.1f} s, cores {rung.busy:.0%} busy:"
        f" {'sustained' if why is None else f'too high ({why})'}"
    )


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} ms"
