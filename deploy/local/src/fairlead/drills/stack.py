"""``fairlead up`` as a process of its own, in a folder of its own, with every provider simulated, for a drill to hurt."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from fairlead_simulator.testing import running as simulator

from fairlead import run_file
from fairlead.data_dir import DataDir
from fairlead.drills.scenario import StackSpec
from fairlead.drills.tls import TlsFront
from fairlead.errors import BadInput, StartFailed
from fairlead.local_http import Answer, request
from fairlead.plan import SIMULATED_KEY, Kind
from fairlead.processes import dying_with
from fairlead.providers import KEY_VARIABLE, without_keys
from fairlead.readiness import not_ready
from fairlead.run_file import ProcessEntry, RunFile

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 120.0
POLL_S = 0.05


class Stack:
    """One run of Fairlead, and the folder it lives in."""

    def __init__(self, folder: Path, spec: StackSpec, edges: int | None = None) -> None:
        self.spec = spec
        self.data_dir = DataDir.of(folder / "data")
        self._folder = folder
        self._edges = edges
        self._process: asyncio.subprocess.Process | None = None
        self._behind = AsyncExitStack()
        self._tls_port = 0
        self.tls: TlsFront | None = None
        """In front of the provider whose ``base_url`` names ``{tls_port}``."""

    @property
    def run(self) -> RunFile:
        """Where everything is now. Raises BadInput when it does not run."""
        return run_file.read(self.data_dir)

    @property
    def key(self) -> str:
        """The API key of the edges."""
        return self.data_dir.key_file.read_text(encoding="ascii").strip()

    @property
    def output(self) -> Path:
        """What ``fairlead up`` printed."""
        return self._folder / "output.txt"

    def process(self, name: str) -> ProcessEntry:
        """One process as it is now.

        Raises:
            BadInput: there is none of this name.
        """
        found = {each.name: each for each in self.run.processes}
        if name not in found:
            raise BadInput(f"this stack has no process '{name}'; there are {', '.join(found)}")
        return found[name]

    async def missing(self, name: str) -> str | None:
        """None when a process serves; otherwise what is missing. Raises BadInput: there is none of this name."""
        found = self.process(name)
        if found.pid is None:
            return f"{name} does not run"
        return await not_ready(Kind(found.kind), found.url, found.ready_path, self.run.postgres_dsn)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process; nothing when it is between two lives."""
        if (pid := self.process(name).pid) is not None:
            os.kill(pid, number)

    async def simulator(self, provider: str, method: str, path: str, body: Any = None) -> None:
        """Call the control port of a simulator.

        Raises:
            BadInput: it refused. OSError, TimeoutError: it did not answer.
        """
        answer = await request(method, self.run.simulators[provider].control_url + path, body)
        if answer.status != 200:
            raise BadInput(f"the simulator of {provider} refused {method} {path}: {answer.body.decode()}")

    async def api(self, method: str, path: str, body: Any = None) -> Answer:
        """Call the control API of the first edge, as its operator. Raises OSError, TimeoutError."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return await request(method, self.run.edge_url + path, body, headers)

    async def release(self, concerns: Callable[[str], bool], reason: str) -> None:
        """Let traffic come back wherever a gate of such a provider is not closed. Raises OSError, TimeoutError."""
        state = (await self.api("GET", "/api/providers/failover")).json()
        for gate in state.get("gates", ()):
            if concerns(gate["provider"]):
                body = {"provider": gate["provider"], "model": gate["model"], "reason": reason}
                await self.api("POST", "/api/providers/failover/release", body)

    async def start(self) -> None:
        """Start it, and wait until it says where everything is.

        Raises:
            StartFailed: it ended, or took too long.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        words = list(self.spec.words)
        if self._edges is not None:
            words += ["--edges", str(self._edges)]
        if self.spec.tls:
            await self._speak_tls(self.spec.tls)
        if self.spec.providers:
            words += ["--providers", str(self._providers_file())]
        with self.output.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fairlead", "up", "--port", "0"),
                *("--data-dir", str(self.data_dir.path), *words),
                env=_environment(os.environ, self.tls),
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dying_with(os.getpid(), signal.SIGTERM),
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not self._is_up():
                    if self._process.returncode is not None:
                        break
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            await self.stop()
        if not self._is_up():
            last = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise StartFailed(
                f"the stack of the drill did not come up: {''.join(last)} (all of it: {self.output})"
            )

    def _is_up(self) -> bool:
        try:
            return self._process is not None and self.run.pid == self._process.pid
        except BadInput:
            return False

    async def _speak_tls(self, vendor: str) -> None:
        """A simulator of ``vendor`` behind a front that speaks TLS."""
        behind = await self._behind.enter_async_context(simulator(vendor, latency="{}"))
        self.tls = TlsFront(self._folder, urlsplit(behind.url).port or 80)
        self._behind.callback(self.tls.end)
        self._tls_port = await self.tls.begin()

    def _providers_file(self) -> Path:
        """In its rows, ``{tls_port}`` is where the front listens that speaks TLS."""
        text = yaml.safe_dump({"providers": list(self.spec.providers)})
        path = self._folder / "providers.yaml"
        path.write_text(text.replace("{tls_port}", str(self._tls_port)), encoding="utf-8")
        return path

    async def stop(self) -> None:
        """Stop it, and wait for its end."""
        await self._end()
        await self._behind.aclose()

    async def _end(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _environment(environ: Mapping[str, str], tls: TlsFront | None) -> dict[str, str]:
    """Nothing of it may reach a real provider, or change a setting; who speaks TLS is trusted."""
    kept = {name: value for name, value in without_keys(environ).items() if not name.startswith("FAIRLEAD_")}
    trusted = {} if tls is None else {"SSL_CERT_FILE": str(tls.trusted)}
    return {**kept, **trusted, KEY_VARIABLE: SIMULATED_KEY}


@asynccontextmanager
async def running(folder: Path, spec: StackSpec, edges: int | None = None) -> AsyncIterator[Stack]:
    """A stack that is up; it is stopped when the block ends."""
    stack = Stack(folder, spec, edges)
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()
