"""What each alert rule finds in the record of a provider: breached, clear, or unknown."""

from fairlead_common.events.health import Status

from fairlead_health.domain import alerts
from fairlead_health.domain.alerts import AlertRule, Breach
from fairlead_health.domain.status import KEPT_S, Record, StatusSettings, window

UNSEEN = Breach(None)

Figures = tuple[int, int, float | None]
"""Calls, failures, mean latency in ms."""


def figures_of(record: Record, now: float) -> Figures:
    """Of the last five minutes, or since the last recovery."""
    return window(record, now, min(KEPT_S, now - record.judged_from))


def breach(
    rule: AlertRule,
    record: Record,
    figures: Figures,
    now: float,
    settings: StatusSettings,
    probe_interval_s: int | None,
    watched_from: float,
) -> Breach:
    """Apply ``rule``.

    Args:
        figures: what ``figures_of`` says of the record.
        probe_interval_s: how often the provider is to be probed; None = not at all.
        watched_from: Unix time since which this process hears all calls.
    """
    if rule is alerts.PROBES_LOST:
        return _probes_lost(record, now, probe_interval_s, watched_from)
    if rule is alerts.DOWN or rule is alerts.DEGRADED:
        wanted = Status.DOWN if rule is alerts.DOWN else Status.DEGRADED
        return (
            UNSEEN if record.status is Status.UNKNOWN else Breach(record.status is wanted, samples=figures[0])
        )
    return _beyond(rule, record, figures, settings)


def _probes_lost(record: Record, now: float, probe_interval_s: int | None, watched_from: float) -> Breach:
    """Nothing was heard of the provider for three intervals and a minute, neither from probes nor from live traffic."""
    if probe_interval_s is None or record.status is Status.MAINTENANCE:
        return Breach(False)
    limit_s = 3 * probe_interval_s + 60
    silent_s = now - (record.last_check if record.last_check is not None else record.since)
    if silent_s > limit_s and now - watched_from <= limit_s:
        return UNSEEN
    return Breach(silent_s > limit_s, silent_s)


def _beyond(rule: AlertRule, record: Record, figures: Figures, settings: StatusSettings) -> Breach:
    """A figure against its threshold. Few calls say nothing, unless the provider is well."""
    calls, failures, latency_ms = figures
    if calls < settings.min_calls or rule.threshold is None:
        return Breach(False if record.status is Status.HEALTHY and not failures else None, samples=calls)
    value = failures / calls if rule is alerts.HIGH_ERROR_RATE else latency_ms
    return UNSEEN if value is None else Breach(value > rule.threshold, value, calls)
