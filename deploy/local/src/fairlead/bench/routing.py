"""`fairlead bench routing`: how near automatic selection comes to the best choice, on recorded outcomes."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from fairlead_routing.quality.evaluation import Estimate, Report
from fairlead_routing.quality.latency import compare_latency
from fairlead_routing.quality.outcomes import Outcomes, compare

from fairlead.bench.files import data_sets
from fairlead.errors import BadInput
from fairlead.terminal import Terminal

GOAL: Final = 0.9


def bench_routing(paths: Sequence[Path], seed: int, json_file: Path | None) -> int:
    """Print a table for each data set; write all figures to ``json_file``. Raises BadInput for unusable files."""
    terminal = Terminal()
    results: list[dict[str, Any]] = []
    for data in data_sets(paths):
        if isinstance(data, Outcomes):
            terminal.say(f"\n{data.name}: {len(data.prompts)} prompts, {len(data.arms)} models, seed {seed}")
            for each in compare(data, seed):
                terminal.say(f"\nutility = score - {each.cost_weight:g} x relative price; eps 0.01")
                for gain, low, high in each.validated:
                    terminal.say(
                        f"  validation inside a training half: {gain:+.4f} [{low:+.4f}, {high:+.4f}]"
                    )
                _say(terminal, each.report)
                results.append(_record(data.name, each.report, each.cost_weight))
        else:
            name, trace = data
            terminal.say(f"\n{name}: {len(trace)} measurements, seed {seed}")
            terminal.say("\nutility = - seconds of the whole answer; eps max(10 %, 50 ms)")
            try:
                report = compare_latency(trace, seed)
            except ValueError as error:
                raise BadInput(f"{name}: {error}; there is nothing to choose between") from error
            _say(terminal, report)
            results.append(_record(name, report, None))
    if json_file is not None:
        try:
            json_file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write '{json_file}': {error.strerror}") from error
    return 0


def _say(terminal: Terminal, report: Report) -> None:
    terminal.say(
        f"  {report.cases} held-out cases in {report.contexts} contexts, {report.indifferent} of them without a "
        "difference worth eps (left out of the rates)"
    )
    terminal.say(
        f"  {'':<23}{'eps-optimal contexts':<24}{'eps-optimal picks':<24}{'mean regret':<28}{'of oracle':<12}"
        "not allowed"
    )
    for name, verdict in sorted(report.verdicts.items(), key=lambda item: item[1].regret.value):
        regret = f"{verdict.regret.value:.4f} [{verdict.regret.low:.4f}, {verdict.regret.high:.4f}]"
        terminal.say(
            f"  {name:<23}{_percent(verdict.eps_optimal):<24}{_percent(verdict.optimal_picks):<24}{regret:<28}"
            f"{100 * verdict.of_oracle.value:<12.1f}{verdict.not_allowed}"
        )
    for (policy, baseline), gain in report.gains.items():
        terminal.say(
            f"  {policy} over {baseline}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]: {_said(gain)}"
        )
    terminal.say(
        f"  goal of {GOAL:.0%} eps-optimal contexts: {_reached(report.verdicts['fairlead'].eps_optimal)}"
    )


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _reached(rate: Estimate) -> str:
    if rate.low >= GOAL:
        return "reached"
    return "reached, but its interval reaches below" if rate.value >= GOAL else "NOT reached"


def _said(gain: Estimate) -> str:
    if gain.low > 0:
        return "better"
    return "worse" if gain.high < 0 else "no difference shown"


def _record(name: str, report: Report, cost_weight: float | None) -> dict[str, Any]:
    return {
        "data": name,
        "cost_weight": cost_weight,
        "cases": report.cases,
        "contexts": report.contexts,
        "indifferent": report.indifferent,
        "policies": {policy: asdict(verdict) for policy, verdict in report.verdicts.items()},
        "gains": [
            {"policy": policy, "baseline": baseline, **asdict(gain)}
            for (policy, baseline), gain in report.gains.items()
        ],
    }
