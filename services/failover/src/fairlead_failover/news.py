"""Changes of gates on their way out: to the edges first, to the log afterwards, by whoever holds the lease."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from fairlead_common.bus.redelivery import is_away
from fairlead_common.leases import Lease
from fairlead_common.snapshots.failover import FleetSnapshot, UnsavedGate
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.errors import Error as NatsError

from fairlead_failover.store import FailoverStore
from fairlead_failover.switches import events_of

logger = logging.getLogger(__name__)

FLEET_KEY: Final = "fleet"
VERIFY_S: Final = 5.0
"""The snapshot in the bucket is compared with ours this often."""
AGAIN_S: Final = 0.2
SAVE_AGAIN_S: Final = 1.0
UNSAVED_KEPT: Final = 500


class News:
    """What changed and is not published, or not saved, yet."""

    def __init__(
        self,
        publisher: SnapshotPublisher,
        lease: Lease,
        store: FailoverStore,
        wake_relay: Callable[[], None],
    ) -> None:
        self._publisher = publisher
        self._lease = lease
        self._store = store
        self._wake_relay = wake_relay
        self._changed = asyncio.Event()
        self._told = asyncio.Condition()
        self._published = 0
        self.changes = 0
        """So far, since this replica controls."""
        self.version = 0
        """Of the snapshot that was published last."""
        self.unsaved: tuple[UnsavedGate, ...] = ()
        """Oldest first."""

    def begin(self, version: int, unsaved: Iterable[UnsavedGate]) -> None:
        """Go on from what the last controller published."""
        self.version, self.unsaved = version, tuple(unsaved)
        self.changes = self._published = 0
        self._changed.set()

    def add(self, change: UnsavedGate) -> None:
        """A gate has changed. A later change stands for the earlier ones, unless the log must tell of them."""
        kept = [each for each in self.unsaved if each.switch is not None or each.provider != change.provider]
        if len(kept) >= UNSAVED_KEPT:
            logger.error("the database is away for too long: the log of switches loses %s", kept.pop(0))
        self.unsaved = (*kept, change)
        self.changes += 1
        self._changed.set()

    async def until_published(self, changes: int) -> None:
        """Wait until the edges were told of so many changes."""
        async with self._told:
            await self._told.wait_for(lambda: self._published >= changes)

    async def publish(self, snapshot: Callable[[], FleetSnapshot]) -> None:
        """For ever: put the snapshot after each change, and put it again should another value be there."""
        while True:
            await self._wait_for_change()
            if self._changed.is_set():
                self._changed.clear()
                self.version += 1
            changes = self.changes
            if not await self._put(snapshot()):
                await asyncio.sleep(AGAIN_S)
                self._changed.set()
                continue
            async with self._told:
                self._published = changes
                self._told.notify_all()

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(VERIFY_S):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _put(self, snapshot: FleetSnapshot) -> bool:
        """False when it has to be put again; never while somebody else may hold the lease already."""
        if not self._lease.sure:
            return False
        try:
            await self._publisher.put(FLEET_KEY, snapshot)
        except (NatsError, OSError, TimeoutError) as error:
            logger.warning("the fleet's gates wait for the bus: %s: %s", type(error).__name__, error)
            return False
        return True

    async def save(self) -> None:
        """For ever: save what was published, oldest first."""
        while True:
            async with self._told:
                await self._told.wait_for(self._may_save)
            change = self.unsaved[0]
            try:
                await self._store.save(change.provider, change.gate, await events_of(change, self._store))
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("gates wait to be saved: %s", type(error).__name__)
                await asyncio.sleep(SAVE_AGAIN_S)
                continue
            self.unsaved = tuple(each for each in self.unsaved if each is not change)
            self._wake_relay()

    def _may_save(self) -> bool:
        return bool(self.unsaved) and self._published == self.changes
