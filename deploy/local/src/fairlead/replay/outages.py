"""``fairlead replay outages``: what failover would have made of a schedule of outages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead_common.decisions.outages import Outcome, ReplaySettings, Span, merged, replay, within

from fairlead.errors import BadInput
from fairlead.replay.files import Mistake, Schedule, read_schedule, time_of
from fairlead.terminal import Terminal

SHOWN = 20
"""At most so many spans without any provider are listed; JSON has all."""


@dataclass(frozen=True)
class ReplayOptions:
    """A parsed command line."""

    file: Path
    providers: tuple[str, ...] = ()
    """In order of preference; empty = as the file names them first."""
    period: Span | None = None
    """In Unix seconds; None = from the first start to the last end."""
    settings: ReplaySettings = field(default_factory=ReplaySettings)
    as_json: bool = False


def period_of(text: str) -> Span:
    """Beginning and end of ``START/END``. Raises Mistake."""
    start, slash, end = text.partition("/")
    if not slash:
        raise Mistake(f"expected START/END, found '{text}'")
    found = time_of(start), time_of(end)
    if not found[0] < found[1]:
        raise Mistake(f"the end of '{text}' does not lie after its start")
    return found


def replay_outages(options: ReplayOptions) -> int:
    """Replay and print. Raises BadInput."""
    schedule = read_schedule(options.file)
    period = options.period or schedule.period
    if not period[0] < period[1]:
        raise BadInput(f"'{options.file}' spans no time; name one with --period START/END")
    incidents = {
        name: [(start - period[0], end - period[0]) for start, end in schedule.incidents.get(name, [])]
        for name in _providers(options, schedule)
    }
    span = (0.0, period[1] - period[0])
    outcome = replay(incidents, span, options.settings)
    counts = {name: len(merged(within(spans, span))) for name, spans in incidents.items()}
    terminal = Terminal()
    if options.as_json:
        terminal.say(json.dumps(record(outcome, counts, period, options.settings), indent=1))
    else:
        for line in report(outcome, counts, period, options.settings, schedule.rows):
            terminal.say(line)
    return 0


def _providers(options: ReplayOptions, schedule: Schedule) -> Sequence[str]:
    """Raises BadInput: named twice, or left out although the file has outages of it."""
    if not options.providers:
        return list(schedule.incidents)
    twice = {name for name in options.providers if options.providers.count(name) > 1}
    if twice:
        raise BadInput(f"--providers names {', '.join(sorted(twice))} twice")
    if not set(options.providers) & set(schedule.incidents):
        known = ", ".join(schedule.incidents)
        raise BadInput(f"'{options.file}' has no outage of {', '.join(options.providers)}; it has {known}")
    return options.providers


def record(
    outcome: Outcome, counts: dict[str, int], period: Span, settings: ReplaySettings
) -> dict[str, Any]:
    """For programs; availabilities are shares from 0 to 1."""
    primary = next(iter(outcome.down_s))
    return {
        "period": {"start": _iso(period[0]), "end": _iso(period[1]), "seconds": outcome.period_s},
        "detection_s": settings.detection_s,
        "notice_s": settings.notice_s,
        "primary": primary,
        "providers": [
            {
                "provider": name,
                "outages": counts[name],
                "down_minutes": seconds / 60,
                "availability": outcome.alone(name),
            }
            for name, seconds in outcome.down_s.items()
        ],
        "availability_without_failover": outcome.alone(primary),
        "availability_with_failover": outcome.availability,
        "availability_without_retries": outcome.without_retries,
        "availability_ceiling": outcome.ceiling,
        "wrong_provider_minutes": outcome.wrong_s / 60,
        "away_minutes": outcome.away_s / 60,
        "switches": outcome.switches,
        "all_down_minutes": sum(end - start for start, end in outcome.all_down) / 60,
        "all_down": [
            {"start": _iso(period[0] + start), "end": _iso(period[0] + end), "minutes": (end - start) / 60}
            for start, end in outcome.all_down
        ],
    }


def report(
    outcome: Outcome, counts: dict[str, int], period: Span, settings: ReplaySettings, rows: int
) -> list[str]:
    """For people."""
    primary = next(iter(outcome.down_s))
    all_down_s = sum(end - start for start, end in outcome.all_down)
    lines = [
        f"{_iso(period[0])} to {_iso(period[1])}: {outcome.period_s / 86400:.2f} days, {rows} rows",
        f"in order of preference: {', '.join(outcome.down_s)}",
        f"noticed: down after {settings.detection_s:g} s, well again after {settings.notice_s:g} s",
        "",
        "without failover",
    ]
    lines += [
        f"  {name:<24}{outcome.alone(name):9.4%}   {counts[name]:5d} outages   {seconds / 60:10.1f} minutes down"
        + ("   (primary)" if name == primary else "")
        for name, seconds in outcome.down_s.items()
    ]
    lines += [
        "with failover",
        f"  {'availability':<24}{outcome.availability:9.4%}",
        f"  {'without retries':<24}{outcome.without_retries:9.4%}   requests are not carried on to the next target",
        f"  {'ceiling':<24}{outcome.ceiling:9.4%}   a perfect failover",
        f"  {'wrong provider':<24}{outcome.wrong_s / 60:9.2f} minutes: first choice down while another was up",
        f"  {'away from a better one':<24}{outcome.away_s / 60:9.2f} minutes: served by a later choice, an earlier was up",
        f"  {'switches':<24}{outcome.switches:9d}",
        f"all down: {len(outcome.all_down)} times, {all_down_s / 60:.1f} minutes",
    ]
    lines += [
        f"  {_iso(period[0] + start)} to {_iso(period[0] + end)}   {(end - start) / 60:8.1f} minutes"
        for start, end in outcome.all_down[:SHOWN]
    ]
    if len(outcome.all_down) > SHOWN:
        lines.append(f"  and {len(outcome.all_down) - SHOWN} more; --json has them all")
    return lines


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
