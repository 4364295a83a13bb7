"""The fleet's gates, decided by one replica at a time: it hears status and calls, and tells every edge.

A decision is published to the edges first and saved afterwards: the database being away must not keep traffic on a dead
provider. What could not be saved yet is saved, in order, as soon as it can be.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from fairlead_common.bus.redelivery import is_away
from fairlead_common.decisions.plan import GateState
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.events.health import ProviderStatus
from fairlead_common.ids import stamp
from fairlead_common.leases import Held, Lease
from fairlead_common.service import retrying
from fairlead_common.snapshots.failover import FleetGate, FleetSnapshot, PolicySnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from fairlead_failover.domain import (
    CallSeen,
    GateRecord,
    GateSettings,
    Observation,
    OperatorActs,
    StatusSeen,
    Tick,
    advance,
)
from fairlead_failover.store import FailoverStore

logger = logging.getLogger(__name__)

JOB: Final = "failover.controller"
TICK_S: Final = 0.2
FLEET_KEY: Final = "fleet"
ACT_SUBJECT: Final = "rpc.failover.act"

FailoverEvent = FailoverSwitched | FailoverRecovered


class Controller:
    """State of the gates in this process; only the holder of the lease changes it."""

    def __init__(
        self,
        client: Client,
        store: FailoverStore,
        owner: str,
        settings: GateSettings,
        wake_relay: Callable[[], None],
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._wake_relay = wake_relay
        self._lease = Lease(client, JOB, owner)
        self._publisher = SnapshotPublisher(client, "failover")
        self._status = SnapshotFollower(
            "provider-status", ProviderStatus.model_validate_json, on_change=self._status_changed
        )
        self._policies: dict[int, PolicySnapshot] = {}
        self._workspaces: list[int] = []
        self._records: dict[str, GateRecord] = {}
        self._unsaved: deque[tuple[GateRecord, list[FailoverEvent]]] = deque()
        self._changed = asyncio.Event()
        self._version = 0
        self._holding = False

    @property
    def records(self) -> dict[str, GateRecord]:
        """Gates by provider."""
        return self._records

    @property
    def holding(self) -> bool:
        """Whether this replica decides now."""
        return self._holding

    def know_policies(self, policies: dict[int, PolicySnapshot], workspaces: list[int]) -> None:
        """Policies have been read anew; they say who stands in, for the events."""
        self._policies, self._workspaces = policies, workspaces

    async def run(self) -> None:
        """Compete for the lease and control, for ever."""
        await self._lease.run(self._control)

    async def _control(self, held: Held) -> None:
        await self._load()
        self._holding = True
        subscriptions = [
            await self._client.subscribe(f"{CallsCompleted.subject_prefix}.>", cb=self._frame),
            await self._client.subscribe(ACT_SUBJECT, cb=self._act),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._status.follow(self._client))
                group.create_task(self._publish())
                group.create_task(self._save())
                while True:
                    await asyncio.sleep(TICK_S)
                    for provider in tuple(self._records):
                        self.observe(provider, Tick(), time.time())
        finally:
            self._holding = False
            for subscription in subscriptions:
                try:
                    await subscription.unsubscribe()
                except NatsError:
                    logger.info("a subscription was gone already")

    async def _load(self) -> None:
        """The newer of what was saved and what was published: either may be ahead of the other."""
        records = await retrying("loading the gates", self._store.gates)
        self._records = {record.provider: record for record in records}
        published = await retrying("reading the snapshot", partial(self._publisher.read, FLEET_KEY))
        if published is None:
            self._changed.set()
            return
        snapshot = FleetSnapshot.model_validate_json(published[1])
        self._version = snapshot.version
        for provider, found in snapshot.gates.items():
            known = self._records.get(provider)
            if known is None or known.sequence < found.sequence:
                self._records[provider] = _from_snapshot(provider, found)
        self._changed.set()

    # observations

    def _status_changed(self, provider: str) -> None:
        if (found := self._status.get(provider)) is not None:
            self.observe(provider, StatusSeen(found.status.value, found.reason), time.time())

    async def _frame(self, message: Msg) -> None:
        try:
            frame = CallsCompleted.model_validate_json(message.data)
        except ValidationError:
            logger.warning("a frame on %s cannot be read", message.subject)
            return
        now = time.time()
        for call in frame.calls:
            for attempt in call.attempts:
                if attempt.ok:
                    self.observe(attempt.provider, CallSeen(ok=True), now)
                elif attempt.error_class is not None and attempt.error_class.counts_against_provider:
                    self.observe(attempt.provider, CallSeen(ok=False), now)

    async def _act(self, message: Msg) -> None:
        verb, _, rest = message.data.decode().partition(" ")
        provider, _, reason = rest.partition(" ")
        self.observe(provider, OperatorActs(verb == "open", reason), time.time())
        await message.respond(b"ok")

    def observe(self, provider: str, observation: Observation, now: float) -> None:
        """Advance one gate; a change goes to the edges and to the log."""
        before = self._records.get(provider) or GateRecord(provider)
        after = advance(before, observation, now, self._settings)
        self._records[provider] = after
        if after.sequence == before.sequence:
            return
        logger.warning("%s: %s (%.0f%%): %s", provider, after.state, after.share * 100, after.reason)
        self._unsaved.append((after, self._events(before, after)))
        self._changed.set()

    def _events(self, before: GateRecord, after: GateRecord) -> list[FailoverEvent]:
        found: list[FailoverEvent] = []
        for workspace_id in self._workspaces or [1]:
            policy = self._policies.get(workspace_id)
            if policy is not None and not policy.enabled:
                continue
            stand_in = self._stand_in(after.provider, policy)
            if after.state is GateState.OPEN and before.opened_at is None:
                found.append(
                    FailoverSwitched(
                        **stamp(),
                        workspace_id=workspace_id,
                        from_target=after.provider,
                        to_target=stand_in,
                        cause=after.cause,
                        version=self._version + 1,
                    )
                )
            elif after.state is GateState.CLOSED and before.opened_at is not None:
                found.append(
                    FailoverRecovered(
                        **stamp(),
                        workspace_id=workspace_id,
                        from_target=stand_in,
                        to_target=after.provider,
                        down_s=round(after.since - before.opened_at, 3),
                        version=self._version + 1,
                    )
                )
        return found

    def _stand_in(self, provider: str, policy: PolicySnapshot | None) -> str:
        for name in policy.fallback_providers if policy is not None else ():
            record = self._records.get(name)
            if name != provider and (record is None or record.state is not GateState.OPEN):
                return name
        return "equivalents"

    # effects

    async def _publish(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._version += 1
            gates = {
                provider: _to_snapshot(record)
                for provider, record in sorted(self._records.items())
                if record.state is not GateState.CLOSED
            }
            snapshot = FleetSnapshot(version=self._version, gates=gates)
            try:
                await self._publisher.put(FLEET_KEY, snapshot)
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("the fleet's gates wait for the bus: %s", type(error).__name__)
                await asyncio.sleep(TICK_S)
                self._changed.set()

    async def _save(self) -> None:
        while True:
            if not self._unsaved:
                await asyncio.sleep(TICK_S / 4)
                continue
            record, events = self._unsaved[0]
            try:
                await self._store.save(record, events)
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("gates wait to be saved: %s", type(error).__name__)
                await asyncio.sleep(1)
                continue
            self._unsaved.popleft()
            self._wake_relay()


def _to_snapshot(record: GateRecord) -> FleetGate:
    return FleetGate(
        state=record.state,
        share=record.share,
        since=datetime.fromtimestamp(record.since, UTC),
        retry_at=datetime.fromtimestamp(record.retry_at, UTC) if record.retry_at else None,
        reason=record.reason,
        sequence=record.sequence,
    )


def _from_snapshot(provider: str, found: FleetGate) -> GateRecord:
    return GateRecord(
        provider=provider,
        state=found.state,
        share=found.share,
        since=found.since.timestamp(),
        retry_at=found.retry_at.timestamp() if found.retry_at else None,
        reason=found.reason,
        sequence=found.sequence,
        opened_at=found.since.timestamp(),
    )
