"""From what was seen to figures. Pure.

The sources are seen from outside: the callers' own record of each request, what the bus said, what Postgres holds. The
counters of a process that is killed would die with it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fairlead.drills.bus import Heard
from fairlead.drills.deaths import Deaths
from fairlead.drills.moves import moves
from fairlead.drills.outages import Outage, Seen, outages
from fairlead.drills.requests import Asked, Ending
from fairlead.drills.rescues import by_call, extra_cost, extra_ms

BAD = frozenset({Ending.FAILED, Ending.LOST, Ending.REFUSED, Ending.LATE, Ending.SILENT})


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


def _sent_again(asked: Asked) -> str:
    return (
        f", sent again after edge {' and '.join(str(cut.edge + 1) for cut in asked.cuts)}"
        if asked.cuts
        else ""
    )


def _alerts(heard: Sequence[Heard]) -> Iterable[str]:
    for each in heard:
        if each.subject.startswith("alerts."):
            yield f"{each.subject} {each.body['status']}"


def _statuses(heard: Sequence[Heard]) -> Iterable[str]:
    for each in heard:
        if each.subject.startswith("provider.status.") and each.body["changed"]:
            yield f"{each.body['state']['provider']} {each.body['state']['status']}"
