"""The fleet's gates, decided by one replica at a time: it hears status and calls, tries out who may be well again, and
tells every edge.

A decision is published to the edges first and saved afterwards: the database being away must not keep traffic on a dead
provider. The snapshot carries what may not be saved yet, so that the next controller saves it when this one dies.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from fairlead_common.bus.frames import FrameReader, Heard
from fairlead_common.bus.redelivery import is_away
from fairlead_common.decisions.gate_records import (
    CallSeen,
    GateRecord,
    GateSettings,
    Observation,
    StatusSeen,
    Tick,
)
from fairlead_common.decisions.plan import GateState
from fairlead_common.decisions.targets import Target
from fairlead_common.events.health import ProviderStatus
from fairlead_common.leases import Held, Lease
from fairlead_common.service import retrying
from fairlead_common.snapshots.failover import FleetGate, FleetSnapshot, PolicySnapshot, UnsavedGate
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from fairlead_failover.acts import ACT_SUBJECT, PUBLISHED, TAKEN, Act
from fairlead_failover.domain import MAX_GATES, OUT, Moved, observe, observe_call, without_idle
from fairlead_failover.hearing import outcome_of, seen_of
from fairlead_failover.news import FLEET_KEY, News
from fairlead_failover.probes import Prober
from fairlead_failover.records import (
    from_snapshot,
    policy_records,
    policy_switch,
    switch_to_snapshot,
    to_snapshot,
)
from fairlead_failover.store import FailoverStore
from fairlead_failover.watch import Guarded, PolicyMoved, PolicyWatch, gates_by_policy

logger = logging.getLogger(__name__)

JOB: Final = "failover.controller"
TICK_S: Final = 0.2
JUDGE_S: Final = 1.0
"""Triggers are looked at this often, beside after each frame of calls."""
BEGIN_S: Final = 2.0
"""At most this long a new controller waits for what there is to hear, and for the database."""
ACTED_S: Final = 2.5
TRIAL_PAUSE_S: Final = 1.0
"""At least this long between two trials of one gate, should the result of the first not have moved it."""
REMEMBERED: Final = 64
"""Outcomes per provider that a replica on stand-by keeps."""


class Controller:
    """State of the gates in this process; only the holder of the lease changes it."""

    def __init__(
        self,
        client: Client,
        store: FailoverStore,
        owner: str,
        providers: Iterable[str],
        settings: GateSettings,
        prober: Prober,
        wake_relay: Callable[[], None],
    ) -> None:
        self._client = client
        self._store = store
        self._providers = frozenset(providers)
        self._settings = settings
        self._prober = prober
        self._trials: set[str] = set()
        self._lease = Lease(client, JOB, owner)
        self._publisher = SnapshotPublisher(client, "failover")
        self._news = News(self._publisher, self._lease, store, wake_relay)
        self._frames = FrameReader(self._hear, settings.old_s)
        self._status = SnapshotFollower(
            "provider-status", ProviderStatus.model_validate_json, on_change=self._status_changed
        )
        self._watch = PolicyWatch()
        self._policies = SnapshotFollower("failover", policy_or_none, on_change=self._policies_changed)
        self._judged_at = 0.0
        self._recent = {name: deque[tuple[Target, CallSeen]](maxlen=REMEMBERED) for name in self._providers}
        self._records: dict[str, GateRecord] = {}
        self._controlling = False

    async def run(self) -> None:
        """Hear, compete for the lease, and control, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._frames.follow(self._client))
            group.create_task(self._status.follow(self._client))
            group.create_task(self._policies.follow(self._client))
            group.create_task(self._lease.run(self._control))

    async def _control(self, held: Held) -> None:
        await self._begin()
        subscription = await self._client.subscribe(ACT_SUBJECT, cb=self._act)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._news.publish(self._snapshot))
                group.create_task(self._news.save())
                while True:
                    self._tick(time.time())
                    for record in self._half_open():
                        group.create_task(self._try_out(record))
                    await asyncio.sleep(TICK_S)
        finally:
            self._controlling = False
            self._trials.clear()
            try:
                await subscription.unsubscribe()
            except NatsError:
                logger.info("the subscription was gone already")

    # beginning

    async def _begin(self) -> None:
        """Go on from what was published and saved last, with what this replica has heard on stand-by."""
        await self._load()
        try:
            async with asyncio.timeout(BEGIN_S):
                await self._status.synced.wait()
                await self._frames.caught_up.wait()
                await self._policies.synced.wait()
        except TimeoutError:
            logger.warning("controlling although not everything was heard yet")
        self._controlling = True
        for provider in self._providers:
            self._status_changed(provider)
            for target, seen in self._recent[provider]:
                self._move(observe_call(self._records, target, seen, time.time(), self._settings))

    async def _load(self) -> None:
        """The newer of what was published and what was saved. The database is waited for only when it alone can know."""
        published = await retrying("reading the snapshot", partial(self._publisher.read, FLEET_KEY))
        snapshot = FleetSnapshot(version=0)
        if published is not None:
            snapshot = FleetSnapshot.model_validate_json(published[1])
        records = {
            key: from_snapshot(key, found) for key, found in {**snapshot.closed, **snapshot.gates}.items()
        }
        saved = await self._saved(wait=published is None)
        for record in saved:
            if record.key not in records or records[record.key].sequence < record.sequence:
                records[record.key] = record
        sequences = {record.key: record.sequence for record in saved}
        records |= policy_records(snapshot.policies, saved)
        self._watch.records = {
            guarded: each for key, each in records.items() if (guarded := Guarded.of(key)) is not None
        }
        known = {key: each for key, each in records.items() if key.partition("/")[0] in self._providers}
        self._records = {**{name: GateRecord(name) for name in self._providers}, **known}
        unsaved = (each for each in snapshot.unsaved if each.gate.sequence > sequences.get(each.provider, 0))
        self._news.begin(snapshot.version, unsaved)
        self._prober.spent = snapshot.trials

    async def _saved(self, *, wait: bool) -> list[GateRecord]:
        if wait:
            return await retrying("loading the gates", self._store.gates)
        try:
            async with asyncio.timeout(BEGIN_S):
                return await self._store.gates()
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("going on without the database: %s", type(error).__name__)
            return []

    # observing

    def _status_changed(self, provider: str) -> None:
        found = self._status.get(provider)
        if self._controlling and provider in self._providers and found is not None:
            checked_at = found.last_check.timestamp() if found.last_check is not None else None
            self._observe(provider, StatusSeen(found.status.value, found.reason, checked_at), time.time())

    def _hear(self, heard: Sequence[Heard]) -> None:
        now = time.time()
        for each in heard:
            called: set[Target] = set()
            for _, attempt, ended_at in each.attempts():
                seen = seen_of(attempt, min(ended_at, now))
                if attempt.provider in self._providers and seen is not None:
                    target = Target(attempt.provider, attempt.model)
                    self._recent[attempt.provider].append((target, seen))
                    if not self._controlling:
                        self._watch.remember(target, outcome_of(attempt, seen))
                        continue
                    self._move(observe_call(self._records, target, seen, now, self._settings))
                    self._move_policies(self._watch.hear(target, outcome_of(attempt, seen), now))
                    called.add(target)
            if called:
                self._move_policies(self._watch.judge(self._said(), now, called))

    def _said(self) -> dict[str, str]:
        return {name: self._records[name].status for name in self._providers}

    def _policies_changed(self, key: str) -> None:
        found = (each for each in self._policies.values() if each is not None)
        self._watch.policies = {each.workspace_id: each for each in found}

    async def _act(self, message: Msg) -> None:
        """An operator's hand. The answer comes when the edges have been told, or says that they could not be yet."""
        act = Act.model_validate_json(message.data)
        if act.key.partition("/")[0] not in self._providers or not self._lease.sure:
            return
        self._observe(act.key, act.observation(), time.time())
        try:
            async with asyncio.timeout(ACTED_S):
                await self._news.until_published(self._news.changes)
        except TimeoutError:
            logger.warning("edges could not be told of an operator's hand in time")
            if self._lease.sure:  # else the next controller does not know of it
                await message.respond(TAKEN)
            return
        await message.respond(PUBLISHED)

    def _tick(self, now: float) -> None:
        if len(self._records) > MAX_GATES:
            self._records = without_idle(self._records, now, self._settings)
        moving = [
            key
            for key, each in self._records.items()
            if each.state is not GateState.CLOSED or each.hold is not None
        ]
        for key in moving:
            self._observe(key, Tick(), now)
        rules_known = self._policies.synced.is_set()  # one that was not heard of yet is not gone
        if rules_known and now - self._judged_at >= JUDGE_S:
            self._judged_at = now
            self._move_policies(self._watch.judge(self._said(), now))

    def _half_open(self) -> list[GateRecord]:
        """Gates that wait for a trial, and whose trial is not under way."""
        return [
            each
            for key, each in self._records.items()
            if each.state is GateState.HALF_OPEN and key not in self._trials
        ]

    async def _try_out(self, record: GateRecord) -> None:
        target = self._prober.target_of(record)
        if target is None:
            return
        self._trials.add(record.key)
        try:
            await self._prober.probe(target)
            await asyncio.sleep(TRIAL_PAUSE_S)
        finally:
            self._trials.discard(record.key)

    def _observe(self, key: str, observation: Observation, now: float) -> None:
        self._move(observe(self._records, key, observation, now, self._settings))

    def _move(self, moved: Sequence[Moved]) -> None:
        """A change of a gate goes to the edges, and then to the log."""
        for each in moved:
            self._records[each.record.key] = each.record
        for record, switch in ((each.record, each.switch) for each in moved if each.changed):
            _log(record)
            told = None
            if switch is not None:
                told = switch_to_snapshot(switch, self._out(), self._news.version + 1, record.reason)
            self._news.add(UnsavedGate(provider=record.key, gate=to_snapshot(record), switch=told))

    def _move_policies(self, moved: Sequence[PolicyMoved]) -> None:
        """The same for the gates of workspaces' own policies."""
        for each in moved:
            record = each.record
            _log(record)
            told = policy_switch(each, self._out(), self._news.version + 1)
            self._news.add(UnsavedGate(provider=record.key, gate=to_snapshot(record), switch=told))

    def _out(self) -> tuple[str, ...]:
        return tuple(key for key, gate in self._records.items() if gate.state in OUT)

    def _snapshot(self) -> FleetSnapshot:
        moved = {key: to_snapshot(record) for key, record in sorted(self._records.items()) if record.sequence}
        return FleetSnapshot(
            version=self._news.version,
            gates={key: gate for key, gate in moved.items() if _concerns_edges(gate)},
            closed={key: gate for key, gate in moved.items() if not _concerns_edges(gate)},
            unsaved=self._news.unsaved,
            policies={
                policy: {name: to_snapshot(record) for name, record in gates.items()}
                for policy, gates in gates_by_policy(self._watch.records.items()).items()
            },
            trials=self._prober.spent,
        )


def policy_or_none(data: bytes) -> PolicySnapshot | None:
    """A value of the ``failover`` bucket; None for its other kinds. Raises ValueError."""
    found = json.loads(data)
    if "workspace_id" not in found or "drill_id" in found:
        return None
    return PolicySnapshot.model_validate_json(data)


def _log(record: GateRecord) -> None:
    level = logging.WARNING if record.state is GateState.OPEN else logging.INFO
    logger.log(level, "%s: %s (%.0f%%): %s", record.key, record.state, record.share * 100, record.reason)


def _concerns_edges(gate: FleetGate) -> bool:
    return gate.state is not GateState.CLOSED or gate.hold is not None
