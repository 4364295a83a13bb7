"""``fairlead drill``: lists the drills of the library, or runs some of them and reports."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairlead.drills import report
from fairlead.drills.drill import Outcome, drill, order
from fairlead.drills.scenario import Scenario, choose, library
from fairlead.drills.stack import running
from fairlead.drills.verdict import Verdict


@dataclass(frozen=True)
class DrillOptions:
    """What the user asked for. None = as the scenario says."""

    name: str
    rate: float = 100.0
    duration_s: float | None = None
    edges: int | None = None
    json_file: Path | None = None
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
        FairleadError: a drill could not be run.
    """
    scenarios = [_timed(each, options.duration_s) for each in choose(options.name)]
    if options.folder is not None:
        outcomes = asyncio.run(_run(scenarios, options, options.folder))
    else:
        with tempfile.TemporaryDirectory(prefix="fldrill") as folder:
            outcomes = asyncio.run(_run(scenarios, options, Path(folder)))
    print(report.table(outcomes))
    if complaints := report.complaints(outcomes):
        print(complaints)
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(report.as_json(outcomes), indent=1) + "\n", encoding="utf-8")
    return 1 if any(each.verdict is Verdict.FAIL for each in outcomes) else 0


def _timed(scenario: Scenario, duration_s: float | None) -> Scenario:
    """With another length: the steps keep their share of it."""
    if duration_s is None:
        return scenario
    factor = duration_s / scenario.seconds
    steps = tuple(replace(each, at_s=each.at_s * factor) for each in scenario.steps)
    return replace(scenario, seconds=duration_s, steps=steps)


async def _run(scenarios: Sequence[Scenario], options: DrillOptions, folder: Path) -> list[Outcome]:
    outcomes = []
    for group in order(scenarios):
        stack_spec = group[0].stack
        _say(f"starting the stack '{stack_spec.name}'")
        async with running(folder / stack_spec.name, stack_spec, options.edges) as stack:
            for scenario in group:
                _say(f"{scenario.name}: {scenario.title}")
                outcomes.append(await drill(stack, scenario, options.rate))
                _say(f"{scenario.name}: {outcomes[-1].verdict}")
    return outcomes


def _say(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)
