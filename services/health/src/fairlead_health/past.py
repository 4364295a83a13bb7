"""What the database knows of the time before this process: the states of the last day, and the minutes that were counted."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common.bus.redelivery import is_away
from sqlalchemy import RowMapping

from fairlead_health.domain.score import Span
from fairlead_health.domain.status import KEPT_S, seeded
from fairlead_health.domain.watch import DAY_S, Watch
from fairlead_health.store import HealthStore
from fairlead_health.windows import WindowStore, seconds_of

logger = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
TIMEOUT_S: Final = 2.0


class Past:
    """Adds to ``watches``, by provider.

    Args:
        heard_from: this process counts itself what ended later.
    """

    def __init__(
        self, store: HealthStore, windows: WindowStore, watches: dict[str, Watch], heard_from: datetime
    ) -> None:
        self._store = store
        self._windows = windows
        self._watches = watches
        self._heard_from = heard_from
        self._counted = False
        self.known = False
        """Whether the states of the last day were read; a new holder of the lease reads them anew."""

    async def read(self) -> None:
        """Read it, when the database is there."""
        self.known = False
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._read_states()
                if not self._counted:
                    await self._read_minutes()
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("the states of the last day are not known yet: %s", type(error).__name__)
            return
        self.known = True

    async def _read_states(self) -> None:
        since = datetime.now(UTC) - timedelta(seconds=DAY_S)
        for provider, rows in _by_provider(await self._store.histories(since)).items():
            if provider in self._watches:
                self._watches[provider] = _with_days(self._watches[provider], rows)

    async def _read_minutes(self) -> None:
        found = await self._windows.all_minutes(self._heard_from - timedelta(seconds=KEPT_S))
        for provider, rows in _by_provider(found).items():
            if provider in self._watches:
                earlier = seconds_of(row for row in rows if row["at"] <= self._heard_from - MINUTE)
                watch = self._watches[provider]
                self._watches[provider] = replace(watch, record=seeded(watch.record, earlier))
        self._counted = True


def _by_provider(rows: Iterable[RowMapping]) -> dict[str, list[RowMapping]]:
    found: dict[str, list[RowMapping]] = {}
    for row in rows:
        found.setdefault(row["provider"], []).append(row)
    return found


def _with_days(watch: Watch, rows: Sequence[RowMapping]) -> Watch:
    """What is saved (newest first), and after it what only this process knows yet."""
    saved = [
        Span(row["status"], row["started_at"].timestamp(), row["ended_at"].timestamp())
        for row in reversed(rows)
        if row["ended_at"] is not None
    ]
    end = saved[-1].end if saved else 0.0
    return replace(watch, spans=(*saved, *(span for span in watch.spans if span.start >= end)))
