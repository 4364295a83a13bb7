"""The report of drills as a page of the documentation, in Markdown: what is drilled, what was promised, what was found."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fairlead.drills.drill import NotRun, Outcome, Result
from fairlead.drills.report import COLUMNS, row
from fairlead.drills.verdict import Verdict

ABOUT = Path(__file__).with_name("about.md")


def document(results: Sequence[Result], about: str) -> str:
    """The whole page; ``about`` says when, where and how it was run."""
    outcomes = [each for each in results if isinstance(each, Outcome)]
    passed = sum(each.verdict is Verdict.PASS for each in results)
    lines = [
        ABOUT.read_text(encoding="utf-8"),
        "## What was found",
        f"{about} {passed} of {len(results)} drills passed.",
        "",
    ]
    lines += [
        _line(COLUMNS),
        _line(["---", *["---:"] * (len(COLUMNS) - 1)]),
        *(_line(row(each)) for each in outcomes),
    ]
    lines += ["", *_problems(results), "## The drills", ""]
    lines += [f"- `{each.scenario.name}`: {each.scenario.title}." for each in results]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _problems(results: Iterable[Result]) -> Iterable[str]:
    found = [
        f"- `{each.scenario.name}` was not run: {each.reason}" for each in results if isinstance(each, NotRun)
    ]
    found += [
        f"- `{outcome.scenario.name}`: {each.name}: promised {each.promised}, found {each.found}."
        for outcome in results
        if isinstance(outcome, Outcome)
        for each in outcome.judged
        if each.verdict is Verdict.FAIL
    ]
    return ["### What was not kept", "", *found, ""] if found else []
