"""The reader of frames on a real server: nothing is missed, nothing comes twice, whatever dies."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fairlead_common.bus import frames
from fairlead_common.bus.connection import connect
from fairlead_common.bus.frames import FrameReader, Heard
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.events.calls import Attempt, Call, CallsCompleted
from fairlead_common.ids import stamp
from fairlead_common.outcomes import CallState
from nats.aio.client import Client

from tests.support.servers import NatsServer
from tests.support.waiting import until


def frame(source: str) -> CallsCompleted:
    return CallsCompleted(**stamp(), source=source, calls=())


class Ear:
    """Remembers the sources of the frames it heard."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.reader = FrameReader(self.hear)

    def hear(self, heard: Sequence[Heard]) -> None:
        self.sources += [each.frame.source for each in heard]


async def test_every_reader_hears_everything_also_what_came_just_before(nats_client: Client) -> None:
    publisher, ears = JetStreamPublisher(nats_client.jetstream()), [Ear(), Ear()]
    await publisher.publish(frame("before"))
    tasks = [asyncio.create_task(ear.reader.follow(nats_client)) for ear in ears]
    for ear in ears:
        await ear.reader.caught_up.wait()
        assert ear.sources == ["before"]
    for i in range(100):
        await publisher.publish(frame(str(i)))
    expected = ["before", *(str(i) for i in range(100))]
    await until(lambda: all(ear.sources == expected for ear in ears))
    for task in tasks:
        task.cancel()


async def test_an_empty_stream_is_soon_caught_up_with(nats_client: Client) -> None:
    ear = Ear()
    task = asyncio.create_task(ear.reader.follow(nats_client))
    async with asyncio.timeout(10):
        await ear.reader.caught_up.wait()
    task.cancel()


async def test_a_frame_that_cannot_be_read_is_passed_over(nats_client: Client) -> None:
    ear = Ear()
    task = asyncio.create_task(ear.reader.follow(nats_client))
    await nats_client.jetstream().publish("calls.completed.x", b"{")
    await JetStreamPublisher(nats_client.jetstream()).publish(frame("good"))
    await until(lambda: ear.sources == ["good"])
    task.cancel()


async def test_a_killed_server_is_read_on_from_where_it_was_left(nats_server: NatsServer) -> None:
    client, ear = await connect(nats_server.url, "reader"), Ear()
    publisher = JetStreamPublisher(client.jetstream())
    task = asyncio.create_task(ear.reader.follow(client))
    await publisher.publish(frame("before"))
    await until(lambda: ear.sources == ["before"])
    nats_server.kill()
    nats_server.start()
    await nats_server.ready()
    other = await connect(nats_server.url, "writer")
    for i in range(3):
        await JetStreamPublisher(other.jetstream()).publish(frame(str(i)))
    await until(lambda: ear.sources == ["before", "0", "1", "2"])
    task.cancel()
    await other.close()
    await client.close()


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
async def test_frames_are_told_by_our_clock_however_far_it_is_from_the_servers(
    ahead_s: float, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted = SimpleNamespace(time=lambda: time.time() + ahead_s, monotonic=time.monotonic)
    monkeypatch.setattr(frames, "time", shifted)
    stored: list[float] = []
    reader = FrameReader(lambda heard: stored.extend(each.stored_at for each in heard))
    task = asyncio.create_task(reader.follow(nats_client))
    await reader.caught_up.wait()
    publisher = JetStreamPublisher(nats_client.jetstream())
    begin = shifted.time()

    def ours() -> bool:
        return any(begin - 60 < each <= shifted.time() for each in stored)

    async with asyncio.timeout(30):
        while not ours():  # one that was held up on its way teaches nothing
            stored.clear()
            await publisher.publish(frame("a"))
            await until(lambda: bool(stored))
    task.cancel()


def test_the_end_of_an_attempt_is_told_without_trust_in_the_clock_of_its_source() -> None:
    wrong = datetime(2001, 1, 1, tzinfo=UTC)
    attempt = Attempt(provider="p", model="m", offset_ms=500, duration_ms=1500)
    call = Call(
        call_id="c",
        requested_model="m",
        started_at=wrong,
        state=CallState.OK,
        status=200,
        duration_ms=2000,
        attempts=(attempt,),
    )
    sent = CallsCompleted(event_id="e", occurred_at=wrong + timedelta(seconds=5), source="s", calls=(call,))
    assert list(Heard(sent, 1000.0).attempts()) == [(call, attempt, 997.0)]
