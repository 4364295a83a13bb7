"""From what was seen to figures. Pure.

The sources are seen from outside: the callers' own record of each request, what the bus said, what Postgres holds. The
counters of a process that is killed would die with it.

The *trigger* of a switch is the moment at which everything that all edges have seen of a provider fulfils the promised
condition (five failures in a row, or a share of successes below 80 % of at least 5 calls over 30 s), had it been known
everywhere at once. How long each edge goes on sending after that moment is the fleet's propagation.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, observed
from fairlead_common.decisions.plan import GateState
from fairlead_common.outcomes import ErrorClass

from fairlead.drills.bus import GATES, Heard
from fairlead.drills.deaths import Deaths
from fairlead.drills.injection import Done
from fairlead.drills.ledger import Ledger, Tried
from fairlead.drills.moves import moves
from fairlead.drills.requests import Asked, Ending
from fairlead.drills.rescues import by_call, extra_cost, extra_ms
from fairlead.drills.scenario import HURTING, UNDONE_BY, Scenario

CONDITION = BreakerSettings()
SHUT = frozenset({GateState.OPEN.value, GateState.HALF_OPEN.value})
BAD = frozenset({Ending.FAILED, Ending.LOST, Ending.REFUSED, Ending.LATE, Ending.SILENT})
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
    """Per edge: from the trigger to the beginning of its last regular attempt there; empty = no trigger,
    or a blind scenario."""


@dataclass(frozen=True)
class Measures:
    """The figures of a drill. Milliseconds and seconds as named; None = nothing to measure."""

    requests: int
    endings: dict[str, int]
    in_flight_lost: int
    """Streams that had begun on an edge when it was killed: their connection broke."""
    resent: dict[str, int]
    """How those ended that were sent again because the edge they were on was killed before it had answered."""
    silent: int
    errors: int
    """Requests that ended neither completely nor with the error event of a stream that had begun, or whose connection
    broke although nobody had killed their edge."""
    told: int
    examples: tuple[str, ...]
    """Of errors, in words."""
    lost: tuple[str, ...]
    """Calls that are not in Postgres."""
    doubled: int
    settled_s: float
    outages: tuple[Outage, ...]
    switches: dict[str, int]
    """Provider to the number of times its traffic was moved away."""
    recoveries: dict[str, int]
    rescued: int
    rescued_extra_ms: tuple[float, ...] = field(repr=False)
    """Per rescued request: its time as its caller saw it, less the time of its attempts."""
    usual_extra_ms: tuple[float, ...] = field(repr=False)
    """The same for requests that went well at once."""
    extra_cost_usd: float | None
    latency_ms: tuple[float, ...] = field(repr=False)
    alerts: tuple[str, ...]
    statuses: tuple[str, ...]


def measure(seen: Seen) -> Measures:
    """All figures."""
    deaths = Deaths.of(seen.done)
    in_flight = [each for each in seen.asked if deaths.broke(each)]
    errors = [
        each
        for each in seen.asked
        if not deaths.explain_cuts(each) or (each.ending in BAD and not deaths.broke(each))
    ]
    endings = Counter(each.ending for each in seen.asked)
    attempts = by_call(seen.ledger.attempts)
    moved = moves(seen.heard)
    rescued, usual = extra_ms(seen.asked, attempts)
    return Measures(
        requests=len(seen.asked),
        endings={ending.value: endings[ending] for ending in Ending if endings[ending]},
        in_flight_lost=len(in_flight),
        resent=dict(Counter(each.ending.value for each in seen.asked if each.cuts)),
        silent=endings[Ending.SILENT],
        errors=len(errors),
        told=endings[Ending.TOLD],
        examples=tuple(
            f"#{each.number}: {each.ending} {each.status}{_sent_again(each)} {each.detail}".strip()
            for each in errors[:5]
        ),
        lost=tuple(seen.ledger.lost),
        doubled=seen.ledger.doubled,
        settled_s=seen.ledger.settled_s,
        outages=tuple(outages(seen)),
        switches=dict(Counter(provider for provider, _ in moved.switched)),
        recoveries=dict(Counter(provider for provider, _ in moved.recovered)),
        rescued=len(rescued),
        rescued_extra_ms=tuple(rescued),
        usual_extra_ms=tuple(usual),
        extra_cost_usd=extra_cost(seen.ledger.attempts, seen.scenario.provider),
        latency_ms=tuple(each.total_ms for each in seen.asked if each.ending is Ending.ANSWERED),
        alerts=tuple(_alerts(seen.heard)),
        statuses=tuple(_statuses(seen.heard)),
    )


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least ``share`` (0 to 1) of all do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


# what was done


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


def _sent_again(asked: Asked) -> str:
    return (
        f", sent again after edge {' and '.join(str(cut.edge + 1) for cut in asked.cuts)}"
        if asked.cuts
        else ""
    )


# what became of it


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
        during = [each for each in regular if began <= each.began < until]
        decided = _first(moved.switched, provider, began, following)
        back = _first(moved.recovered, provider, began, following)
        trigger = trigger_at([each for each in regular if each.ended >= began])
        told = decided is not None and not seen.scenario.blind
        yield Outage(
            provider=provider,
            began=began,
            ended=ended,
            failed_attempts=sum(1 for each in tried if each.error_class and began <= each.ended < following),
            detected_s=None if decided is None else decided - began,
            switched_s=max((each.began - began for each in during), default=None) if decided else None,
            recovered_s=None if back is None else max(0.0, back - ended),
            propagation_ms=_propagation(during, edge_of, seen.edges, trigger, until) if told else (),
        )


def trigger_at(attempts: Iterable[Tried]) -> float | None:
    """When the attempts, in the order of their ends, fulfil the promised condition; None = they never do."""
    state = FRESH
    for each in sorted(attempts, key=lambda tried: tried.ended):
        error = ErrorClass(each.error_class) if each.error_class else None
        if error is not None and not error.counts_against_provider:
            continue
        state = observed(state, CONDITION, error is None, each.ended, 0.5)
        if state.state is not GateState.CLOSED:
            return each.ended
    return None


def _propagation(
    during: Sequence[Tried],
    edge_of: Mapping[str, int],
    edges: int,
    trigger: float | None,
    until: float,
) -> tuple[float, ...]:
    if trigger is None or trigger >= until:
        return ()
    last = [0.0] * edges
    for each in during:
        edge = edge_of.get(each.call_id)
        if edge is not None:
            last[edge] = max(last[edge], (each.began - trigger) * 1000)
    return tuple(last)


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


# what was said


def _first(moves: Sequence[tuple[str, float]], provider: str, after: float, before: float) -> float | None:
    return next((at for name, at in moves if name == provider and after <= at < before), None)


def _alerts(heard: Sequence[Heard]) -> Iterable[str]:
    for each in heard:
        if each.subject.startswith("alerts."):
            yield f"{each.subject} {each.body['status']}"


def _statuses(heard: Sequence[Heard]) -> Iterable[str]:
    for each in heard:
        if each.subject.startswith("provider.status.") and each.body["changed"]:
            yield f"{each.body['state']['provider']} {each.body['state']['status']}"
