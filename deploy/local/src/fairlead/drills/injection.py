"""Doing what a scenario's steps say to a running stack, and undoing whatever is left at the end."""

import asyncio
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from fairlead_common.bus.connection import connect
from fairlead_common.snapshots.publisher import SnapshotPublisher

from fairlead.drills.scenario import Scenario, Step, Verb
from fairlead.drills.slow_postgres import SlowPostgres
from fairlead.drills.stack import Stack
from fairlead.drills.tls import TlsFront
from fairlead.errors import BadInput
from fairlead.holds import hold, release, release_all

BACK_S = 90.0
POLL_S = 0.1


@dataclass(frozen=True)
class Done:
    """A step, and when it was done (Unix seconds)."""

    at: float
    step: Step


class Injection:
    """Hurts one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._frozen: set[str] = set()
        self._full: set[str] = set()
        self._slow: SlowPostgres | None = None
        self._do: dict[Verb, Callable[[Step], Awaitable[None]]] = {
            Verb.FAULT: self._fault,
            Verb.MEND: self._mend,
            Verb.KILL: self._kill,
            Verb.KILL_HOLDER: self._kill_holder,
            Verb.STOP: self._stop,
            Verb.START: self._start,
            Verb.FREEZE: self._freeze,
            Verb.THAW: self._thaw,
            Verb.SLOW_POSTGRES: self._slow_postgres,
            Verb.QUICK_POSTGRES: self._quick_postgres,
            Verb.FILL_DISK: self._fill_disk,
            Verb.FREE_DISK: self._free_disk,
            Verb.EXPIRE_CERTIFICATE: self._expire_certificate,
            Verb.RENEW_CERTIFICATE: self._renew_certificate,
            Verb.RELEASE: self._release,
            Verb.WAIT: self._wait,
        }
        self.done: list[Done] = []

    async def follow(self, scenario: Scenario) -> None:
        """Do every step at its time, counted from now; waiting for a process may put off what follows."""
        began = time.time()
        for step in scenario.steps:
            await asyncio.sleep(max(0.0, began + step.at_s - time.time()))
            self.done.append(Done(time.time(), step))
            await self._do[step.verb](step)
            if step.verb is Verb.WAIT:
                began = max(began, time.time() - step.at_s)
        await asyncio.sleep(max(0.0, began + scenario.seconds - time.time()))

    async def undo(self) -> None:
        """Nothing hurts any more, and every simulator is as at its start."""
        release_all(self._stack.data_dir)
        for process in tuple(self._frozen):
            self._stack.signal(process, signal.SIGCONT)
        self._frozen.clear()
        for process in tuple(self._full):
            self._limit_files(process, resource.RLIM_INFINITY)
        self._full.clear()
        await self._be_quick()
        if self._stack.tls is not None:
            self._stack.tls.renew()
        for provider in self._stack.run.simulators:
            await self._stack.simulator(provider, "POST", "/_sim/reset")

    async def _fault(self, step: Step) -> None:
        options = {name: value for name, value in step.options.items() if name != "kind"}
        await self._stack.simulator(step.of, "PUT", f"/_sim/faults/{step.options['kind']}", options)

    async def _mend(self, step: Step) -> None:
        await self._stack.simulator(step.of, "DELETE", "/_sim/faults")

    async def _kill(self, step: Step) -> None:
        self._stack.signal(step.of, signal.SIGKILL)

    async def _stop(self, step: Step) -> None:
        hold(self._stack.data_dir, step.of)
        self._stack.signal(step.of, signal.SIGKILL)

    async def _start(self, step: Step) -> None:
        release(self._stack.data_dir, step.of)

    async def _freeze(self, step: Step) -> None:
        self._frozen.add(step.of)
        self._stack.signal(step.of, signal.SIGSTOP)

    async def _thaw(self, step: Step) -> None:
        self._frozen.discard(step.of)
        self._stack.signal(step.of, signal.SIGCONT)

    async def _kill_holder(self, step: Step) -> None:
        """Whoever holds the lease of a job now."""
        client = await connect(self._stack.run.nats_url, "fairlead-drill-lease")
        try:
            found = await SnapshotPublisher(client, "leases").read(step.of)
        finally:
            await client.close()
        if found is None:
            raise BadInput(f"nobody holds the lease of '{step.of}'; name a job that is done by one replica")
        process = found[1].decode().partition(":")[0]
        self._stack.signal(process, signal.SIGKILL)
        self.done[-1] = Done(self.done[-1].at, replace(step, of=f"{process}, holder of {step.of},"))

    async def _slow_postgres(self, step: Step) -> None:
        socket = self._stack.data_dir.sockets / ".s.PGSQL.5432"
        delay_s = float(step.options["delay_ms"]) / 1000
        self._slow = SlowPostgres(socket, self._stack.run.postgres_dsn, delay_s)
        await self._slow.begin()

    async def _quick_postgres(self, step: Step) -> None:
        await self._be_quick()

    async def _be_quick(self) -> None:
        if self._slow is not None:
            await self._slow.end()
            self._slow = None

    async def _fill_disk(self, step: Step) -> None:
        self._full.add(step.of)
        self._limit_files(step.of, 0)

    async def _free_disk(self, step: Step) -> None:
        self._full.discard(step.of)
        self._limit_files(step.of, resource.RLIM_INFINITY)

    async def _expire_certificate(self, step: Step) -> None:
        self._tls_of(step).expire()

    async def _renew_certificate(self, step: Step) -> None:
        self._tls_of(step).renew()

    def _tls_of(self, step: Step) -> TlsFront:
        if self._stack.tls is None or self._stack.spec.tls != step.of:
            raise BadInput(
                f"{step.of} does not speak TLS on the stack '{self._stack.spec.name}'; use the stack 'tls'"
            )
        return self._stack.tls

    async def _release(self, step: Step) -> None:
        await self._stack.release(lambda provider: provider == step.of, "the drill's operator says so")

    async def _wait(self, step: Step) -> None:
        async with asyncio.timeout(BACK_S):
            while (await self._stack.missing(step.of)) is not None:  # noqa: ASYNC110 - it can only be asked
                await asyncio.sleep(POLL_S)

    def _limit_files(self, process: str, size: int) -> None:
        """No file of a process may grow beyond ``size`` bytes; to it that is as if the disk were full."""
        if not hasattr(resource, "prlimit"):
            raise BadInput(
                "the limits of another process can be set on Linux only; leave this drill out here"
            )
        if (pid := self._stack.process(process).pid) is not None:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(
                pid,
                resource.RLIMIT_FSIZE,
                (size if hard == resource.RLIM_INFINITY else min(size, hard), hard),
            )
