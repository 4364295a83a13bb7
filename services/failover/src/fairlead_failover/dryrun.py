"""What the triggers of a configuration would have moved: stored calls through the live code, by a virtual clock."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fairlead_common.bus.frames import STREAM, Heard
from fairlead_common.bus.reading import read_since
from fairlead_common.decisions.gate_records import CallSeen
from fairlead_common.decisions.targets import Target
from fairlead_common.events.calls import Attempt, Call, CallsCompleted
from fairlead_common.events.health import ProviderStatusPublished
from fairlead_common.operations import failover as ops
from fairlead_common.snapshots.failover import PolicySnapshot
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from fairlead_failover.hearing import outcome_of, seen_of
from fairlead_failover.records import time_of
from fairlead_failover.switches import ANY_EQUIVALENT
from fairlead_failover.watch import Guarded, PolicyMoved, PolicyWatch

BATCH: Final = 256
POLL_S: Final = 0.2
READ_S: Final = 20.0
"""Reading stops after this long; what was not read is said."""
FORGOTTEN_S: Final = 30.0
SLICE_S: Final = 0.005
"""So long it computes at most before others get a turn."""
MAX_SWITCHES: Final = 500
STEP_S: Final = 1.0
MAX_STEPS: Final = 900
"""So many seconds without any call are lived through one by one while something is away; then nothing moves."""


@dataclass
class _Away:
    """A switch under way, and what its target still got of the workspace's calls."""

    moved: PolicyMoved
    back_at: float | None = None
    calls: int = 0
    failed: int = 0


@dataclass
class Rehearsal:
    """A policy's watch on a virtual clock. Times are Unix seconds.

    What may take long is an iterator of steps: whoever runs through them can let others have their turn in between.
    """

    policy: PolicySnapshot
    status: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    clock: float = 0.0
    away: list[_Away] = field(default_factory=list)
    _watch: PolicyWatch = field(default_factory=PolicyWatch)
    _called: set[Target] = field(default_factory=set)
    _open: dict[Guarded, _Away] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._watch.policies = {self.policy.workspace_id: self.policy}

    def hear(self, call: Call, attempt: Attempt, ended_at: float) -> Iterator[None]:
        """One attempt, in the order in which they came."""
        seen = seen_of(attempt, ended_at)
        if seen is None:
            return
        now = max(self.clock, ended_at)
        yield from self.live_until(now)
        target = Target(attempt.provider, attempt.model)
        self._count(target, seen, ours=call.workspace_id == self.policy.workspace_id)
        self._note(self._watch.hear(target, outcome_of(attempt, seen), now))
        self._called.add(target)
        yield

    def judge(self) -> None:
        """A frame of calls is over."""
        self._note(self._watch.judge(self.status, self.clock, self._called))
        self._called.clear()

    def say(self, at: float, provider: str, status: str) -> Iterator[None]:
        """Health said this of a provider."""
        yield from self.live_until(max(self.clock, at))
        self.status[provider] = status
        self._note(self._watch.judge(self.status, self.clock))
        yield

    def live_until(self, now: float) -> Iterator[None]:
        """Let time pass."""
        steps = 0
        while self._open and self.clock + STEP_S <= now and steps < MAX_STEPS:
            self.clock += STEP_S
            steps += 1
            self._note(self._watch.judge(self.status, self.clock))
            yield
        self.clock = now

    def switches(self) -> list[ops.DryRunSwitch]:
        """What would have been moved, oldest first."""
        return [self._told(each) for each in self.away[:MAX_SWITCHES]]

    def _count(self, target: Target, seen: CallSeen, *, ours: bool) -> None:
        self.attempts += 1
        for guarded, away in self._open.items():
            if ours and guarded.target == target:
                away.calls += 1
                away.failed += not seen.ok

    def _note(self, moved: Iterable[PolicyMoved]) -> None:
        for each in moved:
            if each.switch is None:
                continue
            if each.switch.kind == "switched":
                self._open[each.guarded] = _Away(each)
                self.away.append(self._open[each.guarded])
            elif each.guarded in self._open:
                self._open.pop(each.guarded).back_at = each.switch.at

    def _told(self, away: _Away) -> ops.DryRunSwitch:
        guarded, record = away.moved.guarded, away.moved.record
        chain = next((rule.chain for rule in self.policy.rules if rule.name == guarded.rule), ())
        return ops.DryRunSwitch(
            rule=guarded.rule,
            from_target=str(guarded.target),
            to_target=next((name for name in chain if name != str(guarded.target)), ANY_EQUIVALENT),
            cause=str(record.cause),
            evidence=away.moved.evidence,
            at=time_of(record.since),
            back_at=None if away.back_at is None else time_of(away.back_at),
            calls=away.calls,
            failed=away.failed,
        )


class _Patience:
    """How long may be read, and when others on this event loop have to get a turn: a controller must keep its lease."""

    def __init__(self) -> None:
        self._began = self._rested = time.monotonic()

    async def for_(self, steps: Iterator[None]) -> bool:
        """Run through ``steps``; False when the time for reading is over before their end."""
        for _ in steps:
            now = time.monotonic()
            if now - self._rested > SLICE_S:
                await asyncio.sleep(0)
                self._rested = time.monotonic()
            if now - self._began > READ_S:
                return False
        return True


async def dry_run(client: Client, policy: PolicySnapshot, since: datetime, until: datetime) -> ops.DryRun:
    """Read what the streams have of this period, and rehearse. Raises what the bus raises."""
    found, patience, complete, kept_since = Rehearsal(policy), _Patience(), True, None
    changes = await _states(client, since)
    async for sequence, stored_at, frame in _frames(client, since):
        if kept_since is None:
            kept_since = time_of(stored_at) if await _is_oldest(client, sequence) else since
        steps = itertools.chain(_said(found, changes, stored_at), _heard(found, frame, stored_at))
        if not (complete := await patience.for_(steps)):
            break
    end = until.timestamp()
    if complete:
        steps = itertools.chain(_said(found, changes, end), found.live_until(max(found.clock, end)))
        complete = await patience.for_(steps)
    if kept_since is None and await _is_emptied(client):
        kept_since = until
    return ops.DryRun(
        since=max(since, kept_since or since),
        until=time_of(end if complete else found.clock),
        complete=complete,
        attempts=found.attempts,
        switches=found.switches(),
    )


async def _states(client: Client, since: datetime) -> list[tuple[float, str, str]]:
    """When health said what of whom; the latest first."""
    states = [
        ProviderStatusPublished.model_validate_json(each.data).state
        for each in await read_since(client, "STATUS", f"{ProviderStatusPublished.subject_prefix}.>", since)
    ]
    return sorted(
        ((each.since.timestamp(), each.provider, each.status.value) for each in states), reverse=True
    )


def _said(found: Rehearsal, changes: list[tuple[float, str, str]], until: float) -> Iterator[None]:
    """What health had said until then."""
    while changes and changes[-1][0] <= until:
        yield from found.say(*changes.pop())


def _heard(found: Rehearsal, frame: CallsCompleted | None, stored_at: float) -> Iterator[None]:
    """The calls of a frame; None = it cannot be read, as the controller has said when it came."""
    if frame is not None:
        for call, attempt, ended_at in Heard(frame, stored_at).attempts():
            yield from found.hear(call, attempt, ended_at)
        found.judge()
    yield


async def _is_oldest(client: Client, sequence: int) -> bool:
    """What was stored before this message is gone."""
    state = (await client.jetstream(timeout=5).stream_info(STREAM)).state
    return 1 < sequence <= state.first_seq


async def _is_emptied(client: Client) -> bool:
    """There were calls, and none is kept any more."""
    state = (await client.jetstream(timeout=5).stream_info(STREAM)).state
    return state.messages == 0 and state.first_seq > 1


async def _frames(client: Client, since: datetime) -> AsyncIterator[tuple[int, float, CallsCompleted | None]]:
    """What the stream of calls has from ``since`` on, oldest first: place, time of storage, content."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=since,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        num_replicas=1,
        inactive_threshold=FORGOTTEN_S,
    )
    jetstream = client.jetstream(timeout=5)
    subscription = await jetstream.pull_subscribe(
        f"{CallsCompleted.subject_prefix}.>", stream=STREAM, config=config
    )
    try:
        while (await subscription.consumer_info()).num_pending:
            try:
                messages = await subscription.fetch(BATCH, timeout=POLL_S)
            except TimeoutError:
                continue
            for message in messages:
                at = message.metadata
                yield at.sequence.stream, at.timestamp.timestamp(), _frame(message.data)
    finally:
        await subscription.unsubscribe()


def _frame(data: bytes) -> CallsCompleted | None:
    try:
        return CallsCompleted.model_validate_json(data)
    except ValidationError:
        return None
