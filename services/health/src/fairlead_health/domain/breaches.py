"""What each kind of rule finds in what is known of a provider: breached, clear, or unknown."""

from dataclasses import dataclass
from typing import assert_never

from fairlead_common.events.health import Status
from fairlead_common.operations.alert_rules import (
    AnyRule,
    BurnRateRule,
    CoverageRule,
    ErrorRateRule,
    LatencyBaselineRule,
    LatencyRule,
)

from fairlead_health.domain.alerts import Breach
from fairlead_health.domain.figures import UNMEASURED, Count, Figures, Timing
from fairlead_health.domain.status import KEPT_S, Record, window

UNSEEN = Breach(None)
IN_MEMORY = "5m"
"""This window is counted here, call by call, so that it needs no database."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that rules look at."""

    record: Record
    recent: Count
    """Of the last five minutes, or since the last recovery."""
    now: float
    figures: Figures = UNMEASURED
    probe_interval_s: int | None = None
    """How often the provider is to be probed; None = not at all."""
    probe_budget_spent: str | None = None
    """The budget (daily, monthly) that is spent, if one is."""
    watched_from: float = 0.0
    """Unix time since which this process hears all calls."""


def recent(record: Record, now: float) -> Count:
    """Calls of the last five minutes, or since the last recovery."""
    calls, failures, _ = window(record, now, min(KEPT_S, now - record.judged_from))
    return Count(calls, failures)


def breach(rule: AnyRule, seen: Seen) -> Breach:
    """Apply ``rule``."""
    match rule.kind:
        case "down":
            return _status(seen, Status.DOWN)
        case "degraded":
            return _status(seen, Status.DEGRADED)
        case "error_rate":
            return _error_rate(rule, seen)
        case "latency":
            return _latency(rule, seen)
        case "latency_baseline":
            return _regression(rule, seen)
        case "burn_rate":
            return _burn(rule, seen)
        case "probe_budget_spent":
            return Breach(seen.probe_budget_spent is not None, window=seen.probe_budget_spent)
        case "coverage_lost":
            return _coverage(rule, seen)
        case _:
            assert_never(rule.kind)


def _status(seen: Seen, wanted: Status) -> Breach:
    if seen.record.status is Status.UNKNOWN:
        return UNSEEN
    return Breach(seen.record.status is wanted, samples=seen.recent.calls)


def _error_rate(rule: ErrorRateRule, seen: Seen) -> Breach:
    count = seen.recent if rule.window == IN_MEMORY else seen.figures.counts.get(rule.window)
    if count is None:
        return UNSEEN
    if count.calls < rule.min_calls:
        return _few(seen, count.calls)
    rate = count.failures / count.calls
    return Breach(rate > rule.threshold, rate, count.calls, rule.threshold, rule.window)


def _latency(rule: LatencyRule, seen: Seen) -> Breach:
    found = seen.figures.timings.get((rule.window, rule.quantile))
    if found is None:
        return UNSEEN
    if found.samples < rule.min_calls:
        return _few(seen, found.samples)
    return _slower(found, rule.threshold_ms, rule.window)


def _regression(rule: LatencyBaselineRule, seen: Seen) -> Breach:
    found = seen.figures.timings.get((rule.window, rule.quantile))
    usual = seen.figures.timings.get(("7d", rule.quantile))
    if found is None or usual is None:
        return UNSEEN
    if usual.samples < rule.min_baseline_calls:
        return Breach(False, samples=usual.samples, window="7d")
    if found.samples < rule.min_calls:
        return _few(seen, found.samples)
    return _slower(found, rule.factor * usual.value_ms, rule.window)


def _slower(found: Timing, limit_ms: float, window: str) -> Breach:
    return Breach(found.value_ms > limit_ms, found.value_ms, found.samples, limit_ms, window)


def _burn(rule: BurnRateRule, seen: Seen) -> Breach:
    """The first burn that both of its windows confirm; clear only when none can be in doubt."""
    doubt = False
    for burn in rule.burns:
        long, short = seen.figures.counts.get(burn.long), seen.figures.counts.get(burn.short)
        if long is None or short is None:
            doubt = True
        elif long.calls >= rule.min_calls:
            rates = (_burn_rate(long, rule.objective), _burn_rate(short, rule.objective))
            if min(rates) > burn.factor:
                return Breach(True, rates[0], long.calls, burn.factor, burn.long)
    return UNSEEN if doubt else Breach(False)


def _burn_rate(count: Count, objective: float) -> float:
    """How many times faster than sustainable; 0 without calls, which burn nothing."""
    return count.failures / count.calls / (1 - objective) if count.calls else 0.0


def _coverage(rule: CoverageRule, seen: Seen) -> Breach:
    """Nothing was heard for that many intervals and a minute, neither from probes nor from live traffic."""
    record = seen.record
    if seen.probe_interval_s is None or record.status is Status.MAINTENANCE:
        return Breach(False)
    limit_s = rule.missed_probes * seen.probe_interval_s + 60
    silent_s = seen.now - (record.last_check if record.last_check is not None else record.since)
    if silent_s > limit_s and seen.now - seen.watched_from <= limit_s:
        return UNSEEN
    return Breach(silent_s > limit_s, silent_s, threshold=limit_s)


def _few(seen: Seen, calls: int) -> Breach:
    """Few calls say nothing, unless the provider is well."""
    well = seen.record.status is Status.HEALTHY and not seen.recent.failures
    return Breach(False if well else None, samples=calls)
