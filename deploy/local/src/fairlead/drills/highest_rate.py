"""Puts loads on a stack to find the highest rate that it sustains, and to see whether it still does."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psutil

from fairlead.drills import ledger
from fairlead.drills.callers import Callers
from fairlead.drills.drill import loaded
from fairlead.drills.measures import quantile
from fairlead.drills.rates import (
    LOAD_S,
    LOWEST,
    Rung,
    highest,
    in_words,
    next_check,
    next_rate,
)
from fairlead.drills.requests import Ending
from fairlead.drills.rescues import by_call, extra_ms
from fairlead.drills.scenario import Scenario
from fairlead.drills.stack import Stack
from fairlead.errors import FairleadError


class Unsustained(FairleadError):
    """Not even the lowest rate is sustained."""


async def highest_rate(stack: Stack, scenario: Scenario, say: Callable[[str], None]) -> tuple[Rung, ...]:
    """Search on a stack that is well, with requests as ``scenario`` makes them. All that was tried.

    Raises:
        Unsustained: already the lowest rate is too high.
    """
    tried: list[Rung] = []
    while (rate := next_rate(tried)) is not None:
        tried.append(await _try(stack, scenario, rate))
        say(in_words(tried[-1], tried[0]))
    if not highest(tried):
        raise Unsustained(f"{LOWEST:g} requests/s are not sustained: {tried[-1].too_high(tried[0])}")
    return tuple(tried)


async def rate_now(
    stack: Stack, scenario: Scenario, tried: Sequence[Rung], say: Callable[[str], None]
) -> tuple[Rung, ...]:
    """What the search found is checked on a stack that is well. All that was tried then; the last is sustained.

    Raises:
        Unsustained: not even the lowest rate is.
    """
    known = list(tried)
    while (rate := next_check(known, scenario.name)) is not None:
        known.append(replace(await _try(stack, scenario, rate), before=scenario.name))
        say(in_words(known[-1], known[0]))
        if not known[-1].too_high(known[0]):
            return tuple(known[len(tried) :])
    raise Unsustained(f"{LOWEST:g} requests/s are not sustained any more: {known[-1].too_high(known[0])}")


async def _try(stack: Stack, scenario: Scenario, rate: float) -> Rung:
    callers = Callers(stack.run.edge_urls, stack.key, scenario.model, rate)
    try:
        before = psutil.cpu_times()
        async with loaded(callers):
            await asyncio.sleep(LOAD_S)
        busy = busy_share(before, psutil.cpu_times())
    finally:
        callers.close()
    answered = [each for each in callers.asked if each.ending is Ending.ANSWERED]
    found = await ledger.read(stack.run.postgres_dsn, [each.call_id for each in answered if each.call_id])
    rescued, usual = extra_ms(answered, by_call(found.attempts))
    return Rung(
        rate,
        len(callers.asked),
        len(answered) - len(found.lost),
        quantile([*rescued, *usual], 0.99),
        quantile([each.total_ms for each in answered], 0.99),
        found.settled_s,
        busy,
    )


def busy_share(before: Any, after: Any) -> float:
    """Of the time of all cores between two readings of ``psutil.cpu_times``, 0 to 1."""
    idle = _idle(after) - _idle(before)
    return 1 - idle / (_all(after) - _all(before))


def _idle(times: Any) -> float:
    return float(times.idle + getattr(times, "iowait", 0.0))


def _all(times: Any) -> float:
    """Time of guests is in that of users already."""
    return float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))
