"""``fairlead drill``: lists the drills of the library, or runs some of them and reports."""

import asyncio
import json
import os
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from asyncpg import PostgresError
from nats.errors import Error as NatsError

from fairlead.drills import report
from fairlead.drills.document import document
from fairlead.drills.drill import NotRun, Result, drill, order
from fairlead.drills.page import page
from fairlead.drills.scenario import Scenario, choose, library
from fairlead.drills.stack import running
from fairlead.drills.verdict import Verdict
from fairlead.errors import FairleadError


@dataclass(frozen=True)
class DrillOptions:
    """What the user asked for. None = as the scenario says."""

    names: tuple[str, ...]
    rate: float = 100.0
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
    """
    scenarios = [timed(each, options.duration_s) for name in options.names for each in choose(name)]
    if options.folder is not None:
        results = asyncio.run(_run(scenarios, options, options.folder))
    else:
        with tempfile.TemporaryDirectory(prefix="fldrill") as folder:
            results = asyncio.run(_run(scenarios, options, Path(folder)))
    print(report.table(results))
    if complaints := report.complaints(results):
        print(complaints)
    return 1 if any(each.verdict is Verdict.FAIL for each in results) else 0


def timed(scenario: Scenario, duration_s: float | None) -> Scenario:
    """``scenario`` with another length: its steps keep their share of it."""
    if duration_s is None:
        return scenario
    factor = duration_s / scenario.seconds
    steps = tuple(replace(each, at_s=each.at_s * factor) for each in scenario.steps)
    return replace(scenario, seconds=duration_s, steps=steps)


async def _run(scenarios: Sequence[Scenario], options: DrillOptions, folder: Path) -> list[Result]:
    began = datetime.now(UTC)
    results: list[Result] = []
    for group in order(scenarios):
        left = deque(group)
        while left:
            _say(f"starting the stack '{left[0].stack.name}'")
            async for result in _on_one_stack(left, options, folder):
                results.append(result)
                _say(f"{result.scenario.name}: {result.verdict}")
                _write(results, options, began)
    return results


async def _on_one_stack(left: deque[Scenario], options: DrillOptions, folder: Path) -> AsyncIterator[Result]:
    """Run what is left, until all is done, or a drill could not be run and the stack is not to be trusted any more."""
    spec = left[0].stack
    try:
        async with running(folder / spec.name, spec, options.edges) as stack:
            while left:
                _say(f"{left[0].name}: {left[0].title}")
                outcome = await drill(stack, left[0], options.rate)
                left.popleft()
                yield outcome
    except (FairleadError, NatsError, PostgresError, OSError, TimeoutError) as error:
        yield NotRun(left.popleft(), f"{type(error).__name__}: {error}")


def _write(results: Sequence[Result], options: DrillOptions, began: datetime) -> None:
    """The files the user asked for, after each drill, so that what was found is there whatever comes."""
    if options.json_file is not None:
        text = json.dumps(report.as_json(results), indent=1) + "\n"
        options.json_file.write_text(text, encoding="utf-8")
    about = (
        f"Run on {began:%Y-%m-%d %H:%M} UTC with {options.rate:g} requests per second, half of them streams,"
        f" on {os.cpu_count()} processor cores which callers, simulators, edges and services share."
    )
    if options.html_file is not None:
        options.html_file.write_text(page(results, "Fairlead drills", about), encoding="utf-8")
    if options.markdown_file is not None:
        options.markdown_file.write_text(document(results, about), encoding="utf-8")


def _say(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)
