"""Keeps processes running: starts them, starts them again with growing pauses when they end, stops them in order."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fairlead import logs
from fairlead.data_dir import DataDir
from fairlead.errors import BadInput, StartFailed
from fairlead.holds import is_held
from fairlead.plan import Kind, ProcessSpec
from fairlead.processes import Children, end_now, ending, spawn, stand_back
from fairlead.terminal import Terminal

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 10.0
HEALTHY_S = 60.0
READY_TIMEOUT_S = 120.0
POLL_S = 0.05
CRASHES_AT_START = 3
NotReady = Callable[[ProcessSpec], Awaitable[str | None]]
BAD_SETTINGS = 2
"""Exit status of a process that will not run with what it was told."""


@dataclass
class Backoff:
    """Pauses between restarts: 0.2 s, doubling to 10 s, and from the beginning after a minute of running."""

    pause_s: float = 0.0

    def after(self, ran_for_s: float) -> float:
        """The pause after a process that ran for so long has ended."""
        if ran_for_s >= HEALTHY_S:
            self.pause_s = 0.0
        self.pause_s = min(max(self.pause_s * 2, FIRST_PAUSE_S), MAX_PAUSE_S)
        return self.pause_s


@dataclass
class Part:
    """One supervised process."""

    spec: ProcessSpec
    log: Path
    prepare: Callable[[], Awaitable[None]] | None = None
    """Done before each start."""
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = 0.0
    log_offset: int = 0
    has_served: bool = False
    stopping: bool = False
    failed: str | None = None
    """Why it ended last."""
    keeper: asyncio.Task[None] | None = None
    backoff: Backoff = field(default_factory=Backoff)

    @property
    def pid(self) -> int | None:
        """None between a crash and the restart."""
        return self.process.pid if self.process is not None and self.process.returncode is None else None


class Supervisor:
    """All parts of one run.

    Args:
        not_ready: None when a process serves, otherwise what is missing.
        on_change: called after each start, with the parts in ``parts`` up to date.
    """

    def __init__(
        self, folder: DataDir, terminal: Terminal, not_ready: NotReady, on_change: Callable[[], None]
    ) -> None:
        self.parts: list[Part] = []
        self._folder = folder
        self._not_ready = not_ready
        self._terminal = terminal
        self._on_change = on_change
        self._children = Children()
        self._watchers: set[asyncio.Task[None]] = set()

    async def run_once(self, spec: ProcessSpec) -> None:
        """Run a process to its end.

        Raises:
            StartFailed: it did not end well.
        """
        part = self._part(spec)
        process = self._spawn(part)
        try:
            status = await self._children.ended(process)
        finally:
            end_now(process)
        if status != 0:
            raise StartFailed(self._why(part, status))

    def start(self, spec: ProcessSpec, prepare: Callable[[], Awaitable[None]] | None = None) -> Part:
        """Start a process and keep it running from now on."""
        part = self._part(spec)
        part.prepare = prepare
        self.parts.append(part)
        part.keeper = asyncio.create_task(self._keep(part))
        return part

    def _part(self, spec: ProcessSpec) -> Part:
        return Part(spec, self._folder.logs / f"{spec.name}.log")

    def _spawn(self, part: Part) -> "subprocess.Popen[bytes]":
        part.log_offset = logs.size(part.log)
        part.began = time.monotonic()
        part.started_at = datetime.now(UTC)
        part.process = spawn(part.spec, part.log)
        return part.process

    async def _keep(self, part: Part) -> None:
        while not part.stopping:
            part.failed = await self._live(part)
            if part.stopping or self._is_hopeless(part):
                return
            pause_s = part.backoff.after(time.monotonic() - part.began)
            self._terminal.event(f"{part.failed}; starting it again in {pause_s:.1f} s")
            part.restarts += 1
            self._on_change()
            await asyncio.sleep(pause_s)
            while is_held(self._folder, part.spec.name):  # noqa: ASYNC110 - another process lets it go
                await asyncio.sleep(POLL_S)

    async def _live(self, part: Part) -> str:
        """One life of a process, from its start to its end; why it ended."""
        try:
            if part.prepare is not None:
                await part.prepare()
            process = self._spawn(part)
        except (OSError, StartFailed) as error:
            return f"{part.spec.name} cannot be started: {error}"
        self._on_change()
        if part.spec.niceness:
            self._beside(stand_back(process.pid, part.spec.niceness))
        if part.restarts:
            self._beside(self._report_return(part, part.began))
        return self._why(part, await self._children.ended(process))

    @staticmethod
    def _why(part: Part, status: int) -> str:
        line = logs.last_line(part.log, part.log_offset)
        said = f'; its last log line: "{line}"' if line else ""
        return f"{part.spec.name} ended ({ending(status)}){said}"

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _report_return(self, part: Part, began: float) -> None:
        while await self._not_ready(part.spec) is not None:
            if part.began != began or part.stopping:
                return
            await asyncio.sleep(POLL_S * 4)
        if part.began == began and not part.stopping and part.pid is not None:
            took_s = time.monotonic() - began
            self._terminal.event(f"{part.spec.name} is back after {took_s:.1f} s (pid {part.pid})")

    async def ready(self, part: Part) -> None:
        """Wait until a part serves, and say so.

        Raises:
            BadInput: it was told something it cannot use. StartFailed: it ended too often, or took too long.
        """
        reason: str | None = "it has not started"
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while part.pid is None or (reason := await self._not_ready(part.spec)) is not None:
                    self._give_up(part)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise StartFailed(
                f"{part.spec.name} is not ready after {READY_TIMEOUT_S:.0f} s ({reason}); see {part.log}"
            ) from None
        part.has_served = True
        self._terminal.progress(part.spec.name, part.spec.url or "")

    @staticmethod
    def _is_hopeless(part: Part) -> bool:
        """It has never served, and says itself that it cannot with what it was told."""
        ended = part.process.returncode if part.process is not None else None
        return not part.has_served and ended == BAD_SETTINGS

    def _give_up(self, part: Part) -> None:
        if part.failed is None:
            return
        if self._is_hopeless(part):
            raise BadInput(f"{part.failed} (all of it: {part.log})")
        if part.restarts >= CRASHES_AT_START:
            raise StartFailed(f"{part.failed} (all of it: {part.log})")

    async def stop(self, kinds: Iterable[Kind], hurry: asyncio.Event) -> None:
        """Stop all parts of these kinds at once: ask, wait, then kill. ``hurry`` ends the waiting."""
        wanted = set(kinds)
        parts = [part for part in self.parts if part.spec.kind in wanted]
        for part in parts:
            part.stopping = True
        await asyncio.gather(*(self._stop(part, hurry) for part in parts))

    async def _stop(self, part: Part, hurry: asyncio.Event) -> None:
        if part.pid is not None:
            os.kill(part.pid, part.spec.stop_signal)
            await self._wait_or_hurry(part, hurry)
        if part.keeper is not None:
            part.keeper.cancel()
            await asyncio.gather(part.keeper, return_exceptions=True)
        if part.process is not None:
            end_now(part.process)

    @staticmethod
    async def _wait_or_hurry(part: Part, hurry: asyncio.Event) -> None:
        if part.keeper is None:
            return
        hurried = asyncio.create_task(hurry.wait())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(part.spec.stop_timeout_s):
                await asyncio.wait({part.keeper, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()


def stop_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    """The first SIGINT, SIGTERM or SIGHUP sets ``stop``, every further one ``hurry``; under ``nohup``, SIGHUP does not."""

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    for number in wanted:
        asyncio.get_running_loop().add_signal_handler(number, told)
