"""Leases on a real server: one owner at a time, taken over after a crash, fenced."""

import asyncio

import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.leases import Held, Lease
from nats.aio.client import Client

from tests.support.waiting import until

LEASE_S = 0.6


class Worker:
    """Holds a lease and records when it owned it."""

    def __init__(self, client: Client, name: str, board: list[Held]) -> None:
        self.lease = Lease(client, "job", name, LEASE_S)
        self._board = board
        self.began = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.lease.run(self._work))

    async def _work(self, held: Held) -> None:
        self._board.append(held)
        self.began.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


async def test_one_owner_at_a_time_and_handover_on_stop(nats_client: Client) -> None:
    board: list[Held] = []
    first, second = Worker(nats_client, "a", board), Worker(nats_client, "b", board)
    first.start()
    await first.began.wait()
    second.start()
    assert second.lease.held is None
    await first.stop()
    await second.began.wait()
    assert [held.owner for held in board] == ["a", "b"]
    assert board[1].token > board[0].token
    await second.stop()


async def test_takeover_when_the_owner_falls_silent(nats_client: Client, nats_url: str) -> None:
    lost = await connect(nats_url, "lost")
    board: list[Held] = []
    first, second = Worker(lost, "a", board), Worker(nats_client, "b", board)
    first.start()
    await first.began.wait()
    await lost.close()  # the owner can no longer refresh
    second.start()
    await second.began.wait()
    assert board[1].owner == "b"
    await second.stop()
    await first.stop()


async def test_an_owner_cut_off_stops_by_itself(nats_url: str) -> None:
    client = await connect(nats_url, "cut")
    board: list[Held] = []
    worker = Worker(client, "a", board)
    worker.start()
    await worker.began.wait()
    assert worker.lease.sure
    await client.close()
    await until(lambda: not worker.lease.sure)
    await until(lambda: worker.lease.held is None)
    await worker.stop()


async def test_work_that_fails_gives_the_lease_back(nats_client: Client) -> None:
    async def failing(held: Held) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Lease(nats_client, "job", "a", LEASE_S).run(failing)
    board: list[Held] = []
    second = Worker(nats_client, "b", board)
    second.start()
    async with asyncio.timeout(10):
        await second.began.wait()
    await second.stop()
