"""Partitions ahead of time and no longer than they are kept: what the lease ``comparison.housekeeping`` does."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from fairlead_comparison.domain.observations import midnight
from fairlead_comparison.settings import ComparisonSettings
from fairlead_comparison.store.observations import DAY, ObservationStore

logger = logging.getLogger(__name__)

DAYS_AHEAD: Final = 3
MINUTES_KEPT: Final = timedelta(days=32)


class Housekeeping:
    """Makes and drops partitions, and forgets old sums."""

    def __init__(
        self, store: ObservationStore, settings: ComparisonSettings, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def keep(self) -> None:
        """Bring everything to where it should be; running it again changes nothing."""
        now = self._clock()
        today = midnight(now)
        await self._store.make_partitions(today + i * DAY for i in range(-1, DAYS_AHEAD + 1))
        await self._drop(today - timedelta(days=self._settings.retention_days))
        await self._store.prune_sums(
            now - MINUTES_KEPT, now - timedelta(days=self._settings.hours_retention_days)
        )

    async def _drop(self, before: datetime) -> None:
        try:
            dropped = await self._store.drop_partitions(before)
        except asyncpg.LockNotAvailableError:
            logger.info("old partitions are being read; they are dropped at the next round")
            return
        if dropped:
            logger.info("dropped %s", ", ".join(dropped))
