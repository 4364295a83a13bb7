"""Ending tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_S: Final = 2.0
"""Longer than any cleaning up takes, which a second cancellation would interrupt."""


async def end_tasks(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel all, and wait until they have ended; what they ended with is not raised.

    A task that goes on is cancelled again: ``asyncio.wait_for`` of Python 3.11 swallows a cancellation that comes in
    the very moment in which what it waits for is done (mended in 3.12), and an endless loop around it never ends.
    """
    ending = set(tasks)
    left = {task for task in ending if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    for task in ending:
        if not task.cancelled():
            task.exception()
