"""An edge with the services that a test wants behind it, asked over the control API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.support.edge import RunningEdge

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]
ASK = {"model": "gpt-5.4-mini", "messages": HELLO}


class Plane:
    """An edge, and the services that a test wants behind it."""

    def __init__(self, edge: RunningEdge, start: Callable[..., Awaitable[Any]]) -> None:
        self.edge = edge
        self.start = start
        """``await plane.start("health")``"""
        self.admin = edge.client()

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """What GET gives once ``condition`` holds of it."""
        async with asyncio.timeout(60):
            while True:
                answer = await self.admin.get(path)
                if answer.status_code == 200 and condition(answer.json()):
                    return answer.json()
                await asyncio.sleep(0.05)


async def problem(answer: httpx.Response) -> tuple[int, str, str]:
    """(status, code, message) of an error, which must have the control API's shape."""
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message"}
    return answer.status_code, body["error"]["code"], body["error"]["message"]
