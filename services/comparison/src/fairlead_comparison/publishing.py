"""Publishes measured performance: on the bus and in the ``performance`` bucket, where it changed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.events.comparison import ProviderPerformance, ProviderPerformancePublished
from fairlead_common.ids import stamp
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client

from fairlead_comparison.domain.performance import Target, by_provider, chosen, measured
from fairlead_comparison.domain.scores import quality_by_target
from fairlead_comparison.domain.sums import Sums
from fairlead_comparison.metrics import ComparisonMetrics
from fairlead_comparison.settings import ComparisonSettings
from fairlead_comparison.store.sums import ALL_IN_ONE, SumStore, Window

BUCKET: Final = "performance"
HOURLY_FROM_S: Final = 6 * 3600
"""Windows of this length or more are put together from hours."""
FORGET: Final = timedelta(days=7)
"""A provider that nobody has called for the long window, but within this time, is told of once more, without figures."""


class PerformancePublisher:
    """What the lease ``comparison.performance`` publishes."""

    def __init__(
        self,
        client: Client,
        publisher: JetStreamPublisher,
        store: SumStore,
        settings: ComparisonSettings,
        metrics: ComparisonMetrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._publisher = publisher
        self._bucket = SnapshotPublisher(client, BUCKET)
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    async def publish(self) -> None:
        """Look at the windows, and tell what is new. The event goes first: if the bucket cannot follow, both come again."""
        for provider, performance in (await self.look()).items():
            found = await self._bucket.read(provider)
            if (
                found is not None
                and ProviderPerformance.model_validate_json(found[1]).models == performance.models
            ):
                continue
            await self._publisher.publish(ProviderPerformancePublished(**stamp(), performance=performance))
            await self._bucket.put(provider, performance, force=True)
            self._metrics.published.inc()

    async def look(self) -> dict[str, ProviderPerformance]:
        """Performance of every provider that was called lately."""
        settings, now = self._settings, self._clock()
        short_s = settings.performance_window_s
        long_s = max(short_s, settings.performance_long_window_s)
        short, long = await self._sums(now, short_s), await self._sums(now, long_s)
        scores = await self._store.scores(now - timedelta(days=settings.quality_window_days), now)
        quality = quality_by_target(scores)
        min_calls = settings.performance_min_calls
        models = [
            measured(target, sums, window_s, quality.get(target), min_calls)
            for target, (sums, window_s) in chosen(short, long, min_calls, short_s, long_s).items()
        ]
        known = await self._store.providers(now - FORGET)
        return by_provider(known, models, short_s, now)

    async def _sums(self, now: datetime, window_s: int) -> dict[Target, Sums]:
        since = (now - timedelta(seconds=window_s)).replace(second=0, microsecond=0)
        hourly = window_s >= HOURLY_FROM_S
        kinds = tuple(sorted(kind.value for kind in self._settings.performance_kinds))
        window = Window(
            since.replace(minute=0) if hourly else since, now + timedelta(minutes=1), kinds, hourly
        )
        parts = await self._store.parts(window, ALL_IN_ONE)
        return {(part.provider, part.model): part.sums for part in parts}
