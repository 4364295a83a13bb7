"""A control service in a test's own process, on a real bus and a real database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fairlead_common.service import Runtime, run
from fairlead_common.settings import Settings


@asynccontextmanager
async def service_here(
    name: str, settings: Settings, wire: Callable[[Runtime], Awaitable[None]]
) -> AsyncIterator[Runtime]:
    """Run it until the block ends; yields when its subscribers run."""
    stop, up = asyncio.Event(), asyncio.Event()
    found: list[Runtime] = []

    async def tell() -> None:
        up.set()
        await asyncio.Event().wait()

    async def wired(runtime: Runtime) -> None:
        await wire(runtime)
        found.append(runtime)
        runtime.spawn(tell)

    task = asyncio.create_task(run(name, settings, wired, stop))
    waiting = asyncio.create_task(up.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        if task.done():
            task.result()
        yield found[0]
    finally:
        stop.set()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(task, 60)
