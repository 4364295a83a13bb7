"""Windows of calls per provider and model: counted by the minute and by the hour, each frame once, and put together."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common import sketch
from fairlead_common.db.database import Database, fetch
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.operations.health import Window
from fairlead_common.outcomes import Bucket, ErrorClass
from sqlalchemy import RowMapping, text
from sqlmodel.ext.asyncio.session import AsyncSession

from fairlead_health.domain.score import Availability, Span, availability
from fairlead_health.domain.status import Second

MINUTES: Final = {"1m": timedelta(minutes=1), "5m": timedelta(minutes=5), "1h": timedelta(hours=1)}
HOURS: Final = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
MINUTES_KEPT: Final = timedelta(hours=3)
HOURS_KEPT: Final = timedelta(days=31)
FRAMES_KEPT: Final = timedelta(days=8)
"""Longer than the stream keeps a frame, so that one that comes again is always recognised."""
LIMITS: Final = frozenset(error.value for error in ErrorClass if error.bucket is Bucket.LIMIT)

Key = tuple[str, str, datetime]
"""Provider, model, beginning of the minute or hour."""


@dataclass
class Sum:
    """Attempts at one model in one minute or hour."""

    calls: int = 0
    failures: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    latency: sketch.Sketch = field(default_factory=Counter)
    ttft: sketch.Sketch = field(default_factory=Counter)

    def add(self, other: "Sum") -> None:
        """Add another one to this."""
        self.calls += other.calls
        self.failures += other.failures
        self.classes.update(other.classes)
        self.latency.update(other.latency)
        self.ttft.update(other.ttft)


def sums_of(frames: Iterable[CallsCompleted]) -> dict[Key, Sum]:
    """The frames' attempts by provider, model and minute; a caller's own mistakes and deadlines are left out."""
    found: dict[Key, Sum] = {}
    for frame in frames:
        for call in frame.calls:
            for attempt in call.attempts:
                error = attempt.error_class
                if not attempt.speaks_of_provider:
                    continue
                at = call.started_at + timedelta(milliseconds=attempt.offset_ms)
                minute = at.astimezone(UTC).replace(second=0, microsecond=0)
                total = found.setdefault(
                    (_storable(attempt.provider), _storable(attempt.model), minute), Sum()
                )
                total.calls += 1
                if error is not None:
                    total.classes[error.value] += 1
                    total.failures += error.counts_against_provider
                    continue
                _count(total.latency, attempt.duration_ms)
                _count(total.ttft, attempt.ttft_ms)
    return found


def by_hour(sums: Mapping[Key, Sum]) -> dict[Key, Sum]:
    """Minutes as hours."""
    found: dict[Key, Sum] = {}
    for (provider, model, minute), each in sums.items():
        found.setdefault((provider, model, minute.replace(minute=0)), Sum()).add(each)
    return found


def seconds_of(minutes: Iterable[RowMapping]) -> tuple[Second, ...]:
    """Minutes of a provider, as if all of their calls had ended with their last second. Limits are left out."""
    by_minute: dict[datetime, Sum] = {}
    for row in minutes:
        by_minute.setdefault(row["at"], Sum()).add(sum_of(row))
    return tuple(
        Second(
            at=int(at.timestamp()) + 59,
            calls=total.calls - _limited(total),
            failures=total.failures,
            latency_sum_ms=(sketch.mean(total.latency) or 0.0) * sum(total.latency.values()),
            latencies=sum(total.latency.values()),
        )
        for at, total in sorted(by_minute.items())
    )


def windows_of(
    minutes: Iterable[RowMapping], hours: Iterable[RowMapping], spans: Sequence[Span], now: datetime
) -> list[Window]:
    """Each window for the provider as a whole, then for each model that was called in it.

    Args:
        spans: the provider's states.
    """
    found: list[Window] = []
    for lengths, unit, rows in ((MINUTES, timedelta(minutes=1), minutes), (HOURS, timedelta(hours=1), hours)):
        sums = [(row["at"], row["model"], sum_of(row)) for row in rows]
        for name, length in lengths.items():
            by_model: dict[str, Sum] = {}
            for at, model, each in sums:
                if at > now - length - unit:
                    by_model.setdefault(model, Sum()).add(each)
            total = Sum()
            for each in by_model.values():
                total.add(each)
            known = availability(spans, now.timestamp(), length.total_seconds())
            found.append(window_of(name, None, total, known))
            found += [window_of(name, model, each) for model, each in sorted(by_model.items())]
    return found


class WindowStore:
    """Minutes and hours in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, frames: Iterable[CallsCompleted]) -> int:
        """Add the frames that were not added before; how many those were. All or nothing."""
        by_id = {_storable(frame.event_id): frame for frame in frames}
        async with self._database.transaction() as session:
            new = await fetch(
                session,
                "INSERT INTO health_frame (event_id) SELECT unnest(CAST(:ids AS text[])) ON CONFLICT DO NOTHING"
                " RETURNING event_id",
                ids=sorted(by_id),
            )
            sums = sums_of(by_id[row["event_id"]] for row in new)
            if sums:
                await _add(session, "minute", sums)
                await _add(session, "hour", by_hour(sums))
        return len(new)

    async def minutes(self, provider: str, since: datetime) -> list[RowMapping]:
        """Minutes of a provider, oldest first."""
        return await self._since("minute", provider, since)

    async def all_minutes(self, since: datetime) -> list[RowMapping]:
        """Minutes of all providers, oldest first."""
        async with self._database.transaction() as session:
            return await fetch(
                session,
                "SELECT provider, model, minute AS at, calls, failures, error_classes, latency_sketch, ttft_sketch"
                " FROM provider_health_minute WHERE minute >= :since ORDER BY minute",
                since=since,
            )

    async def hours(self, provider: str, since: datetime) -> list[RowMapping]:
        """Hours of a provider, oldest first."""
        return await self._since("hour", provider, since)

    async def prune(self) -> None:
        """Forget what no window needs."""
        now = datetime.now(UTC)
        async with self._database.transaction() as session:
            await fetch(session, "DELETE FROM health_frame WHERE seen_at < :at", at=now - FRAMES_KEPT)
            for unit, kept in (("minute", MINUTES_KEPT), ("hour", HOURS_KEPT)):
                await fetch(session, f"DELETE FROM provider_health_{unit} WHERE {unit} < :at", at=now - kept)

    async def _since(self, unit: str, provider: str, since: datetime) -> list[RowMapping]:
        async with self._database.transaction() as session:
            return await fetch(
                session,
                f"SELECT model, {unit} AS at, calls, failures, error_classes, latency_sketch, ttft_sketch"
                f" FROM provider_health_{unit} WHERE provider = :provider AND {unit} >= :since ORDER BY {unit}",
                provider=provider,
                since=since,
            )


async def _add(session: AsyncSession, unit: str, sums: Mapping[Key, Sum]) -> None:
    """Add under row locks, taken in one order: counts add up, and so do sketches."""
    keys = sorted(sums)
    columns = {
        "providers": [key[0] for key in keys],
        "models": [key[1] for key in keys],
        "times": [key[2] for key in keys],
    }
    wanted = (
        "SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:models AS text[]), CAST(:times AS timestamptz[]))"
        f" AS wanted (provider, model, {unit})"
    )
    await fetch(
        session,
        f"INSERT INTO provider_health_{unit} (provider, model, {unit}, calls, failures, error_classes,"
        " latency_sketch, ttft_sketch)"
        f" SELECT *, 0, 0, '{{}}'::jsonb, '{{}}'::jsonb, '{{}}'::jsonb FROM ({wanted}) AS new"
        " ON CONFLICT DO NOTHING",
        **columns,
    )
    rows = await fetch(
        session,
        f"SELECT provider, model, {unit} AS at, calls, failures, error_classes, latency_sketch, ttft_sketch"
        f" FROM provider_health_{unit} WHERE (provider, model, {unit}) IN ({wanted})"
        f" ORDER BY provider, model, {unit} FOR UPDATE",
        **columns,
    )
    await _store(
        session, unit, {(row["provider"], row["model"], row["at"]): sum_of(row) for row in rows}, sums
    )


async def _store(
    session: AsyncSession, unit: str, known: Mapping[Key, Sum], added: Mapping[Key, Sum]
) -> None:
    values = []
    for key, total in known.items():
        total.add(added[key])
        values.append(
            {
                "provider": key[0],
                "model": key[1],
                "at": key[2],
                "calls": total.calls,
                "failures": total.failures,
                "classes": json.dumps(dict(total.classes)),
                "latency": json.dumps(sketch.to_json(total.latency)),
                "ttft": json.dumps(sketch.to_json(total.ttft)),
            }
        )
    query = (
        f"UPDATE provider_health_{unit} SET calls = :calls, failures = :failures,"
        " error_classes = CAST(:classes AS jsonb), latency_sketch = CAST(:latency AS jsonb),"
        f" ttft_sketch = CAST(:ttft AS jsonb) WHERE provider = :provider AND model = :model AND {unit} = :at"
    )
    await (await session.connection()).execute(text(query), values)


def sum_of(row: RowMapping) -> Sum:
    """A minute or an hour as it is stored."""
    return Sum(
        row["calls"],
        row["failures"],
        Counter(row["error_classes"]),
        sketch.from_json(row["latency_sketch"]),
        sketch.from_json(row["ttft_sketch"]),
    )


def window_of(name: str, model: str | None, found: Sum, known: Availability | None = None) -> Window:
    """The figures as they are told. A limit is no failure and no success: it counts in neither part of the error rate."""
    limited = _limited(found)
    judged = found.calls - limited
    return Window(
        window=name,
        model=model,
        calls=found.calls,
        failures=found.failures,
        limited=limited,
        error_rate=found.failures / judged if judged else None,
        error_classes=dict(sorted(found.classes.items())),
        latency_p50_ms=_ms(found.latency, 0.5),
        latency_p90_ms=_ms(found.latency, 0.9),
        latency_p95_ms=_ms(found.latency, 0.95),
        latency_p99_ms=_ms(found.latency, 0.99),
        ttft_p50_ms=_ms(found.ttft, 0.5),
        ttft_p90_ms=_ms(found.ttft, 0.9),
        ttft_p95_ms=_ms(found.ttft, 0.95),
        ttft_p99_ms=_ms(found.ttft, 0.99),
        availability_percentage=_percent(known.uptime) if known is not None else None,
        coverage_percentage=_percent(min(1.0, known.coverage)) if known is not None else None,
    )


def _limited(found: Sum) -> int:
    return sum(count for error, count in found.classes.items() if error in LIMITS)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 4)


def _ms(values: sketch.Sketch, q: float) -> float | None:
    value = sketch.quantile(values, q)
    return None if value is None else round(value, 2)


def _count(counts: sketch.Sketch, value_ms: float | None) -> None:
    if value_ms is not None and math.isfinite(value_ms):
        counts[sketch.bucket_of(value_ms)] += 1


def _storable(name: str) -> str:
    """Postgres holds no zero bytes in its texts."""
    return name.replace("\x00", "")
