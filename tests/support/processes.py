"""A service as a process of its own, which a test can kill."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.support.servers import free_port

START_TIMEOUT_S = 60.0


class ServiceProcess:
    """``python -m fairlead_<name>``."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.port = free_port()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FAIRLEAD_")}
        self._environment = {**kept, **environment, "FAIRLEAD_HTTP_PORT": str(self.port)}
        self._log = log
        self.process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text()

    async def start(self) -> None:
        """Start, and wait until it is ready.

        Raises:
            RuntimeError: it ended instead; the message holds its log.
        """
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"fairlead_{self.name}", env=self._environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_TIMEOUT_S), httpx.AsyncClient() as http:
            while not await self._ready(http):
                if self.process.returncode is not None:
                    raise RuntimeError(f"{self.name} has ended by itself: {self.log}")
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def _ready(self, http: httpx.AsyncClient) -> bool:
        try:
            return (await http.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@asynccontextmanager
async def service_process(
    name: str, environment: Mapping[str, str], log: Path
) -> AsyncIterator[ServiceProcess]:
    """One that is ready; it is killed when the block ends."""
    found = ServiceProcess(name, environment, log)
    try:
        await found.start()
        yield found
    finally:
        await found.kill()
