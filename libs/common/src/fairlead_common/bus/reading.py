"""Reading back what is in a stream now: everything of some subjects, or the last message of each. It does not follow."""

import asyncio
import contextlib
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

BATCH: Final = 256
TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.2
FORGOTTEN_S: Final = 5.0


async def read_last(client: Client, stream: str, subject: str) -> list[Msg]:
    """The last message of each subject that matches ``subject``, oldest first.

    Raises:
        nats.errors.Error, OSError, TimeoutError: the bus does not answer; reading again is safe.
    """
    return await _read(client, stream, subject, ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT))


async def read_since(client: Client, stream: str, subject: str, since: datetime) -> list[Msg]:
    """Every message that matches ``subject`` and was stored at ``since`` or later. Raises as ``read_last`` does."""
    config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since)
    return await _read(client, stream, subject, config)


def cancelled_after_all() -> None:
    """On a closed connection nats-py turns the cancellation of a fetch into an error of its own; turn it back.

    Raises:
        asyncio.CancelledError: the current task was to be cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _read(client: Client, stream: str, subject: str, config: ConsumerConfig) -> list[Msg]:
    config.ack_policy, config.mem_storage, config.num_replicas = AckPolicy.NONE, True, 1
    config.inactive_threshold = FORGOTTEN_S
    jetstream = client.jetstream(timeout=TIMEOUT_S)
    subscription = await jetstream.pull_subscribe(subject, stream=stream, config=config)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await _all(subscription)
    except NatsError:
        cancelled_after_all()
        raise
    finally:
        with contextlib.suppress(NatsError, OSError):
            await subscription.unsubscribe()
    return found


async def _all(subscription: JetStreamContext.PullSubscription) -> list[Msg]:
    """What is there now, although some of it may be deleted or expire in the meantime."""
    found: list[Msg] = []
    while (await subscription.consumer_info()).num_pending:
        with contextlib.suppress(TimeoutError):
            found += await subscription.fetch(BATCH, timeout=POLL_S)
    return found
