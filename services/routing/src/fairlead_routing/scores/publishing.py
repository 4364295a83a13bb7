"""Publishes the scores of each workspace, summed by model and task class, in the ``quality`` bucket."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.quality import QualitySnapshot, TaskScores
from nats.aio.client import Client
from sqlalchemy import RowMapping

from fairlead_routing.scores.store import ScoreStore

KEPT: Final = timedelta(days=90)
"""Older scores speak of models that have changed since."""
DIGITS: Final = 6


class Qualities:
    """What the lease ``routing.quality`` publishes."""

    def __init__(self, client: Client, store: ScoreStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._publisher = SnapshotPublisher(client, "quality")

    async def publish(self) -> None:
        """Put what changed, remove what is gone."""
        now = self._clock()
        await self._store.forget(now, KEPT)
        found = snapshots(await self._store.sums(now - KEPT))
        for key in set(await self._publisher.keys()) - {str(each.workspace_id) for each in found}:
            await self._publisher.delete(key)
        for each in found:
            await self._publisher.put(str(each.workspace_id), each)


def snapshots(sums: Iterable[RowMapping]) -> list[QualitySnapshot]:
    """One for each workspace; ``sums`` are in the order of ``ScoreStore.sums``."""
    return [
        QualitySnapshot(
            workspace_id=workspace_id,
            scores=tuple(
                _together(list(same))
                for _, same in groupby(rows, lambda row: (row["provider"], row["model"], row["task"]))
            ),
        )
        for workspace_id, rows in groupby(sums, lambda row: row["workspace_id"])
    ]


def _together(rows: list[RowMapping]) -> TaskScores:
    """The scores of one model in one task class, from all sources."""
    count = sum(row["count"] for row in rows)
    return TaskScores(
        provider=rows[0]["provider"],
        model=rows[0]["model"],
        task=rows[0]["task"],
        count=count,
        mean=round(sum(row["count"] * row["mean"] for row in rows) / count, DIGITS),
        sources={row["source"]: row["count"] for row in rows},
    )
