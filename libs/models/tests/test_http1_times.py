"""The bounds of time of the HTTP/1.1 client, over real sockets, and how connecting fails."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvloop
from fairlead_models.transport.protocol import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    HttpRequest,
    StallTimeout,
    Timeouts,
    TotalTimeout,
)

from libs.models.tests.http_providers import (
    PATIENT,
    answer,
    ask,
    provider,
    read_request,
    saying,
    silent,
    transport,
)
from tests.support.servers import free_port
from tests.support.waiting import hold_up, until


async def test_each_timeout_bounds_its_own_phase() -> None:
    partial = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello"
    quick = Timeouts(connect_s=20, first_byte_s=0.1, between_bytes_s=20, total_s=60)
    async with provider(silent) as server, transport() as client:
        with pytest.raises(FirstByteTimeout, match=r"no answer within 0\.1 s"):
            await ask(client, server, quick)
        with pytest.raises(TotalTimeout):
            await ask(client, server, Timeouts(20, 20, 20, 0.1))
        await until(lambda: server.ended == 2)
    async with provider(saying(partial)) as server, transport() as client:
        response = await ask(client, server, Timeouts(20, 20, 0.1, 60))
        assert await response.chunk() == b"hello"
        with pytest.raises(StallTimeout, match=r"no byte for 0\.1 s"):
            await response.chunk()
        response = await ask(client, server)
        await response.chunk()
        with pytest.raises(FirstByteTimeout, match="no token"):
            await response.chunk(asyncio.get_running_loop().time() + 0.1)
        await until(lambda: server.ended == 2)


async def test_a_short_timeout_after_a_long_one_on_the_same_connection_holds() -> None:
    """One timer serves all exchanges of a connection."""
    answers = [answer(b"first"), b""]

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in answers:
            await read_request(reader)
            writer.write(each)
        await reader.read()

    async with provider(session) as server, transport() as client:
        await (await ask(client, server)).body()
        with pytest.raises(FirstByteTimeout):
            await ask(client, server, Timeouts(20, 0.1, 20, 60))
        assert server.connections == 1


class Held:
    """A server in a thread of its own, for a loop that is held up: ``step`` waits until the server has come so far."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self.connected, self.asked, self.go_on, self.answered, self.over = (
            threading.Event() for _ in range(5)
        )
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            self.connected.set()
            connection.recv(65536)
            self.asked.set()
            self.go_on.wait(60)
            connection.sendall(answer(b"in time"))
            self.answered.set()
            self.over.wait(60)

    def close(self) -> None:
        self.go_on.set()
        self.over.set()
        self._thread.join()
        self._listening.close()


@pytest.fixture
def held() -> Iterator[Held]:
    found = Held()
    yield found
    found.close()


LOOPS = pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])


@LOOPS
def test_an_answer_that_came_in_time_is_read_although_the_loop_was_held_up(
    held: Held, loops: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """By whoever shares the processor: timers may run before what has come is read."""

    def stand_still() -> None:
        bell.recv(1)
        held.go_on.set()
        held.answered.wait(60)
        hold_up(2)  # until the time is over

    async def late() -> bytes:
        asyncio.get_running_loop().add_reader(bell, stand_still)
        async with transport() as client:
            request = HttpRequest("GET", held.url, {})
            sent = asyncio.create_task(client.send(request, Timeouts(20, 2, 20, 60)))
            await asyncio.to_thread(held.asked.wait)
            cord.send(b"!")
            return await (await sent).body()

    bell, cord = socket.socketpair()
    with bell, cord, asyncio.Runner(loop_factory=loops) as runner:
        assert runner.run(late()) == b"in time"


@LOOPS
def test_a_connection_that_was_made_in_time_is_used_although_the_loop_was_held_up(
    held: Held, loops: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    def stand_still() -> None:
        if held.connected.wait(0.05):
            hold_up(1.5)  # until the time is over
        else:
            asyncio.get_running_loop().call_soon(stand_still)

    async def late() -> bytes:
        held.go_on.set()
        async with transport() as client:
            asyncio.get_running_loop().call_soon(stand_still)
            response = await client.send(HttpRequest("GET", held.url, {}), Timeouts(1.5, 20, 20, 60))
            return await response.body()

    with asyncio.Runner(loop_factory=loops) as runner:
        assert runner.run(late()) == b"in time"


async def test_a_slow_but_steady_answer_is_no_stall() -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0.05)
            writer.write(b"x")

    async with provider(session) as server, transport() as client:
        response = await ask(client, server, Timeouts(20, 20, 0.7, 60))
        assert await response.body() == b"x" * 20


async def test_connecting_can_fail_in_several_ways() -> None:
    async with transport() as client:
        with pytest.raises(ConnectFailed) as refused:
            await client.send(HttpRequest("GET", f"http://127.0.0.1:{free_port()}/", {}), PATIENT)
        assert refused.value.kind == "refused"
        with pytest.raises(ConnectFailed) as unknown:
            await client.send(HttpRequest("GET", "http://no-such-host.invalid/", {}), PATIENT)
        assert unknown.value.kind == "dns"
    with socket.socket() as full:  # a backlog that is full lets nobody in
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        others = [socket.socket() for _ in range(8)]
        for each in others:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        async with transport() as client:
            with pytest.raises(ConnectTimeout, match=r"within 0\.2 s"):
                await client.send(HttpRequest("GET", url, {}), Timeouts(0.2, 20, 20, 60))
            with pytest.raises(TotalTimeout, match=r"not finished within 0\.2 s"):
                await client.send(HttpRequest("GET", url, {}), Timeouts(20, 20, 20, 0.2))
        for each in others:
            each.close()
