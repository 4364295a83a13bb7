"""The report of drills as text for a terminal and as JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fairlead.drills.drill import NotRun, Outcome, Result
from fairlead.drills.measures import quantile
from fairlead.drills.outages import Outage
from fairlead.drills.rates import Rung
from fairlead.drills.verdict import Verdict

COLUMNS = (
    "drill",
    "rate",
    "requests",
    "errors",
    "told",
    "resent",
    "in flight",
    "lost",
    "doubled",
    "detected",
    "switched",
    "fleet p99",
    "recovered",
    "rescued",
    "extra p99",
    "verdict",
)


def seconds(value: float | None) -> str:
    """For a person; "-" = nothing to measure."""
    return "-" if value is None else f"{value:.2f} s"


def milliseconds(value: float | None) -> str:
    """For a person; "-" = nothing to measure."""
    return "-" if value is None else f"{value:.0f} ms"


def row(outcome: Outcome) -> tuple[str, ...]:
    """One line of the table, in the order of ``COLUMNS``; of several outages, the slowest figures."""
    found = outcome.measures
    return (
        outcome.scenario.name,
        f"{outcome.rate:g}/s",
        str(found.requests),
        str(found.errors),
        str(found.told),
        str(sum(found.resent.values())),
        str(found.in_flight_lost),
        str(len(found.lost)),
        str(found.doubled),
        seconds(worst(each.detected_s for each in found.outages)),
        seconds(worst(each.switched_s for each in found.outages)),
        milliseconds(quantile(propagation(found.outages), 0.99)),
        seconds(worst(each.recovered_s for each in found.outages)),
        str(found.rescued),
        milliseconds(quantile(found.rescued_extra_ms, 0.99)),
        outcome.verdict.value,
    )


def worst(values: Iterable[float | None]) -> float | None:
    """The greatest of those that are known."""
    return max((each for each in values if each is not None), default=None)


def propagation(outages: Iterable[Outage]) -> list[float]:
    """Of all edges, in ms."""
    return [ms for each in outages for ms in each.propagation_ms]


def table(results: Iterable[Result]) -> str:
    """All drills that were run, aligned."""
    rows = [COLUMNS, *(row(each) for each in results if isinstance(each, Outcome))]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in rows
    )


def complaints(results: Iterable[Result]) -> str:
    """Every promise that was not kept, with what was found; the first requests that went wrong; what was not run."""
    lines: list[str] = []
    for outcome in results:
        if isinstance(outcome, NotRun):
            lines.append(f"{outcome.scenario.name}: not run: {outcome.reason}")
            continue
        lines += [
            f"{outcome.scenario.name}: {each.name}: promised {each.promised}, found {each.found}"
            for each in outcome.judged
            if each.verdict is Verdict.FAIL
        ]
        lines += [f"{outcome.scenario.name}: {example}" for example in outcome.measures.examples]
    return "\n".join(lines)


def as_json(results: Iterable[Result], tried: Mapping[str, Sequence[Rung]]) -> dict[str, Any]:
    """Everything, for programs. ``tried``: stack to the rates that were tried on it, in search of the highest."""
    rates = {stack: [asdict(each) for each in rungs] for stack, rungs in tried.items()}
    return {"drills": [_result(each) for each in results], "rates_tried": rates}


def _result(result: Result) -> dict[str, Any]:
    if isinstance(result, NotRun):
        return {"name": result.scenario.name, "verdict": result.verdict.value, "not_run": result.reason}
    return _outcome(result)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    found = outcome.measures
    return {
        "name": outcome.scenario.name,
        "title": outcome.scenario.title,
        "stack": outcome.scenario.stack.name,
        "rate_per_s": outcome.rate,
        "edges": outcome.seen.edges,
        "verdict": outcome.verdict.value,
        "promises": [
            {
                "name": each.name,
                "promised": each.promised,
                "found": each.found,
                "verdict": each.verdict.value,
            }
            for each in outcome.judged
        ],
        "steps": [
            {"at_s": round(each.at - outcome.seen.began, 3), "step": str(each.step)}
            for each in outcome.seen.done
        ],
        "requests": found.requests,
        "endings": found.endings,
        "resent_from_killed_edge": found.resent,
        "in_flight_on_killed_edge": found.in_flight_lost,
        "errors": found.errors,
        "silent_truncations": found.silent,
        "error_examples": list(found.examples),
        "lost_outcomes": list(found.lost),
        "doubled_outcomes": found.doubled,
        "outcomes_settled_s": round(found.settled_s, 2),
        "rescued": found.rescued,
        "rescued_extra_ms": _spread(found.rescued_extra_ms),
        "usual_extra_ms": _spread(found.usual_extra_ms),
        "latency_ms": _spread(found.latency_ms),
        "extra_cost_usd": found.extra_cost_usd,
        "switches": found.switches,
        "recoveries": found.recoveries,
        "outages": [_outage(each, outcome.seen.began) for each in found.outages],
        "alerts": list(found.alerts),
        "statuses": list(found.statuses),
    }


def _outage(outage: Outage, began: float) -> dict[str, Any]:
    return {
        "provider": outage.provider,
        "from_s": round(outage.began - began, 3),
        "to_s": round(outage.ended - began, 3),
        "failed_attempts": outage.failed_attempts,
        "detected_s": _rounded(outage.detected_s),
        "switched_s": _rounded(outage.switched_s),
        "recovered_s": _rounded(outage.recovered_s),
        "propagation_ms_per_edge": [round(each, 1) for each in outage.propagation_ms],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _spread(values: Sequence[float]) -> dict[str, float | int | None]:
    return {
        "n": len(values),
        "p50": _rounded(quantile(values, 0.5)),
        "p99": _rounded(quantile(values, 0.99)),
    }
