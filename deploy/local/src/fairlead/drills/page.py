"""The report of drills as one HTML page that needs nothing else: no script, no other file."""

import html
from collections.abc import Iterable, Mapping, Sequence

from fairlead.drills.drill import NotRun, Outcome, Result
from fairlead.drills.rates import Rung, highest, in_words
from fairlead.drills.report import COLUMNS, row
from fairlead.drills.timeline import BAD, COLOURS, TOLD, happenings, timeline
from fairlead.drills.verdict import Judged

STYLE = """
:root { color-scheme: light dark; --line: #8888; --pass: #1b7837; --fail: #c62828; }
@media (prefers-color-scheme: dark) { :root { --pass: #6cc17f; --fail: #ff8a80; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1280px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
caption { text-align: left; padding-bottom: .4rem; }
.pass { color: var(--pass); font-weight: 600; } .FAIL { color: var(--fail); font-weight: 600; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: currentColor; }
svg .axis { stroke: var(--line); } svg .tick { text-anchor: middle; } svg .end { text-anchor: end; }
svg .latency { fill: none; stroke: currentColor; stroke-width: 1.2; }
svg .done { stroke: currentColor; stroke-dasharray: 2 3; } svg .fleet { stroke: var(--pass); stroke-width: 1.6; }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
"""


TITLE = "Fairlead drills"


def page(results: Sequence[Result], about: str, tried: Mapping[str, Sequence[Rung]]) -> str:
    """The whole page.

    Args:
        about: when, where and how it was run.
        tried: stack to the rates that were tried on it, in search of the highest.
    """
    outcomes = [each for each in results if isinstance(each, Outcome)]
    missing = [each for each in results if isinstance(each, NotRun)]
    body = [
        f"<h1>{TITLE}</h1><p>{html.escape(about)}</p>",
        *_rates(tried),
        _summary(outcomes),
        *(
            f'<p class="FAIL">{_text(each.scenario.name)} was not run: {_text(each.reason)}</p>'
            for each in missing
        ),
        *map(_drill, outcomes),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{STYLE}</style></head>\n<body>{''.join(body)}</body></html>\n"
    )


def _rates(tried: Mapping[str, Sequence[Rung]]) -> Iterable[str]:
    for stack, rungs in tried.items():
        rows = "".join(f"<li>{_text(in_words(each, rungs[0]))}</li>" for each in rungs)
        yield f"<p>Stack {_text(stack)} sustains {highest(rungs):g} requests per second:</p><ul>{rows}</ul>"


def _summary(outcomes: Sequence[Outcome]) -> str:
    head = "".join(f'<th scope="col">{_text(each)}</th>' for each in COLUMNS)
    rows = "".join(
        f"<tr>{''.join(_cell(each, outcome) for each in row(outcome))}</tr>" for outcome in outcomes
    )
    return (
        '<div class="wide"><table><caption>All drills; of several outages in one drill, the slowest figures</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cell(text: str, outcome: Outcome) -> str:
    name = outcome.scenario.name
    if text == name:
        return f'<th scope="row"><a href="#{_text(name)}">{_text(name)}</a></th>'
    marked = f' class="{_text(text)}"' if text in ("pass", "FAIL") else ""
    return f"<td{marked}>{_text(text)}</td>"


def _drill(outcome: Outcome) -> str:
    scenario = outcome.scenario
    steps = "".join(f"<li>{at_s:.2f} s: {_text(text)}</li>" for at_s, text in happenings(outcome.seen))
    problems = "".join(f"<li>{_text(each)}</li>" for each in outcome.measures.examples)
    return (
        f'<section id="{_text(scenario.name)}"><h2>{_text(scenario.name)}: {_text(scenario.title)}</h2>'
        f"{timeline(outcome.seen)}{_key(outcome)}<ol>{steps}</ol>{_promises(outcome.judged)}"
        f"{f'<p>Requests that went wrong:</p><ul>{problems}</ul>' if problems else ''}</section>"
    )


def _key(outcome: Outcome) -> str:
    known = {each.provider for each in outcome.seen.asked}
    colours = [(name, colour) for name, colour in COLOURS.items() if name in known]
    if outcome.measures.told:
        colours.append(("cut and told", TOLD))
    if outcome.measures.errors or outcome.measures.in_flight_lost:
        colours.append(("error", BAD))
    spans = "".join(f'<span style="background:{colour}"></span>{name}' for name, colour in colours)
    return f'<p class="key">{spans}</p>'


def _promises(judged: Iterable[Judged]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(each.name)}</th><td>{_text(each.promised)}</td><td>{_text(each.found)}</td>'
        f'<td class="{_text(each.verdict.value)}">{_text(each.verdict.value)}</td></tr>'
        for each in judged
    )
    return (
        '<table><thead><tr><th scope="col">promise</th><th scope="col">promised</th><th scope="col">found</th>'
        f'<th scope="col">verdict</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _text(text: str) -> str:
    return html.escape(text)
