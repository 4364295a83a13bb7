"""Simulated providers for tests: real processes, ended by their pid.

``launched`` is ``running`` for code that is not async.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

FAST = '{"first_token": 0, "between_tokens": 0, "whole": 0}'


@dataclass
class Running:
    """A simulator process."""

    vendor: str
    url: str
    control_url: str
    process: asyncio.subprocess.Process

    async def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the control API: ``control("PUT", "/_sim/faults/stall", {"after_chunks": 2})``."""
        return await asyncio.to_thread(self._control, method, path, body)

    def _control(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        return _called(self.control_url + path, method, body)

    async def fault(self, kind: str, **options: Any) -> None:
        """Switch a fault on."""
        await self.control("PUT", f"/_sim/faults/{kind}", options)

    async def clear(self) -> None:
        """Switch all faults off."""
        await self.control("DELETE", "/_sim/faults")

    async def requests(self) -> list[dict[str, Any]]:
        """The log of requests."""
        found: list[dict[str, Any]] = (await self.control("GET", "/_sim/requests"))["requests"]
        return found

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()


@dataclass
class Launched:
    """A simulator process, for code that is not async."""

    vendor: str
    url: str
    control_url: str

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the control API."""
        return _called(self.control_url + path, method, body)

    def fault(self, kind: str, **options: Any) -> None:
        """Switch a fault on."""
        self.control("PUT", f"/_sim/faults/{kind}", options)

    def clear(self) -> None:
        """Switch all faults off."""
        self.control("DELETE", "/_sim/faults")

    def reset(self) -> None:
        """Forget faults, the log, and what the prompt cache knows; answers are at once again."""
        self.control("POST", "/_sim/reset")
        self.control("PUT", "/_sim/latency", json.loads(FAST))


def _called(url: str, method: str, body: dict[str, Any] | None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, method=method)  # noqa: S310 - our own loopback URL
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def _command(vendor: str, latency: str, port: int, seed: int) -> list[str]:
    command = [sys.executable, "-m", "fairlead_simulator", "--vendor", vendor, "--port", str(port)]
    return [*command, "--seed", str(seed), "--latency", latency]


@asynccontextmanager
async def running(
    vendor: str, *, latency: str = FAST, port: int = 0, seed: int = 1
) -> AsyncIterator[Running]:
    """A simulator of ``vendor``, ended when the block ends."""
    command = _command(vendor, latency, port, seed)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("the simulator's output is not piped")
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        yield Running(vendor, ready["url"], ready["control_url"], process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextmanager
def launched(vendor: str, *, latency: str = FAST, port: int = 0, seed: int = 1) -> Iterator[Launched]:
    """A simulator of ``vendor``, ended when the block ends."""
    with subprocess.Popen(_command(vendor, latency, port, seed), stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            if process.stdout is None:
                raise RuntimeError("the simulator's output is not piped")
            ready = json.loads(process.stdout.readline())
            yield Launched(vendor, ready["url"], ready["control_url"])
        finally:
            process.terminate()
