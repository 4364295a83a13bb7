"""A job that waits inside nats-py ends when it is cancelled, at whatever moment that is."""

import asyncio

import pytest
from fairlead_common.bus.cancellation import MODULES, repair, wait_for
from nats.aio.client import Client
from nats.aio.msg import Msg


async def test_a_cancellation_that_comes_together_with_the_result_is_not_lost() -> None:
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(wait_for(future, 5))
    await asyncio.sleep(0)
    future.set_result("the result")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_time_runs_out() -> None:
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await wait_for(future, 0.01)
    assert future.cancelled()


def test_nats_py_is_repaired_once_and_for_all() -> None:
    repair()
    repair()
    assert all(vars(module)["asyncio"].wait_for.__name__ == "wait_for" for module in MODULES)
    assert all(vars(module)["asyncio"].Queue is asyncio.Queue for module in MODULES)


async def test_a_fetch_that_is_cancelled_when_its_message_arrives_ends(nats_client: Client) -> None:
    subscription = await nats_client.subscribe("toy")

    async def fetch_for_ever() -> None:
        while True:
            await subscription.next_msg(timeout=5)

    task = asyncio.create_task(fetch_for_ever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    subscription._pending_queue.put_nowait(Msg(nats_client, "toy"))
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done == {task}
    assert task.cancelled()
