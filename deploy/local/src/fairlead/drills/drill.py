"""Runs one drill on a running stack: settles it, loads it, hurts it, and judges what was seen."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fairlead.drills import ledger
from fairlead.drills.bus import Listener, listening
from fairlead.drills.callers import Callers
from fairlead.drills.injection import Injection
from fairlead.drills.measures import Measures, measure
from fairlead.drills.moves import moves
from fairlead.drills.outages import Seen
from fairlead.drills.requests import Asked, Ending
from fairlead.drills.scenario import Scenario
from fairlead.drills.stack import Stack
from fairlead.drills.verdict import Judged, Verdict, judge, overall
from fairlead.errors import FairleadError

SETTLE_S = 90.0
SETTLED_ROUNDS = 3
"""So often in a row every edge must be served by the provider that is to be hurt."""
RECOVERY_S = 75.0
"""How long after a drill's own time the traffic may take to come back."""
FORGET_S = 30.0
POLL_S = 0.1
RECORDED = (Ending.ANSWERED, Ending.TOLD, Ending.FAILED, Ending.SILENT)
"""How a request ends whose edge has lived to see it: its outcome must be in Postgres."""


class NotSettled(FairleadError):
    """The stack did not come to rest, so that nothing could be measured on it."""


@dataclass(frozen=True)
class Outcome:
    """A drill that was run."""

    scenario: Scenario
    rate: float
    seen: Seen
    measures: Measures
    judged: tuple[Judged, ...]

    @property
    def verdict(self) -> Verdict:
        """Of all promises together."""
        return overall(self.judged)


@dataclass(frozen=True)
class NotRun:
    """A drill that could not be run: no promise was shown to hold."""

    scenario: Scenario
    reason: str
    verdict = Verdict.FAIL


Result = Outcome | NotRun


async def drill(stack: Stack, scenario: Scenario, rate: float) -> Outcome:
    """Run ``scenario`` under ``rate`` requests per second.

    Raises:
        NotSettled: the stack was not well to begin with.
    """
    injection = Injection(stack)
    await injection.undo()
    await settle(stack, scenario)
    run = stack.run
    callers = Callers(run.edge_urls, stack.key, scenario.model, rate)
    try:
        async with listening(run.nats_url) as listener:
            began = time.time()
            async with loaded(callers):
                await injection.follow(scenario)
                if scenario.returns:
                    await _recovered(listener)
    finally:
        callers.close()
        await injection.undo()
    call_ids = [each.call_id for each in callers.asked if each.call_id and each.ending in RECORDED]
    found = await ledger.read(run.postgres_dsn, call_ids)
    seen = Seen(
        scenario, began, len(run.edge_urls), callers.asked, injection.done, tuple(listener.heard), found
    )
    measures = measure(seen)
    return Outcome(scenario, rate, seen, measures, judge(scenario, measures))


@asynccontextmanager
async def loaded(callers: Callers) -> AsyncIterator[None]:
    """A block under steady load; at its end every request has ended."""
    stop = asyncio.Event()
    running = asyncio.create_task(callers.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def _forget(stack: Stack) -> None:
    """The drill before this one must count neither as flapping nor as a relapse: health and gates begin anew."""
    with contextlib.suppress(OSError, TimeoutError):  # what is missing, settling says
        async with asyncio.timeout(FORGET_S):
            for provider in stack.run.simulators:
                path = f"/api/providers/health/{provider}"
                await stack.api("PUT", f"{path}/maintenance", {"reason": "between two drills"})
                while (await stack.api("GET", path)).json()["health"]["status"] != "maintenance":  # noqa: ASYNC110 - it can only be asked
                    await asyncio.sleep(POLL_S)
                await stack.api("DELETE", f"{path}/maintenance")
        await stack.release(lambda provider: True, "the drill is over")


async def settle(stack: Stack, scenario: Scenario) -> None:
    """Begin anew, and wait until every process is ready, and every edge is served by the provider the drill is about.

    Raises:
        NotSettled: that takes too long; it says what is missing.
    """
    await _forget(stack)
    missing = "nothing was looked at"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            while missing:
                missing = await _unready(stack) or await _unserved(stack, scenario)
                await asyncio.sleep(POLL_S if missing else 0)
    if missing:
        raise NotSettled(
            f"the stack is not well after {SETTLE_S:.0f} s: {missing}; look at {stack.data_dir.logs}"
        )


async def _unready(stack: Stack) -> str:
    for each in stack.run.processes:
        if reason := await stack.missing(each.name):
            return f"{each.name}: {reason}"
    return ""


async def _unserved(stack: Stack, scenario: Scenario) -> str:
    callers = Callers(stack.run.edge_urls, stack.key, scenario.model, 1.0)
    try:
        for edge in range(len(stack.run.edge_urls)):
            for number in range(SETTLED_ROUNDS):
                asked = Asked(number, edge, stream=number % 2 == 1, due=time.time())
                await callers.ask(asked)
                if asked.ending is not Ending.ANSWERED:
                    return f"edge {edge + 1} answers {asked.ending} {asked.status} {asked.detail}"
                if asked.provider != scenario.provider and not scenario.broken:
                    return f"edge {edge + 1} is served by {asked.provider}, not by {scenario.provider}"
    finally:
        callers.close()
    return ""


async def _recovered(listener: Listener) -> None:
    """Wait, for a while, until whatever was moved away is back."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RECOVERY_S):
            while moves(listener.heard).away:
                await listener.next()


def order(scenarios: Sequence[Scenario]) -> list[tuple[Scenario, ...]]:
    """Scenarios that share a stack, together, in the order in which they were given."""
    groups: dict[str, list[Scenario]] = {}
    for each in scenarios:
        groups.setdefault(each.stack.name, []).append(each)
    return [tuple(group) for group in groups.values()]
