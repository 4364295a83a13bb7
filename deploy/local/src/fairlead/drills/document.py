"""The report of drills as a page of the documentation, in Markdown: what is drilled, what was promised, what was found."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fairlead.drills.drill import NotRun, Outcome, Result
from fairlead.drills.rates import Rung, highest, in_words
from fairlead.drills.report import COLUMNS, row
from fairlead.drills.verdict import Verdict

ABOUT, ABOUT_HIGHEST = (Path(__file__).with_name(name) for name in ("about.md", "about_highest_rate.md"))


def document(results: Sequence[Result], about: str, tried: Mapping[str, Sequence[Rung]]) -> str:
    """The whole page.

    Args:
        about: when, where and how it was run.
        tried: stack to the rates that were tried on it, in search of the highest; empty = the rate was given.
    """
    outcomes = [each for each in results if isinstance(each, Outcome)]
    passed = sum(each.verdict is Verdict.PASS for each in results)
    lines = [
        (ABOUT_HIGHEST if tried else ABOUT).read_text(encoding="utf-8"),
        *_rates(tried),
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


def _rates(tried: Mapping[str, Sequence[Rung]]) -> Iterable[str]:
    if tried:
        yield "## Which rates were tried"
    for stack, rungs in tried.items():
        yield f"Stack `{stack}`: {highest(rungs):g} requests per second."
        told = (each for each in rungs if not each.before or each.too_high(rungs[0]))
        yield from ("", *(f"- {in_words(each, rungs[0])}" for each in told), "")


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
