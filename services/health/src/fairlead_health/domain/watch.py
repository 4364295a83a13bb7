"""All that is known of one provider: its states over a day, its published state, where its alerts stand.

``Watch`` changes by ``observed`` here and by ``alerted`` in ``raising``; both are pure, so that tests can judge whole days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from fairlead_common.events.health import Evidence, ProviderStatus, Status

from fairlead_health.domain.alerts import AlertRecord
from fairlead_health.domain.score import USUAL, Availability, Scaling, Span, availability, score
from fairlead_health.domain.status import (
    KEPT_S,
    Observation,
    Record,
    StatusSettings,
    observe,
    window,
)

DAY_S = 86_400.0
STALE_S = 1200.0
"""Figures that are older say nothing about now."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One provider. ``spans`` are its former states of the last day; ``alerts`` where each of its alerts stands."""

    record: Record
    spans: tuple[Span, ...] = ()
    alerts: Mapping[str, AlertRecord] = field(default_factory=lambda: MappingProxyType({}))
    """By fingerprint."""
    region: str | None = None


def observed(watch: Watch, observation: Observation, now: float, settings: StatusSettings) -> Watch:
    """The watch after ``observation``; the record's sequence has grown when the status changed."""
    before = watch.record
    after = observe(before, observation, now, settings)
    return with_record(watch, after, now)


def with_record(watch: Watch, after: Record, now: float) -> Watch:
    """The watch with another record; a state that has ended becomes one of the spans."""
    before = watch.record
    if after.sequence == before.sequence:
        return replace(watch, record=after)
    ended = Span(before.status.value, before.since, after.since)
    spans = (span for span in (*watch.spans, ended) if span.end > now - DAY_S)
    return replace(watch, record=after, spans=tuple(spans))


def available(watch: Watch, now: float) -> Availability:
    """Over the last day."""
    current = Span(watch.record.status.value, watch.record.since, now)
    return availability((*watch.spans, current), now, DAY_S)


def is_calm(watch: Watch) -> bool:
    """Whether time alone changes little: the provider is well, and no alert is open or about to be."""
    record = watch.record
    return (
        record.status in (Status.HEALTHY, Status.MAINTENANCE)
        and not record.failures_in_row
        and all(each.alert_id is None and each.breached_since is None for each in watch.alerts.values())
    )


def state_of(watch: Watch, now: float, scaling: Scaling = USUAL) -> ProviderStatus:
    """The provider's state as it is published."""
    record = watch.record
    calls, failures, latency_ms = _figures(record, now)
    errors = failures / calls if calls else None
    found = available(watch, now)
    return ProviderStatus(
        provider=record.provider,
        status=record.status,
        since=_time(record.since),
        sequence=record.sequence,
        reason=record.reason,
        score=score(found.uptime, latency_ms, errors, scaling),
        avg_latency_ms=None if latency_ms is None else round(latency_ms, 2),
        error_rate=errors,
        uptime_percentage=None if found.uptime is None else round(100 * found.uptime, 4),
        coverage_percentage=round(100 * min(1.0, found.coverage), 4),
        last_check=None if record.last_check is None else _time(record.last_check),
        evidence=_evidence(record, calls, errors),
        region=watch.region,
    )


def _evidence(record: Record, calls: int, errors: float | None) -> tuple[Evidence, ...]:
    """The last of each source, newest first; the first has the figures. A caller's limits are a look and no evidence."""
    found = [
        Evidence(source=source, detail=seen.detail, observed_at=_time(seen.at), ref=seen.ref or None)
        for source, seen in record.last_of.items()
    ]
    if record.page is not None:
        found.append(
            Evidence(
                source="status_page",
                detail=f"{record.page.indicator}: {record.page.description}",
                observed_at=_time(record.page.read_at),
            )
        )
    if record.maintenance:
        found.append(Evidence(source="operator", detail=record.reason, observed_at=_time(record.since)))
    found.sort(key=lambda each: each.observed_at, reverse=True)
    figures = {"sample_count": calls, "value": errors}
    return tuple(each if i else each.model_copy(update=figures) for i, each in enumerate(found))


def _figures(record: Record, now: float) -> tuple[int, int, float | None]:
    """Of the last five minutes; of an idle provider, of the last time that somebody looked."""
    found = window(record, now, KEPT_S)
    if found[0] or not record.seconds or now - record.seconds[-1].at > STALE_S:
        return found
    return window(record, now, now - record.seconds[-1].at + 1)


def _time(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
