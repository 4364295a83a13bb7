"""Tasks end, also those that lose a cancellation."""

import asyncio

import pytest
from fairlead_common import tasks
from fairlead_common.tasks import end_tasks


async def test_a_task_that_swallows_a_cancellation_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    cleaned = 0

    async def stubborn(swallows: int) -> None:
        nonlocal cleaned
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallows -= 1
                if swallows < 0:
                    cleaned += 1
                    raise

    async def broken() -> None:
        raise RuntimeError("a bug")

    running = [asyncio.create_task(stubborn(times)) for times in range(4)]
    running.append(asyncio.create_task(broken()))
    await asyncio.sleep(0)
    await end_tasks(running)
    assert cleaned == 4
    await end_tasks(running)
    await end_tasks([])
