"""``fairlead up`` as a real process, for tests: on free ports, in a folder of its own, with every provider simulated."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from fairlead_models.providers import BUILT_IN

READY_TIMEOUT_S = 110.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.05
FAST = {"first_token": 0, "between_tokens": 0, "whole": 0}
KEYS = {variable for _, _, variable in BUILT_IN.values()}


class Stack:
    """One data folder and the run in it, which can be stopped, killed and started again.

    Everything here blocks, so that a fixture of any scope can use it; the waits are short once it is ready.
    """

    def __init__(self, folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self._words = words
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FAIRLEAD_") and k not in KEYS}
        self.environment = {**kept, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, name: str, *words: str) -> list[str]:
        """A command line of ``fairlead`` for this data folder."""
        return [sys.executable, "-m", "fairlead", name, "--data-dir", str(self.data_dir), *words]

    def run_command(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of ``fairlead`` to its end."""
        return subprocess.run(
            self.command(name, *words),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=STOP_TIMEOUT_S,
        )

    def start(self, *words: str) -> None:
        """Start ``fairlead up`` and wait until it is ready.

        Raises:
            RuntimeError: it ended, or took too long; the message holds its output.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                self.command("up", "--port", "0", *self._words, *words),
                env=self.environment,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_for(
                lambda: self.ready or self.process is None or self.process.poll() is not None, READY_TIMEOUT_S
            )
        except TimeoutError:
            self.kill()
        if not self.ready:
            raise RuntimeError(f"fairlead up did not become ready:\n{self.output}")

    @property
    def ready(self) -> bool:
        """True from the moment at which this run (not one that was killed before) says where everything is."""
        if self.process is None or self.process.poll() is not None:
            return False
        try:
            return bool(self.run["pid"] == self.process.pid)
        except FileNotFoundError:
            return False

    @property
    def output(self) -> str:
        """What ``fairlead up`` printed, over all its runs here."""
        return (self.folder / "output.txt").read_text(encoding="utf-8")

    @property
    def run(self) -> dict[str, Any]:
        """``run.json`` as it is now."""
        found: dict[str, Any] = json.loads((self.data_dir / "run.json").read_text(encoding="utf-8"))
        return found

    @property
    def edge_url(self) -> str:
        """Of the first edge, without ``/v1``."""
        return str(self.run["edge_url"])

    @property
    def key(self) -> str:
        """The API key."""
        return (self.data_dir / "api-key").read_text(encoding="ascii").strip()

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a caller of the edge."""
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def nats_url(self) -> str:
        """With a user who may do everything."""
        return str(self.run["nats_url"])

    @property
    def postgres_dsn(self) -> str:
        """Of the database of the services."""
        return str(self.run["postgres_dsn"])

    def processes(self) -> dict[str, dict[str, Any]]:
        """Name to entry of ``run.json``."""
        return {each["name"]: each for each in self.run["processes"]}

    def pids(self) -> list[int]:
        """Of every process, that of ``fairlead up`` first."""
        run = self.run
        return [run["pid"], *(each["pid"] for each in run["processes"] if each["pid"] is not None)]

    def kill_process(self, name: str) -> None:
        """``kill -9`` for one process."""
        os.kill(self.processes()[name]["pid"], signal.SIGKILL)

    def wait_back(self, name: str, restarts: int, timeout_s: float = 60) -> None:
        """Wait until a process was started again ``restarts`` times and is ready."""
        wait_for(lambda: self._is_back(name, restarts), timeout_s)

    def _is_back(self, name: str, restarts: int) -> bool:
        found = self.processes()[name]
        if found["pid"] is None or found["restarts"] < restarts:
            return False
        return found["url"] is None or http("GET", found["url"] + found["ready_path"])[0] == 200

    def simulator(self, provider: str, method: str, path: str, body: Any = None) -> Any:
        """Call the control API of a simulator: ``simulator("openai", "PUT", "/_sim/faults/down", {})``."""
        status, found = http(method, self.run["simulators"][provider]["control_url"] + path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path} of the simulator of {provider}: {status} {found}")
        return found

    def fault(self, provider: str, kind: str, **options: Any) -> None:
        """Switch a fault on."""
        self.simulator(provider, "PUT", f"/_sim/faults/{kind}", options)

    def clear_faults(self) -> None:
        """Switch all faults of all simulators off."""
        for provider in self.run["simulators"]:
            self.simulator(provider, "DELETE", "/_sim/faults")

    def answer_at_once(self) -> None:
        """Take the latency out of every simulator."""
        for provider in self.run["simulators"]:
            self.simulator(provider, "PUT", "/_sim/latency", FAST)

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the edge with the key: status and JSON."""
        return http(method, self.edge_url + path, body, self.headers)

    def stop(self) -> int:
        """SIGTERM, and wait for the end; the exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """``kill -9`` for ``fairlead up`` itself."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def alive(pid: int) -> bool:
    """True while a process runs; one that ended and was not waited for yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def http(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """One request on loopback: status and JSON (or text); status 0 = no connection."""
    data = None if body is None else json.dumps(body).encode()
    kinds = {} if data is None else {"Content-Type": "application/json"}
    request = Request(url, data=data, method=method, headers={**kinds, **(headers or {})})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, _parsed(answer.read())
    except HTTPError as error:
        with error:
            return error.code, _parsed(error.read())
    except OSError:
        return 0, None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def wait_for(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Return as soon as ``condition()`` holds.

    Raises:
        TimeoutError: it never did.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)  # of other processes, which can only be asked


@contextmanager
def running(folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack that is ready, stopped at the end: ``with running(tmp_path, "--set", "health.heartbeat_s=1") as stack``."""
    stack = Stack(folder, *words, environment=environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
