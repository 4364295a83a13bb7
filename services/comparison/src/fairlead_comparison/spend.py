"""Publishes what each workspace has spent this day and month, in the ``spend`` bucket, for the budgets at the edges."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from itertools import groupby
from typing import Final

from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.spend import SpendSnapshot
from nats.aio.client import Client
from sqlalchemy import RowMapping

from fairlead_comparison.store.spend import SpendStore

DIGITS: Final = 12


class SpendPublisher:
    """What the lease ``comparison.spend`` publishes."""

    def __init__(self, client: Client, store: SpendStore, clock: Callable[[], datetime]) -> None:
        self._bucket = SnapshotPublisher(client, "spend")
        self._store = store
        self._clock = clock

    async def publish(self) -> None:
        """Put what changed."""
        today = self._clock().date()
        for each in snapshots(today, await self._store.month(today)):
            await self._bucket.put(str(each.workspace_id), each)


def snapshots(today: date, rows: Iterable[RowMapping]) -> list[SpendSnapshot]:
    """One for each workspace; ``rows`` are those of ``SpendStore.month``."""
    found = []
    for workspace_id, same in groupby(rows, lambda row: row["workspace_id"]):
        of_sources = list(same)
        found.append(
            SpendSnapshot(
                workspace_id=workspace_id,
                day=today,
                day_usd=round(sum(row["day_usd"] for row in of_sources), DIGITS),
                month_usd=round(sum(row["month_usd"] for row in of_sources), DIGITS),
                unpriced_calls=sum(row["unpriced"] for row in of_sources),
                counted={row["source"]: row["until"].timestamp() for row in of_sources},
            )
        )
    return found
