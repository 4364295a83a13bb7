"""Makes cancellation reliable inside nats-py on Python 3.11.

There ``asyncio.wait_for`` swallows a cancellation that comes together with the result (python/cpython#86296, mended in
3.12). nats-py waits for every reply and every message with it, so an endless job that is cancelled once may go on for
ever: a service that does not stop, or a holder that works on after its lease was lost. ``repair`` gives nats-py, and
nobody else, a ``wait_for`` that works as in 3.12.
"""

import asyncio
import sys
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import TypeVar

import nats.aio.client
import nats.aio.subscription
import nats.js.client
import nats.js.kv

Result = TypeVar("Result")
MODULES = (nats.aio.client, nats.aio.subscription, nats.js.client, nats.js.kv)


async def wait_for(awaitable: Awaitable[Result], timeout: float | None) -> Result:  # noqa: ASYNC109 - its signature
    """``asyncio.wait_for`` of Python 3.12.

    Raises:
        TimeoutError: no result within ``timeout`` seconds; the awaitable was cancelled.
    """
    async with asyncio.timeout(timeout):
        return await awaitable


def repair() -> None:
    """Do it; once is enough, more does no harm."""
    if sys.version_info >= (3, 12):
        return
    mended = SimpleNamespace(**{**vars(asyncio), "wait_for": wait_for})
    for module in MODULES:
        vars(module)["asyncio"] = mended
