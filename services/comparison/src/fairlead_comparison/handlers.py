"""Subscribers: frames of calls in batches, results of A/B tests one by one."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
from fairlead_common.bus.redelivery import PoisonMessage, dead_letter_body
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.events.calls import CallsCompleted
from faststream.nats import NatsMessage
from pydantic import ValidationError

from fairlead_comparison.domain.observations import Observation, Unkeepable, midnight, observe
from fairlead_comparison.metrics import ComparisonMetrics
from fairlead_comparison.store.observations import ObservationStore
from fairlead_comparison.store.results import ResultStore

logger = logging.getLogger(__name__)

CALLS_AT_ONCE: Final = 5000
"""As soon as this many wait, they are written in one transaction."""

BAD_DATA: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
"""What Postgres says of a value that it cannot hold; trying again cannot help."""


class Frame(NamedTuple):
    """What can be kept of one frame, and its place in the batch."""

    position: int
    occurred_at: datetime
    calls: list[Observation]


class CallHandler:
    """Writes frames of calls, each call once."""

    def __init__(
        self,
        store: ObservationStore,
        metrics: ComparisonMetrics,
        retention: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._retention = retention
        self._clock = clock

    async def on_frames(self, bodies: list[bytes], message: NatsMessage) -> None:
        """Write a batch; a frame (or a call in it) that cannot be kept becomes a dead letter, the rest is written."""
        began, now = time.perf_counter(), self._clock()
        waiting: list[Frame] = []
        oldest = now
        for position, body in enumerate(bodies):
            frame = await self._read(position, body, now, message)
            if frame is not None:
                waiting.append(frame)
                oldest = min(oldest, frame.occurred_at)
            if sum(len(each.calls) for each in waiting) >= CALLS_AT_ONCE:
                await self._write(waiting, message)
                waiting = []
        await self._write(waiting, message)
        self._metrics.lag.set((self._clock() - oldest).total_seconds())
        self._metrics.batch.observe(time.perf_counter() - began)

    async def _read(self, position: int, body: bytes, now: datetime, message: NatsMessage) -> Frame | None:
        try:
            event = CallsCompleted.model_validate_json(body)
        except ValidationError as error:
            await self._set_aside(message, position, error)
            return None
        oldest_kept = midnight(now - self._retention)
        found = [observe(call, event.source, oldest_kept, now) for call in event.calls]
        if bad := [each for each in found if isinstance(each, Unkeepable)]:
            await self._set_aside(message, position, _complaint(bad))
        return Frame(position, event.occurred_at, [each for each in found if isinstance(each, Observation)])

    async def _write(self, frames: list[Frame], message: NatsMessage) -> None:
        calls = [call for frame in frames for call in frame.calls]
        try:
            written = await self._store.write(calls)
        except BAD_DATA as error:
            if len(frames) == 1:
                await self._set_aside(message, frames[0].position, error)
                return
            logger.warning("a batch holds data that Postgres refuses (%s); writing its frames alone", error)
            for frame in frames:
                await self._write([frame], message)
            return
        self._metrics.calls.inc(written.calls)
        self._metrics.attempts.inc(written.attempts)
        self._metrics.repeated.inc(len(calls) - written.calls)

    async def _set_aside(self, message: NatsMessage, position: int, error: Exception) -> None:
        await dead_letter_body(message, position, error)
        self._metrics.dead_letters.inc()


class ResultHandler:
    """Writes results of A/B tests, each once."""

    def __init__(self, store: ResultStore, metrics: ComparisonMetrics) -> None:
        self._store = store
        self._metrics = metrics

    async def on_result(self, body: bytes, message: NatsMessage) -> None:
        """Write one result."""
        if await self._store.add(TestResultRecorded.model_validate_json(body)):
            self._metrics.results.inc()


def _complaint(bad: list[Unkeepable]) -> PoisonMessage:
    first = "; ".join(f"call {each.call_id}: {each.reason}" for each in bad[:3])
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return PoisonMessage(f"not kept: {first}{more}")
