"""What failover would have made of known outages: the fleet's gates and the router, run over them by a virtual clock.

The providers are taken for equivalents in an order of preference, requests for a steady flow. Health notices that a provider
is down ``detection_s`` after it failed and that it is back ``notice_s`` after it is; between those moments the live code
decides (``gates.advance``, ``routing.make_plan``), so what is counted are its decisions, not a model of them. A request
whose first target is down is carried by the next one of its plan, as the edge does.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

from fairlead_common.decisions.gate_records import (
    CallSeen,
    GateRecord,
    GateSettings,
    Observation,
    StatusSeen,
    Tick,
)
from fairlead_common.decisions.gates import advance
from fairlead_common.decisions.plan import FleetView, Gate, GateState, Plan, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable
from fairlead_common.decisions.targets import Candidate, Target
from fairlead_common.snapshots.failover import PolicySnapshot

MODEL = "any"

Span = tuple[float, float]
"""Beginning and end in seconds, the end not included."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How soon outages are noticed. Times in seconds."""

    detection_s: float = 1.0
    """From the beginning of an outage until health says down. A shorter outage is never noticed."""
    notice_s: float = 5.0
    """From the end of an outage until health says healthy."""
    tick_s: float = 0.25
    """How often a gate that recovers is looked at, and called."""
    gates: GateSettings = field(default_factory=GateSettings)


@dataclass(slots=True)
class Outcome:
    """Seconds of the period by what became of the requests; shares of a moment count as parts of it."""

    period_s: float
    down_s: dict[str, float]
    """Provider to the time it was down."""
    all_down: list[Span]
    """When nobody could have served."""
    served_s: float = 0.0
    """Some target of the plan was up."""
    rescued_s: float = 0.0
    """Served, though the first target of the plan was down."""
    wrong_s: float = 0.0
    """The first target of the plan was down while another provider was up."""
    away_s: float = 0.0
    """Served by a later provider while a preferred one was up."""
    switches: int = 0
    """How often the provider that gets most requests changed."""

    @property
    def ceiling(self) -> float:
        """Availability that a perfect failover would have reached, 0 to 1."""
        return 1 - sum(end - start for start, end in self.all_down) / self.period_s

    @property
    def availability(self) -> float:
        """With failover, 0 to 1."""
        return self.served_s / self.period_s

    @property
    def without_retries(self) -> float:
        """If no request had been carried on to the next target of its plan: the switches of the fleet alone."""
        return (self.served_s - self.rescued_s) / self.period_s

    def alone(self, provider: str) -> float:
        """Availability of one provider without failover, 0 to 1."""
        return 1 - self.down_s[provider] / self.period_s


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time in spans that neither overlap nor touch, in order; empty ones are left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def within(spans: Iterable[Span], period: Span) -> list[Span]:
    """The parts of ``spans`` inside ``period``."""
    return [
        (max(start, period[0]), min(end, period[1]))
        for start, end in spans
        if start < period[1] and end > period[0]
    ]


def common(all_spans: Sequence[Sequence[Span]]) -> list[Span]:
    """When all are inside a span at once. Each list must be ``merged``."""
    edges = sorted(
        (at, step) for spans in all_spans for span in spans for at, step in zip(span, (1, -1), strict=True)
    )
    found, depth, begun = [], 0, 0.0
    for at, step in edges:
        depth += step
        if depth == len(all_spans) and step == 1:
            begun = at
        elif depth == len(all_spans) - 1 and step == -1 and begun < at:
            found.append((begun, at))
    return found


def replay(
    incidents: Mapping[str, Sequence[Span]], period: Span, settings: ReplaySettings | None = None
) -> Outcome:
    """What failover would have made of ``incidents``.

    Args:
        incidents: providers in order of preference, each with the spans in which it was down, in any order.
        period: what is looked at; incidents count as far as they lie in it.
    """
    down = {name: merged(within(spans, period)) for name, spans in incidents.items()}
    down_s = {name: sum(end - start for start, end in spans) for name, spans in down.items()}
    outcome = Outcome(period[1] - period[0], down_s, common(list(down.values())))
    _Replay(down, period, settings or ReplaySettings(), outcome).run()
    return outcome


class _Replay:
    """Gates, plans and the truth, from one event to the next."""

    def __init__(
        self, down: Mapping[str, Sequence[Span]], period: Span, settings: ReplaySettings, outcome: Outcome
    ) -> None:
        self._settings = settings
        self._period = period
        self._outcome = outcome
        self._table = CompiledTable()
        names = tuple(down)
        self._policy = CompiledPolicy(
            PolicySnapshot(workspace_id=1, version=1, primary_provider=names[0], fallback_providers=names[1:])
        )
        self._candidates = tuple(Candidate(Target(name, MODEL), name == names[0]) for name in names)
        self._records = {name: GateRecord(name, status="healthy") for name in names}
        self._up = dict.fromkeys(names, True)
        self._ticking: set[str] = set()
        self._leader = names[0]
        self._order = count()
        self._queue: list[tuple[float, int, str, bool | Observation]] = []
        for name, spans in down.items():
            self._foresee(name, spans)

    def _foresee(self, name: str, spans: Sequence[Span]) -> None:
        """Put what happens to a provider, and when health notices, into the queue."""
        following = [*(start for start, _ in spans[1:]), float("inf")]
        for (start, end), next_start in zip(spans, following, strict=False):
            self._add(start, name, False)
            self._add(end, name, True)
            noticed, healthy = start + self._settings.detection_s, end + self._settings.notice_s
            if noticed < end:
                self._add(noticed, name, StatusSeen("down", "an outage", noticed))
            if healthy <= next_start:
                self._add(healthy, name, StatusSeen("healthy", "", healthy))

    def _add(self, at: float, name: str, what: bool | Observation) -> None:
        heapq.heappush(self._queue, (at, next(self._order), name, what))

    def run(self) -> None:
        """From the beginning of the period to its end."""
        now, end = self._period
        while self._queue and self._queue[0][0] < end:
            at, _, name, what = heapq.heappop(self._queue)
            self._count(now, at)
            now = max(now, at)
            if isinstance(what, bool):
                self._up[name] = what
            else:
                self._observe(name, what, now)
        self._count(now, end)

    def _observe(self, name: str, what: Observation, now: float) -> None:
        record = self._records[name]
        if isinstance(what, Tick):
            self._ticking.discard(name)
            if record.state in (GateState.RECOVERING, GateState.HALF_OPEN):
                record = advance(record, CallSeen(self._up[name]), now, self._settings.gates)
        record = advance(record, what, now, self._settings.gates)
        self._records[name] = record
        moves = record.state in (GateState.RECOVERING, GateState.HALF_OPEN) or record.retry_at is not None
        if moves and name not in self._ticking:
            self._ticking.add(name)
            self._add(now + self._settings.tick_s, name, Tick())

    def _count(self, start: float, end: float) -> None:
        """The decisions between two events are the same for all requests with the same draw."""
        if end <= start:
            return
        for low, high, plan in self._plans(start):
            self._decided([step.target.provider for step in plan.steps], (high - low) * (end - start))
            if low <= 0.5 < high and plan.steps[0].target.provider != self._leader:
                self._leader = plan.steps[0].target.provider
                self._outcome.switches += 1

    def _plans(self, now: float) -> Iterable[tuple[float, float, Plan]]:
        """(from, to, plan) for all draws between 0 and 1."""
        gates = {
            name: Gate(each.state, each.share, each.retry_at)
            for name, each in self._records.items()
            if each.state is not GateState.CLOSED
        }
        status = {name: each.status for name, each in self._records.items()}
        view = FleetView(status=status, fleet_gates=gates)
        bounds = sorted({0.0, 1.0, *(gate.share for gate in gates.values())})
        for low, high in pairwise(bounds):
            request = RouteRequest(MODEL)
            plan = make_plan(self._table, self._policy, request, lambda _: self._candidates, view, now, low)
            if isinstance(plan, Plan):
                yield low, high, plan

    def _decided(self, order: Sequence[str], weight_s: float) -> None:
        up = [name for name in self._up if self._up[name]]
        served_by = next((name for name in order if self._up[name]), None)
        outcome = self._outcome
        if not self._up[order[0]] and up:
            outcome.wrong_s += weight_s
        if served_by is None:
            return
        outcome.served_s += weight_s
        if served_by != order[0]:
            outcome.rescued_s += weight_s
        if served_by != up[0]:
            outcome.away_s += weight_s
