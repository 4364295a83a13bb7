"""Request/reply between the edge's control API and the services: ``rpc.<service>.<operation>``.

A reply is an envelope, ``{"ok": ...}`` or ``{"error": {"status", "code", "message"}}``, so that a refusal travels as
plainly as an answer. Errors, on the client's side::

    RpcError            the service refused: status, code and message say why
    RpcUnavailable      nobody answered in time; trying again later may help
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from faststream import AckPolicy
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from pydantic import BaseModel, ConfigDict, ValidationError

from fairlead_common.bus.redelivery import is_away

logger = logging.getLogger(__name__)

Request = TypeVar("Request", bound=BaseModel)
Reply = TypeVar("Reply", bound=BaseModel)


class RpcError(Exception):
    """The service refused. Services raise it; the client raises it again with the same fields."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class RpcUnavailable(Exception):
    """No replica of the service answered in time."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"the {service} service does not answer ({reason}); try again in a few seconds")
        self.service = service


class Empty(BaseModel):
    """A request or a reply without content."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(BaseModel):
    """How an error travels."""

    status: int
    code: str
    message: str


@dataclass(frozen=True)
class Operation(Generic[Request, Reply]):
    """One operation of one service: its name, and the types that go in and out."""

    service: str
    name: str
    request: type[Request]
    reply: type[Reply]
    timeout_s: float = 5.0

    @property
    def subject(self) -> str:
        """Where requests go."""
        return f"rpc.{self.service}.{self.name}"


def answer(
    broker: NatsBroker,
    operation: Operation[Request, Reply],
    handler: Callable[[Request], Awaitable[Reply]],
    *,
    at_once: int = 16,
) -> None:
    """Serve ``operation`` with ``handler``; replicas share the requests (queue group = service)."""

    async def deliver(body: bytes) -> bytes:
        return await _reply(operation, handler, body)

    deliver.__name__ = f"{operation.service}_{operation.name}"
    broker.subscriber(
        operation.subject,
        queue=operation.service,
        max_workers=at_once,
        decoder=_undecoded,
        ack_policy=AckPolicy.MANUAL,  # core NATS: there is nothing to acknowledge
        title=operation.subject,
    )(deliver)


async def _undecoded(message: NatsMessage) -> bytes:
    """Operations parse the body themselves."""
    return message.body


async def _reply(
    operation: Operation[Request, Reply], handler: Callable[[Request], Awaitable[Reply]], body: bytes
) -> bytes:
    try:
        reply = await handler(operation.request.model_validate_json(body))
    except RpcError as error:
        return refusal(error.status, error.code, error.message)
    except ValidationError as error:
        return refusal(422, "invalid_request", _problems(error))
    except Exception as error:
        if is_away(error):
            logger.warning("%s: %s: %s", operation.subject, type(error).__name__, error)
            text = (
                f"{operation.service} cannot reach what it stores its data in; nothing was changed; try again"
            )
            return refusal(503, "unavailable", text)
        logger.exception("%s failed", operation.subject)
        return refusal(500, "internal_error", f"{operation.service} failed on this request; its log says why")
    return b'{"ok":' + reply.model_dump_json().encode() + b"}"


def refusal(status: int, code: str, message: str) -> bytes:
    """The envelope of an error."""
    return b'{"error":' + Refusal(status=status, code=code, message=message).model_dump_json().encode() + b"}"


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )


class RpcClient:
    """Calls operations over one NATS connection."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, operation: Operation[Request, Reply], request: Request) -> Reply:
        """Ask, and wait for the answer.

        Raises:
            RpcError: the service refused.
            RpcUnavailable: no answer within the operation's time-out, or no connection to the bus.
        """
        body = request.model_dump_json().encode()
        try:
            data = await self._ask(operation, body)
        except (NatsError, OSError, TimeoutError) as error:
            raise RpcUnavailable(operation.service, type(error).__name__) from error
        return _open(operation, data)

    async def _ask(self, operation: Operation[Request, Reply], body: bytes) -> bytes:
        if not self._client.is_connected:
            raise ConnectionError("not connected to the bus")
        try:
            message = await self._client.request(operation.subject, body, timeout=operation.timeout_s)
        except NoRespondersError:
            # A subscription that is just being made is not seen by the server yet; the second try finds it.
            message = await self._client.request(operation.subject, body, timeout=operation.timeout_s)
        return message.data


class _Envelope(BaseModel, Generic[Reply]):
    ok: Reply | None = None
    error: Refusal | None = None


def _open(operation: Operation[Request, Reply], data: bytes) -> Reply:
    envelope = _Envelope[operation.reply].model_validate_json(data)  # type: ignore[name-defined]
    if envelope.error is not None:
        raise RpcError(envelope.error.status, envelope.error.code, envelope.error.message)
    if envelope.ok is None:
        raise RpcUnavailable(operation.service, "empty reply")
    reply: Reply = envelope.ok
    return reply
