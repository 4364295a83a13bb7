"""Subscribing to the durables of the topology: stream, durable and acknowledgement policy are always named.

FastStream's default *terminates* a message on its first error; here a failed message is redelivered with backoff, as
``fairlead_common.bus.redelivery`` decides.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.subscriber.usecases.stream_pull_subscriber import BatchPullStreamSubscriber
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError
from nats.js.api import ConsumerConfig
from nats.js.errors import ServiceUnavailableError

from fairlead_common.bus.permissions import inbox
from fairlead_common.bus.topology import Durable

Handler = Callable[[bytes, NatsMessage], Awaitable[None]]
BatchHandler = Callable[[list[bytes], NatsMessage], Awaitable[None]]

AWAY_PAUSE_S = 0.1
FETCH_TIMEOUT_S = 2.0
"""A fetch that was under way when the server died waits this long before it asks the new one."""


async def whole(message: NatsMessage) -> NatsMessage:
    """The message as it came: handlers parse it into their type themselves, so a bad one is poison and no crash."""
    return message


HANDLING: Final[Mapping[str, Any]] = {"apply_types": False, "decoder": whole}
"""How a broker is to call the handlers below; FastStream's injection would pass each message through a thread."""


def consume(
    broker: NatsBroker, durable: Durable, handler: Handler, *, in_flight: int = 16, hands_on: bool = False
) -> None:
    """Call ``handler(body, message)`` for each message of ``durable``, up to ``in_flight`` at a time.

    The handler returns = acknowledged; it raises = see ``redelivery``. It must be idempotent on ``event_id``. One that
    ``hands_on`` its messages to somebody who acknowledges them returns before they are done.
    """

    async def deliver(message: NatsMessage) -> None:
        await handler(message.body, message)

    deliver.__name__ = handler.__name__
    broker.subscriber(
        durable.filter_subject,
        durable=durable.name,
        stream=JStream(durable.stream, declare=False),
        config=_config(durable),
        pull_sub=PullSub(batch_size=in_flight, timeout=FETCH_TIMEOUT_S),
        inbox_prefix=_inbox(durable),
        ack_policy=AckPolicy.MANUAL if hands_on else AckPolicy.NACK_ON_ERROR,
        title=durable.name,
    )(deliver)


def consume_batches(
    broker: NatsBroker, durable: Durable, handler: BatchHandler, *, size: int = 500, wait_s: float = 0.25
) -> None:
    """Call ``handler(bodies, message)`` for batches of up to ``size`` messages: at once, then what came in ``wait_s``.

    The batch is acknowledged as a whole, or redelivered as a whole: the handler itself must set aside messages
    that cannot be parsed (see ``redelivery.dead_letter_body``).
    """

    async def deliver(message: NatsMessage) -> None:
        raw = message.raw_message
        await handler([m.data for m in raw] if isinstance(raw, list) else [raw.data], message)

    deliver.__name__ = handler.__name__
    subscriber = broker.subscriber(
        durable.filter_subject,
        durable=durable.name,
        stream=JStream(durable.stream, declare=False),
        config=_config(durable),
        pull_sub=PullSub(batch_size=size, timeout=wait_s, batch=True),
        inbox_prefix=_inbox(durable),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title=durable.name,
    )
    subscriber.__class__ = _Batches  # FastStream has no other way in; both have the same slots
    subscriber(deliver)


class _Batches(BatchPullStreamSubscriber):
    """FastStream's batch subscriber with a loop that drops nothing; its ``timeout`` is the pause between batches.

    The original fetches again and again until a batch is full or its time is over, and when nats-py ends the last of
    these fetches with the built-in ``TimeoutError`` (which it does when the server's answer comes just before the
    deadline), the messages it already holds are forgotten until ``ack_wait`` has passed: 2 to 3 of 100 were, measured.
    A single fetch gives what is there and waits for no more, so the messages gather at the server meanwhile.
    """

    __slots__ = ()

    async def _consume_pull(self) -> None:
        while self.running:
            messages = await self._fetch()
            if messages and self.running:
                await self.consume(messages)
                if len(messages) < self.pull_sub.batch_size:
                    await asyncio.sleep(self.pull_sub.timeout or 0.0)

    async def _fetch(self) -> list[Msg]:
        if self.subscription is None:
            raise RuntimeError(f"{self.pull_sub} is consumed before it is subscribed")
        try:
            return await self.subscription.fetch(self.pull_sub.batch_size, FETCH_TIMEOUT_S)
        except TimeoutError:  # nats-py has one of its own, which is derived from this one
            return []
        except (ConnectionClosedError, ServiceUnavailableError):
            await asyncio.sleep(AWAY_PAUSE_S)
            return []


def _inbox(durable: Durable) -> bytes:
    """Where fetched messages arrive; FastStream does not take the connection's own prefix for them."""
    return f"{inbox(durable.service)}.".encode()


def _config(durable: Durable) -> ConsumerConfig:
    """Only consulted when the durable is missing, which ``setup`` rules out; kept equal so that nothing can differ."""
    return ConsumerConfig(ack_wait=durable.ack_wait_s, max_ack_pending=durable.max_ack_pending)
