"""``/api/providers/health/stream``: states and alerts as they are told on the bus, as server-sent events.

At least once: the id of an event is its ``event_id``, which is sorted by time. Who comes back with ``Last-Event-ID``, and
whoever listened while the bus was away, gets what was told since, and a little more; the ids tell repeated events.
"""

import asyncio
import contextlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, cast

from fairlead_common.bus.reading import read_last, read_since
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.health import ProviderStatusPublished
from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from fairlead_edge.control.dependencies import Bus, Draining

router = APIRouter(prefix="/api/providers/health", tags=["health"])

STATUS: Final = "provider.status.>"
ALERTS: Final = "alerts.>"
HEARTBEAT_S: Final = 10.0
LOOK_S: Final = 0.5
AGAIN_MS: Final = 2000
OVERLAP: Final = timedelta(seconds=5)
"""Clocks of publishers may differ by as much without anything being missed."""
OLDEST: Final = timedelta(days=1)
WAITING: Final = 2000
"""A client that is further behind is cut off; it comes back with its last id."""
REMEMBERED: Final = 5000
MOST: Final = 64
"""Streams of one edge at a time."""

Event = ProviderStatusPublished | AlertRaised


class LiveStream:
    """One client's stream.

    Args:
        since: from when on it wants to be told again; None = it begins with what holds now.
    """

    def __init__(self, client: Client, since: datetime | None, draining: Callable[[], bool]) -> None:
        self._client = client
        self._since = since
        self._draining = draining
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(WAITING)
        self._behind = False
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._last = datetime.now(UTC)

    async def events(self) -> AsyncIterator[str]:
        """Lines of ``text/event-stream``, until the client leaves, falls behind, or the edge drains."""
        yield f"retry: {AGAIN_MS}\n\n"
        subscriptions = [await self._client.subscribe(subject, cb=self._hear) for subject in (STATUS, ALERTS)]
        try:
            for event in await self._missed(self._since) if self._since else await self._now():
                yield self._line(event)
            async for line in self._live():
                yield line
        finally:
            for subscription in subscriptions:
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()

    async def _live(self) -> AsyncIterator[str]:
        reconnects, quiet_s = self._client.stats["reconnects"], 0.0
        while not self._draining() and not self._behind:
            found = await self._next()
            if self._client.stats["reconnects"] != reconnects:
                reconnects = self._client.stats["reconnects"]
                found += await self._missed(self._last)
            for event in found:
                yield self._line(event)
            quiet_s = 0.0 if found else quiet_s + LOOK_S
            if quiet_s >= HEARTBEAT_S:
                quiet_s = 0.0
                yield ": nothing new\n\n"

    async def _next(self) -> list[Event]:
        try:
            async with asyncio.timeout(LOOK_S):
                return [await self._waiting.get()]
        except TimeoutError:
            return []

    async def _hear(self, message: Msg) -> None:
        if (event := _event(message)) is None:
            return
        if self._waiting.full():
            self._behind = True
        else:
            self._waiting.put_nowait(event)

    async def _now(self) -> list[Event]:
        """The state of every provider, and the alerts that are open."""
        states = _events(await read_last(self._client, "STATUS", STATUS))
        alerts = _events(await read_last(self._client, "ALERTS", ALERTS))
        return [*states, *(each for each in alerts if isinstance(each, AlertRaised) and each.ends_at is None)]

    async def _missed(self, since: datetime) -> list[Event]:
        start = max(since - OVERLAP, datetime.now(UTC) - OLDEST)
        found = _events(await read_since(self._client, "STATUS", STATUS, start))
        found += _events(await read_since(self._client, "ALERTS", ALERTS, start))
        return sorted(found, key=lambda event: event.event_id)

    def _line(self, event: Event) -> str:
        """Nothing when it was sent to this client already."""
        if event.event_id in self._sent:
            return ""
        self._sent[event.event_id] = None
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        self._last = max(self._last, event.occurred_at)
        kind = "alert" if isinstance(event, AlertRaised) else "status"
        return f"id: {event.event_id}\nevent: {kind}\ndata: {event.model_dump_json()}\n\n"


class LiveStreams:
    """Counts those of this edge."""

    def __init__(self) -> None:
        self._open = 0

    async def follow(self, stream: LiveStream) -> AsyncIterator[str]:
        """The stream, counted while it is open.

        Raises:
            HTTPException: there are too many already; before anything was sent.
        """
        if self._open >= MOST:
            raise HTTPException(
                503, f"this edge serves {MOST} streams already; try another one, or again later"
            )
        self._open += 1
        return self._counted(stream)

    async def _counted(self, stream: LiveStream) -> AsyncIterator[str]:
        try:
            async for line in stream.events():
                if line:
                    yield line
        finally:
            self._open -= 1


def _streams(request: Request) -> LiveStreams:
    return cast("LiveStreams", request.app.state.live)


Streams = Annotated[LiveStreams, Depends(_streams)]


@router.get("/stream", summary="States and alerts, live", response_class=StreamingResponse)
async def stream(
    bus: Bus, draining: Draining, streams: Streams, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Server-sent events ``status`` and ``alert``: first what holds now, or what was missed since ``Last-Event-ID``."""
    live = LiveStream(bus, None if last_event_id is None else _time_of(last_event_id), draining)
    return StreamingResponse(
        await streams.follow(live), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


def _time_of(event_id: str) -> datetime:
    """When an event id was made.

    Raises:
        HTTPException: it is none.
    """
    with contextlib.suppress(ValueError):
        found = uuid.UUID(event_id)
        if found.version == 7:
            return datetime.fromtimestamp((found.int >> 80) / 1000, UTC)
    raise HTTPException(422, f"Last-Event-ID '{event_id[:50]}' is not the id of an event of this stream")


def _events(messages: list[Msg]) -> list[Event]:
    return [event for event in map(_event, messages) if event is not None]


def _event(message: Msg) -> Event | None:
    kind = AlertRaised if message.subject.startswith("alerts.") else ProviderStatusPublished
    with contextlib.suppress(ValidationError):
        return kind.model_validate_json(message.data)
    return None
