"""Doing what a scenario's steps say to a running stack, and undoing whatever is left at the end."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fairlead.drills.scenario import Scenario, Step, Verb
from fairlead.drills.stack import Stack
from fairlead.holds import hold, release, release_all


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
        self._do: dict[Verb, Callable[[Step], Awaitable[None]]] = {
            Verb.FAULT: self._fault,
            Verb.MEND: self._mend,
            Verb.KILL: self._kill,
            Verb.STOP: self._stop,
            Verb.START: self._start,
            Verb.FREEZE: self._freeze,
            Verb.THAW: self._thaw,
        }
        self.done: list[Done] = []

    async def follow(self, scenario: Scenario) -> None:
        """Do every step at its time, counted from now."""
        began = time.time()
        for step in scenario.steps:
            await asyncio.sleep(max(0.0, began + step.at_s - time.time()))
            self.done.append(Done(time.time(), step))
            await self._do[step.verb](step)
        await asyncio.sleep(max(0.0, began + scenario.seconds - time.time()))

    async def undo(self) -> None:
        """Nothing hurts any more, and every simulator is as at its start."""
        release_all(self._stack.data_dir)
        for process in tuple(self._frozen):
            self._stack.signal(process, signal.SIGCONT)
        self._frozen.clear()
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
