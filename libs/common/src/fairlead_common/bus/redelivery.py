"""What happens to a message whose handler raised: one decision, from the class of the error, for every subscriber.

=====================  ==================================================================
error                  decision
=====================  ==================================================================
poison (cannot parse)  dead letter at once; trying again cannot help
the world is away      try again for ever, with growing delay (database, bus, network)
anything else          try again 5 times, then dead letter: a bug must not block a queue
=====================  ==================================================================
"""

import json
import logging
from types import TracebackType
from typing import Any, Final

import asyncpg
import pydantic
from faststream import BaseMiddleware
from faststream.exceptions import HandlerException, NackMessage, RejectMessage
from faststream.nats import NatsMessage
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

logger = logging.getLogger(__name__)

MAX_DELIVERIES: Final = 5
FIRST_DELAY_S: Final = 0.25
MAX_DELAY_S: Final = 15.0


class PoisonMessage(Exception):
    """A message that no number of deliveries will make usable."""


POISON: Final = (PoisonMessage, pydantic.ValidationError, json.JSONDecodeError, UnicodeDecodeError)
AWAY: Final = (
    OSError,
    TimeoutError,
    NatsError,
    OperationalError,
    InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)


def is_away(error: BaseException) -> bool:
    """True when the error says that something we depend on is not there now, so that waiting helps."""
    if isinstance(error, DBAPIError):
        return (
            error.connection_invalidated
            or isinstance(error, (OperationalError, InterfaceError))
            or is_away_cause(error)
        )
    return isinstance(error, AWAY)


def is_away_cause(error: DBAPIError) -> bool:
    """SQLAlchemy wraps the driver's errors; look at what it wrapped."""
    causes = (error.orig, getattr(error.orig, "__cause__", None))
    return any(isinstance(cause, AWAY) for cause in causes)


def delay_s(deliveries: int) -> float:
    """Exponential: 0.25 s after the first delivery, doubling, at most 15 s."""
    return float(min(FIRST_DELAY_S * 2.0 ** min(deliveries - 1, 10), MAX_DELAY_S))


def verdict(error: BaseException, deliveries: int) -> float | None:
    """Seconds to wait before the next delivery, or None = dead letter."""
    if is_away(error):
        return delay_s(deliveries)
    if isinstance(error, POISON) or deliveries >= MAX_DELIVERIES:
        return None
    return delay_s(deliveries)


class RedeliveryPolicy(BaseMiddleware[Any, Any]):
    """Broker middleware: turns a handler's exception into nak-with-delay, or dead letter and term."""

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool | None:
        """Decide; the acknowledgement middleware outside of this one carries the decision out."""
        messages = _jetstream_messages(self.msg)
        if (
            exc_val is None
            or isinstance(exc_val, HandlerException)
            or not isinstance(exc_val, Exception)
            or not messages
        ):
            return False
        deliveries = max(m.metadata.num_delivered or 1 for m in messages)
        wait_s = verdict(exc_val, deliveries)
        subject = messages[0].subject
        if wait_s is not None:
            logger.warning("%s: %s: %s; again in %.2f s", subject, type(exc_val).__name__, exc_val, wait_s)
            raise NackMessage(delay=wait_s) from exc_val
        logger.error("%s: dead letter after %d deliveries", subject, deliveries, exc_info=exc_val)
        for message in messages:
            await _dead_letter(message, exc_val, deliveries)
        raise RejectMessage from exc_val


def _jetstream_messages(raw: Any) -> list[Msg]:
    messages = raw if isinstance(raw, list) else [raw]
    return [m for m in messages if isinstance(m, Msg) and m.reply.startswith("$JS.ACK")]


async def dead_letter_body(message: NatsMessage, position: int, error: Exception) -> None:
    """Copy one message of a batch to its dead letter subject; the handler goes on with the others.

    Args:
        position: of the message in the batch.

    Raises:
        nats.errors.Error, OSError: not acknowledged; the batch must not be acknowledged either.
    """
    raw = _jetstream_messages(message.raw_message)[position]
    deliveries = raw.metadata.num_delivered or 1
    logger.error("%s: one message of a batch becomes a dead letter: %s", raw.subject, error)
    await _dead_letter(raw, error, deliveries)


async def _dead_letter(message: Msg, error: BaseException, deliveries: int) -> None:
    sequence = message.metadata.sequence.stream
    headers = {
        **(message.headers or {}),
        "Nats-Msg-Id": f"dlq:{message.metadata.stream}:{sequence}",
        "Fairlead-Error": f"{type(error).__name__}: {error}".replace("\r", " ").replace("\n", " ")[:500],
        "Fairlead-Deliveries": str(deliveries),
        "Fairlead-Stream-Sequence": str(sequence),
    }
    jetstream = message._client.jetstream()
    await jetstream.publish(f"dlq.{message.subject}", message.data, headers=headers)
