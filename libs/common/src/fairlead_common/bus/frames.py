"""Hearing what became of every call: each frame once, in order, also those of the last moments before one listened.

For judges that must not miss a failure. A core subscription loses what is published while its process starts or while
the connection is away; here the stream is read on from where it was left. Nothing is acknowledged and no place is kept
on the server: every reader hears everything, and a new one begins ``lookback_s`` ago.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from fairlead_common.bus.clocks import ServerClock
from fairlead_common.bus.reading import cancelled_after_all
from fairlead_common.events.calls import Attempt, Call, CallsCompleted

logger = logging.getLogger(__name__)

STREAM: Final = "CALLS"
BATCH: Final = 64
POLL_S: Final = 0.5
LIVE_S: Final = 2.0
"""A reader that asks less often than this was held up: what it hears then is no measure of the server's clock."""
RETRY_S: Final = 0.2
FORGOTTEN_S: Final = 60.0
"""The server drops the reader's consumer when it was not asked for this long."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame, and when the bus stored it (Unix seconds; ``FrameReader`` tells them by this process' clock)."""

    frame: CallsCompleted
    stored_at: float

    def attempts(self) -> Iterator[tuple[Call, Attempt, float]]:
        """Each attempt with its call and the Unix time of its end.

        The source's clock only measures how long before the sending of the frame that was, so it may be wrong.
        """
        sent_at = self.frame.occurred_at.timestamp()
        for call in self.frame.calls:
            started_at = call.started_at.timestamp()
            for attempt in call.attempts:
                ended_at = started_at + (attempt.offset_ms + attempt.duration_ms) / 1000
                yield call, attempt, self.stored_at - max(0.0, sent_at - ended_at)


class FrameReader:
    """Calls ``on_frames`` with what has come, a few frames at a time."""

    def __init__(self, on_frames: Callable[[Sequence[Heard]], None], lookback_s: float = 30.0) -> None:
        self._on_frames = on_frames
        self._lookback_s = lookback_s
        self._last = 0
        self._asked_at = -float("inf")
        self._behind = True
        """Whether what comes next may have waited in the stream."""
        self._clock = ServerClock()
        self.caught_up = asyncio.Event()
        """Set once all that was there at the beginning was heard."""

    async def follow(self, client: Client) -> None:
        """For ever. Connection losses are ridden out; only cancellation ends it."""
        while True:
            try:
                await self._read(client)
            except (NatsError, OSError, TimeoutError) as error:
                cancelled_after_all()
                logger.warning("frames wait for the bus: %s: %s", type(error).__name__, error)
                await asyncio.sleep(RETRY_S)

    async def _read(self, client: Client) -> None:
        """Until the connection is another one: the server may have forgotten the consumer."""
        reconnects = client.stats["reconnects"]
        subscription = await self._consume(client.jetstream(timeout=5))
        self._behind, asked_at = True, time.monotonic()
        try:
            while client.stats["reconnects"] == reconnects and client.is_connected:
                try:
                    messages = await subscription.fetch(BATCH, timeout=POLL_S)
                except TimeoutError:
                    messages = []
                self._asked_at = time.monotonic()
                self._learn(messages, took_s=self._asked_at - asked_at)
                asked_at = self._asked_at
                self._hear(messages)
                await asyncio.sleep(0)  # a long backlog must not keep others from running
        finally:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()
        raise ConnectionError("the connection was lost")

    async def _consume(self, jetstream: JetStreamContext) -> JetStreamContext.PullSubscription:
        state = (await jetstream.stream_info(STREAM)).state
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE, mem_storage=True, num_replicas=1, inactive_threshold=FORGOTTEN_S
        )
        if self._last <= state.last_seq and time.monotonic() - self._asked_at < self._lookback_s:
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, self._last + 1
        else:
            since = datetime.now(UTC) - timedelta(seconds=self._lookback_s)
            config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, since
        return await jetstream.pull_subscribe(
            f"{CallsCompleted.subject_prefix}.>", stream=STREAM, config=config
        )

    def _learn(self, messages: list[Msg], took_s: float) -> None:
        """Who had heard all there was and asked again at once gets the next message as soon as it is stored."""
        held_up = took_s >= LIVE_S
        if messages and not self._behind and not held_up:
            self._clock.learn(_stored_at(messages[-1]), self._asked_at)
        self._behind = held_up or _more(messages)

    def _hear(self, messages: list[Msg]) -> None:
        now, elapsed_s = time.time(), time.monotonic()
        heard = [
            Heard(frame, self._clock.here(_stored_at(each), now, elapsed_s))
            for each in messages
            if (frame := _decoded(each)) is not None
        ]
        if heard:
            self._on_frames(heard)
        if messages:
            self._last = messages[-1].metadata.sequence.stream
        if not _more(messages):
            self.caught_up.set()


def _more(messages: list[Msg]) -> bool:
    """Whether the stream had more when these were sent."""
    return bool(messages) and messages[-1].metadata.num_pending > 0


def _stored_at(message: Msg) -> float:
    """By the server's clock."""
    return message.metadata.timestamp.timestamp()


def _decoded(message: Msg) -> CallsCompleted | None:
    try:
        return CallsCompleted.model_validate_json(message.data)
    except ValidationError as error:
        logger.warning("a frame on %s cannot be read: %d problems", message.subject, len(error.errors()))
        return None
