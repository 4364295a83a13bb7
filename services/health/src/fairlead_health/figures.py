"""Reads the figures that alert rules ask for from the windows in Postgres: counts, and quantiles of latency.

The baseline changes slowly and is made of many hours, so it is read seldom.

Windows up to an hour are made of whole minutes, longer ones of whole hours; the unit in which one begins counts.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common.bus.redelivery import is_away
from fairlead_common.db.database import Database
from fairlead_common.operations.alert_rules import WINDOWS_S
from sqlalchemy import text

from fairlead_health.domain.figures import Count, Figures, Timing, Wanted, timings_of, wanted
from fairlead_health.domain.rules import Rules
from fairlead_health.windows import LIMITS

logger = logging.getLogger(__name__)

BASELINE: Final = "7d"
BASELINE_AGE: Final = timedelta(minutes=10)
TIMEOUT_S: Final = 10.0
UNITS: Final[Mapping[str, timedelta]] = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}

Counts = dict[str, dict[str, Count]]
"""Provider and window to count."""
Timings = dict[str, dict[tuple[str, float], Timing]]
"""Provider, window and quantile to timing."""


class FigureStore:
    """One query each; a provider without calls in a window has a count of none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def figures(self, wanted: Wanted, providers: Iterable[str], now: datetime) -> dict[str, Figures]:
        """What ``wanted`` names, by provider."""
        counts: Counts = {provider: dict.fromkeys(wanted.counts, Count(0, 0)) for provider in providers}
        timings: Timings = {provider: dict.fromkeys(wanted.timings, Timing(0, 0.0)) for provider in counts}
        for unit in UNITS:
            await self._count(unit, _begins(unit, wanted.counts, now), counts)
            await self._time(
                unit, _begins(unit, {window for window, _ in wanted.timings}, now), wanted, timings
            )
        return {provider: Figures(counts[provider], timings[provider]) for provider in counts}

    async def errors(self, now: datetime) -> dict[str, dict[str, int]]:
        """Provider and class of error to calls of the last 5 minutes."""
        query = (
            "SELECT provider, error.key, sum(error.value::int) FROM provider_health_minute"
            " CROSS JOIN LATERAL jsonb_each_text(error_classes) AS error WHERE minute > :begins GROUP BY 1, 2"
        )
        begins = _begins("minute", ("5m",), now)["5m"]
        async with self._database.transaction() as session:
            rows = await (await session.connection()).execute(text(query), {"begins": begins})
        found: dict[str, dict[str, int]] = {}
        for provider, error, count in rows:
            found.setdefault(provider, {})[error] = int(count)
        return found

    async def _count(self, unit: str, begins: Mapping[str, datetime], counts: Counts) -> None:
        if not begins:
            return
        query = (
            "SELECT wanted.name, provider, sum(failures) AS failures, sum(calls - coalesce((SELECT"
            " sum(value::int) FROM jsonb_each_text(error_classes) WHERE key = ANY(:limits)), 0)) AS calls"
            f" FROM provider_health_{unit} JOIN unnest(CAST(:names AS text[]), CAST(:begins AS timestamptz[]))"
            f" AS wanted (name, begins) ON {unit} > wanted.begins GROUP BY 1, 2"
        )
        async with self._database.transaction() as session:
            rows = await (await session.connection()).execute(
                text(query), {"limits": sorted(LIMITS), "names": [*begins], "begins": [*begins.values()]}
            )
        for name, provider, failures, calls in rows:
            if provider in counts:
                counts[provider][name] = Count(int(calls), int(failures))

    async def _time(
        self, unit: str, begins: Mapping[str, datetime], wanted: Wanted, timings: Timings
    ) -> None:
        if not begins:
            return
        query = (
            "SELECT wanted.name, provider, bucket.key::int, sum(bucket.value::int)"
            f" FROM provider_health_{unit} JOIN unnest(CAST(:names AS text[]), CAST(:begins AS timestamptz[]))"
            f" AS wanted (name, begins) ON {unit} > wanted.begins"
            " CROSS JOIN LATERAL jsonb_each_text(latency_sketch) AS bucket GROUP BY 1, 2, 3"
        )
        async with self._database.transaction() as session:
            rows = await (await session.connection()).execute(
                text(query), {"names": [*begins], "begins": [*begins.values()]}
            )
        sketches: dict[tuple[str, str], dict[int, int]] = {}
        for name, provider, bucket, count in rows:
            sketches.setdefault((name, provider), {})[bucket] = int(count)
        for (name, provider), found in sketches.items():
            if provider in timings:
                timings[provider].update(timings_of(name, found, wanted))


class Measurements:
    """The figures of all providers as they are now. What cannot be read is not known, so that no rule relies on it."""

    def __init__(self, store: FigureStore, providers: tuple[str, ...]) -> None:
        self._store = store
        self._providers = providers
        self._baseline: Mapping[str, Figures] = {}
        self._asked = Wanted(frozenset(), frozenset())
        self._read_at = datetime.min.replace(tzinfo=UTC)

    async def read(self, rules: Rules, now: datetime) -> Mapping[str, Figures]:
        """What the rules want to know, by provider; nothing while the database is away."""
        asked = wanted(rules)
        slow = Wanted(frozenset(), frozenset(each for each in asked.timings if each[0] == BASELINE))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if slow != self._asked or now - self._read_at > BASELINE_AGE:
                    self._baseline = await self._store.figures(slow, self._providers, now)
                    self._asked, self._read_at = slow, now
                quick = Wanted(asked.counts, asked.timings - slow.timings)
                found = await self._store.figures(quick, self._providers, now)
                errors = await self._store.errors(now)
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("figures of longer windows cannot be read: %s", type(error).__name__)
            return {}
        return {
            name: Figures(each.counts, {**each.timings, **self._baseline[name].timings}, errors.get(name, {}))
            for name, each in found.items()
        }


def _begins(unit: str, windows: Iterable[str], now: datetime) -> dict[str, datetime]:
    """The windows that are counted in this unit; what began after the given time belongs to them."""
    small = WINDOWS_S["1h"]
    return {
        name: now - timedelta(seconds=WINDOWS_S[name]) - UNITS[unit]
        for name in sorted(windows)
        if (WINDOWS_S[name] <= small) == (unit == "minute")
    }
