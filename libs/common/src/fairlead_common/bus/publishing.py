"""Publishing events: acknowledged by JetStream, deduplicated by message id, with the trace context attached."""

from typing import Protocol

from nats.js.client import JetStreamContext
from opentelemetry.propagate import inject

from fairlead_common.events.event import Event


class Publisher(Protocol):
    """Whoever can put an event on the bus. Implementations raise when the bus did not acknowledge it."""

    async def publish(self, event: Event) -> None:
        """Publish and wait for the acknowledgement."""
        ...


class JetStreamPublisher:
    """Publishes on JetStream and waits for its acknowledgement (about 1 ms on loopback)."""

    def __init__(self, jetstream: JetStreamContext, timeout_s: float = 5.0) -> None:
        self._jetstream = jetstream
        self._timeout_s = timeout_s

    async def publish(self, event: Event) -> None:
        """Publish one event under its own subject and message id.

        Raises:
            nats.errors.Error, OSError: not acknowledged within the time-out; publishing again is safe.
        """
        await self._jetstream.publish(
            event.subject, event.to_json(), timeout=self._timeout_s, headers=event_headers(event)
        )

    async def send(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Publish bytes that are an event already (the outbox keeps them so). Raises as ``publish`` does."""
        await self._jetstream.publish(subject, payload, timeout=self._timeout_s, headers=headers)


def event_headers(event: Event) -> dict[str, str]:
    """``Nats-Msg-Id`` for deduplication and the W3C trace context for tracing."""
    headers = {"Nats-Msg-Id": event.msg_id}
    if event.traceparent is not None:
        headers["traceparent"] = event.traceparent
    else:
        inject(headers)
    return headers
