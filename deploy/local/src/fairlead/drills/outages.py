"""Each time at which a provider was hurt, and how the fleet reacted, from what was recorded outside of it. Pure.

The *trigger* of a switch is the moment at which everything that all edges have seen of a provider fulfils the promised
condition (five failures in a row, or a share of successes below 80 % of at least 5 calls over 30 s), had it been known
everywhere at once. How long each edge goes on sending after that moment is the fleet's propagation. Where nobody decides
for the fleet (a *blind* scenario), each edge has a trigger of its own: what it has seen itself.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, observed
from fairlead_common.decisions.plan import GateState
from fairlead_common.outcomes import ErrorClass

from fairlead.drills.bus import GATES, Heard
from fairlead.drills.injection import Done
from fairlead.drills.ledger import Ledger, Tried
from fairlead.drills.moves import moves
from fairlead.drills.requests import Asked
from fairlead.drills.scenario import HURTING, UNDONE_BY, Scenario

CONDITION = BreakerSettings()
TRIALS = ("half_open", "panic")
"""Reasons for which a provider is tried although it is known to be bad."""


@dataclass(frozen=True)
class Seen:
    """Everything a drill has recorded. ``began``: of the load, Unix seconds."""

    scenario: Scenario
    began: float
    edges: int
    asked: Sequence[Asked]
    done: Sequence[Done]
    heard: Sequence[Heard]
    ledger: Ledger


@dataclass(frozen=True)
class Outage:
    """One time at which a provider was hurt. Seconds from its beginning; None = it did not happen, or was not seen."""

    provider: str
    began: float
    """Unix seconds."""
    ended: float
    """When it was mended: Unix seconds."""
    failed_attempts: int
    detected_s: float | None
    """Until the fleet decided to move the traffic."""
    switched_s: float | None
    """Until the last edge began its last regular attempt there."""
    recovered_s: float | None
    """From its being mended until it had all of its traffic again."""
    propagation_ms: tuple[float, ...] = ()
    """Per edge that had a trigger: from there to the beginning of its last regular attempt, at least 0."""


def outages(seen: Seen) -> Iterable[Outage]:
    """Each time at which a provider was hurt, with how the fleet reacted."""
    edge_of = {each.call_id: each.edge for each in seen.asked if each.call_id}
    moved = moves(seen.heard)
    found = windows(seen)
    for position, (provider, began, ended) in enumerate(found):
        following = next((at for name, at, _ in found[position + 1 :] if name == provider), math.inf)
        tried = [each for each in seen.ledger.attempts if each.provider == provider]
        regular = [each for each in tried if each.reason not in TRIALS]
        until = min(ended, _first_return(seen.heard, provider, began))
        decided = _first(moved.switched, provider, began, following)
        back = _first(moved.recovered, provider, began if decided is None else decided, following)
        before = max((end for name, _, end in found[:position] if name == provider), default=-math.inf)
        known = [each for each in regular if each.ended >= before and each.began < until]
        during = [each.began - began for each in known if each.began >= began]
        of_edges = [
            [each for each in known if edge_of.get(each.call_id) == edge] for edge in range(seen.edges)
        ]
        if seen.scenario.blind:
            triggers = [trigger_at(own, began) for own in of_edges]
        else:
            triggers = [trigger_at(known, began) if decided else None] * seen.edges
        going_on = [_going_on(own, trigger, until) for own, trigger in zip(of_edges, triggers, strict=True)]
        yield Outage(
            provider=provider,
            began=began,
            ended=ended,
            failed_attempts=sum(1 for each in tried if each.error_class and began <= each.ended < following),
            detected_s=None if decided is None else decided - began,
            switched_s=max(during, default=None) if decided else None,
            recovered_s=None if back is None else max(0.0, back - ended),
            propagation_ms=tuple(each for each in going_on if each is not None),
        )


def windows(seen: Seen) -> list[tuple[str, float, float]]:
    """Provider, beginning and end of each time at which one was hurt."""
    end = max((each.ended for each in seen.asked), default=seen.began)
    if seen.scenario.broken:
        return [(seen.scenario.provider, seen.began, end)]
    found: list[tuple[str, float, float]] = []
    for position, done in enumerate(seen.done):
        if done.step.verb in HURTING:
            later = (
                each.at
                for each in seen.done[position:]
                if each.step.verb is UNDONE_BY[done.step.verb] and each.step.of == done.step.of
            )
            found.append((done.step.of, done.at, next(later, end)))
    return found


def trigger_at(attempts: Iterable[Tried], after: float) -> float | None:
    """When the attempts, in the order of their ends, fulfil the promised condition; None = not after ``after``."""
    state = FRESH
    for each in sorted(attempts, key=lambda tried: tried.ended):
        error = ErrorClass(each.error_class) if each.error_class else None
        if error is not None and not error.counts_against_provider:
            continue
        state = observed(state, CONDITION, error is None, each.ended, 0.5)
        if state.state is not GateState.CLOSED:
            if each.ended >= after:
                return each.ended
            state = FRESH
    return None


def _going_on(attempts: Iterable[Tried], trigger: float | None, until: float) -> float | None:
    """Milliseconds from the trigger to the beginning of the last of these attempts, at least 0; None without a trigger."""
    if trigger is None or trigger >= until:
        return None
    return max([0.0, *((each.began - trigger) * 1000 for each in attempts)])


def _first_return(heard: Sequence[Heard], provider: str, after: float) -> float:
    """When the edges were first told to send some of the traffic back, after they had been told to send none."""
    was_open = False
    for each in heard:
        if each.subject == GATES and each.at >= after:
            states = [
                gate["state"]
                for name, gate in each.body.get("gates", {}).items()
                if name.partition("/")[0] == provider
            ]
            if GateState.OPEN.value in states or GateState.HALF_OPEN.value in states:
                was_open = True
            elif was_open:
                return each.at
    return math.inf


def _first(moves: Sequence[tuple[str, float]], provider: str, after: float, before: float) -> float | None:
    return next((at for name, at in moves if name == provider and after <= at < before), None)
