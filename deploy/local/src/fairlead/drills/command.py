"""``fairlead drill``: lists the drills of the library, or runs some of them and reports."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from asyncpg import PostgresError
from nats.errors import Error as NatsError

from fairlead.drills import report
from fairlead.drills.document import document
from fairlead.drills.drill import NotRun, Result, drill, order, settle
from fairlead.drills.highest_rate import highest_rate, rate_now
from fairlead.drills.page import page
from fairlead.drills.rates import Rung
from fairlead.drills.scenario import Scenario, choose, library
from fairlead.drills.stack import Stack, running
from fairlead.drills.verdict import Verdict
from fairlead.errors import FairleadError


@dataclass(frozen=True)
class DrillOptions:
    """What the user asked for. None = as the scenario says."""

    names: tuple[str, ...]
    rate: float | None = 100.0
    """Requests per second; None = on each stack the highest that it sustains."""
    duration_s: float | None = None
    edges: int | None = None
    json_file: Path | None = None
    html_file: Path | None = None
    markdown_file: Path | None = None
    folder: Path | None = None
    """Where the stacks live, kept afterwards; None = somewhere that is removed."""


def list_drills() -> int:
    """Print the library; 0."""
    known = library()
    width = max(map(len, known))
    for scenario in known.values():
        print(f"{scenario.name:<{width}}  {scenario.title}")
    return 0


def run_drills(options: DrillOptions) -> int:
    """Run and report; 0 when every promise was kept, otherwise 1.

    Raises:
        BadInput: there is no such drill, or its file is wrong.
        KeyboardInterrupt: SIGINT or SIGTERM has ended it; the stack is stopped.
    """
    scenarios = [timed(each, options.duration_s) for name in options.names for each in choose(name)]
    with nullcontext(options.folder) if options.folder else _temporary() as folder:
        run = _Run(options, folder)
        try:
            asyncio.run(_until_terminated(run.run(scenarios)))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    print(report.table(run.results))
    if complaints := report.complaints(run.results):
        print(complaints)
    return 1 if any(each.verdict is Verdict.FAIL for each in run.results) else 0


async def _until_terminated(work: Coroutine[None, None, None]) -> None:
    """SIGTERM ends it as SIGINT does: in order, so that no process stays behind."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


@contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fldrill") as folder:
        yield Path(folder)


def timed(scenario: Scenario, duration_s: float | None) -> Scenario:
    """``scenario`` with another length: its steps keep their share of it."""
    if duration_s is None:
        return scenario
    factor = duration_s / scenario.seconds
    steps = tuple(replace(each, at_s=each.at_s * factor) for each in scenario.steps)
    return replace(scenario, seconds=duration_s, steps=steps)


class _Run:
    """Drills on stacks of their own, and what was found so far."""

    def __init__(self, options: DrillOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._began = datetime.now(UTC)
        self._tried: dict[str, tuple[Rung, ...]] = {}
        """Stack to the rates that were tried on it."""
        self.results: list[Result] = []

    async def run(self, scenarios: Sequence[Scenario]) -> None:
        """One stack after the other."""
        for group in order(scenarios):
            left = deque(group)
            while left:
                _say(f"starting the stack '{left[0].stack.name}'")
                async for result in self._on_one_stack(left):
                    self.results.append(result)
                    _say(f"{result.scenario.name}: {result.verdict}")
                    self._write()

    async def _on_one_stack(self, left: deque[Scenario]) -> AsyncIterator[Result]:
        """Run what is left, until all is done, or a drill could not be run and the stack is not to be trusted any more."""
        spec = left[0].stack
        try:
            async with running(self._folder / spec.name, spec, self._options.edges) as stack:
                while left:
                    rate = self._options.rate or await self._highest_rate(stack, left[0])
                    _say(f"{left[0].name}: {left[0].title}")
                    outcome = await drill(stack, left[0], rate)
                    left.popleft()
                    yield outcome
        except (FairleadError, NatsError, PostgresError, OSError, TimeoutError) as error:
            yield NotRun(left.popleft(), f"{type(error).__name__}: {error}")

    async def _highest_rate(self, stack: Stack, scenario: Scenario) -> float:
        """What the stack sustains at this moment."""
        name = stack.spec.name
        await settle(stack, scenario)
        if name not in self._tried:
            _say(f"which rate the stack '{name}' sustains")
            self._tried[name] = await highest_rate(stack, scenario, _say)
        self._tried[name] += await rate_now(stack, scenario, self._tried[name], _say)
        return self._tried[name][-1].rate

    def _write(self) -> None:
        """The files the user asked for, after each drill, so that what was found is there whatever comes."""
        options, found = self._options, (self.results, self._about(), self._tried)
        if options.json_file is not None:
            text = json.dumps(report.as_json(self.results, self._tried), indent=1) + "\n"
            options.json_file.write_text(text, encoding="utf-8")
        if options.html_file is not None:
            options.html_file.write_text(page(*found), encoding="utf-8")
        if options.markdown_file is not None:
            options.markdown_file.write_text(document(*found), encoding="utf-8")

    def _about(self) -> str:
        rate = self._options.rate
        load = f"{rate:g} requests per second" if rate else "the highest rate that each stack sustained"
        return (
            f"Run on {self._began:%Y-%m-%d %H:%M} UTC with {load}, half of them streams,"
            f" on {os.cpu_count()} processor cores which callers, simulators, edges and services share."
        )


def _say(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)
