"""Running Fairlead's services as a deployment would, on loopback: the deployment's environment, our addresses."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tests.support.servers import free_port
from tests.support.waiting import until


@dataclass
class Running:
    """One process of ours."""

    name: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Stack:
    """Processes started by one test. ``replace`` maps the deployment's addresses to ours."""

    folder: Path
    replace: Mapping[str, str]
    running: dict[str, Running] = field(default_factory=dict)

    def environment(self, name: str, given: Mapping[str, str]) -> dict[str, str]:
        """The deployment's environment with our addresses, a port and a folder of its own."""
        found = {"PATH": os.environ["PATH"]}
        for variable, value in given.items():
            for theirs, ours in self.replace.items():
                value = value.replace(theirs, ours)
            found[variable] = value
        found["FAIRLEAD_DATA_DIR"] = str(self.folder / name)
        return found

    def start(self, name: str, words: list[str], given: Mapping[str, str]) -> Running:
        """Start ``python -m fairlead_common.run <words>``."""
        port, log = free_port(), self.folder / f"{name}.log"
        environment = self.environment(name, given)
        environment["FAIRLEAD_HTTP_PORT"] = str(port)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fairlead_common.run", *words],
                env=environment,
                stdout=output,
                stderr=output,
            )
        self.running[name] = Running(name, port, log, process)
        return self.running[name]

    def run(self, name: str, words: list[str], given: Mapping[str, str]) -> None:
        """Run something that ends, and expect it to succeed."""
        found = self.start(name, words, given)
        del self.running[name]
        assert found.process.wait(60) == 0, found.log.read_text()

    def ready(self, name: str) -> bool:
        """Whether ``/readyz`` says so; a process that has ended is an error."""
        found = self.running[name]
        assert found.process.poll() is None, found.log.read_text()
        try:
            return httpx.get(f"{found.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    async def all_ready(self, names: Sequence[str], timeout_s: float = 120) -> None:
        """Wait until each of them is; say what the first one logged that never was."""
        for name in names:
            try:
                await until(partial(self.ready, name), timeout_s)
            except TimeoutError:
                raise AssertionError(f"{name} is not ready:\n{self.running[name].log.read_text()}") from None

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        for each in self.running.values():
            each.process.terminate()
        for each in self.running.values():
            try:
                each.process.wait(40)
            except subprocess.TimeoutExpired:
                each.process.kill()
                each.process.wait()
