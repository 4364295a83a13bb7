"""Waiting for a condition instead of sleeping for a time."""

import asyncio
import threading
from collections.abc import Callable


async def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return as soon as ``condition()`` holds.

    Raises:
        TimeoutError: it never did; the bound is there to end a broken test, not to measure.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def hold_up(seconds: float) -> None:
    """Keep this thread, and the event loop that runs in it, from everything else: that is what is tested."""
    threading.Event().wait(seconds)
