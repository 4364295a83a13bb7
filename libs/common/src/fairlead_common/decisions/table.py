"""The compiled route table of a workspace: which rule decides, and what is known of its candidates beforehand.

A table is immutable as far as anybody can see. Behind that it remembers, per rule and name, what depends only on the
catalog and on the snapshots (not on the request), for as long as those are the same objects: a decision then costs
microseconds. The same (table, view, request, time, draw) always gives the same plan.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import is_
from typing import Any, Final, NamedTuple

from fairlead_common.decisions import scores
from fairlead_common.decisions.clusters import Prediction
from fairlead_common.decisions.conditions import ConditionError, Conditions, compile_conditions
from fairlead_common.decisions.expressions import FirstMatch
from fairlead_common.decisions.facts import MAKERS, Maker
from fairlead_common.decisions.plan import FleetView, RouteRequest
from fairlead_common.decisions.strategies import NO_CONDITIONS, SCORES, Score, bases, needs_quality
from fairlead_common.decisions.targets import Candidate, Entrant, Measured
from fairlead_common.snapshots.routes import RoutesSnapshot

Resolve = Callable[[str], Sequence[Candidate]]
"""Candidates of a name: the named ones in order of preference, then stand-ins. Raises LookupError for an unknown name."""

FROM_VIEW: Final = frozenset(("health", "p95_ms", "p50_ms", "ttft_ms", "error_rate", "quality", "price"))
"""Facts that only snapshots change."""
MAX_LINEUPS: Final = 4096
FRUGAL: Final = "cheapest"
"""The strategy of a workspace whose budget is spent and that wants to go on."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, ready to be matched."""

    name: str | None
    strategy: str
    conditions: Conditions
    plain: Conditions = NO_CONDITIONS
    """Only the weights: how stand-ins are ordered."""
    version: int = 0
    """Of the table in which it came to be as it is."""


DEFAULT_RULE: Final = CompiledRule(None, "balanced", Conditions())


@dataclass(slots=True)
class Lineup:
    """The candidates of one rule for one name. ``known`` is what it was made of, to see whether it still holds."""

    entrants: tuple[Entrant, ...]
    known: tuple[object, ...]
    stand_ins: tuple[Entrant, ...]
    standing: Any = None
    """What ``make_plan`` remembers of who is fit and well for an ordinary request."""


@dataclass(frozen=True)
class CompiledTable:
    """The rules of a workspace, in the order in which they are looked at."""

    version: int = 0
    rules: tuple[CompiledRule, ...] = ()
    plugins: Mapping[str, Score] = field(default_factory=dict)
    _match: FirstMatch = field(default_factory=lambda: FirstMatch(()), compare=False, repr=False)
    _lineups: dict[tuple[int, str, str, str, int | None], Lineup] = field(
        default_factory=dict, compare=False, repr=False
    )
    _facts: dict[tuple[object, ...], tuple[tuple[object, ...], Any]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def facts(self) -> frozenset[str]:
        """Names of the vocabulary that its conditions use."""
        return self._match.facts

    @cached_property
    def _asked(self) -> tuple[tuple[str, Maker], ...]:
        """Facts that may be different for every request."""
        return tuple((name, MAKERS[name]) for name in self.facts - FROM_VIEW)

    @cached_property
    def _seen(self) -> tuple[str, ...]:
        return tuple(self.facts & FROM_VIEW)

    def sticky(self, kind: str) -> bool:
        """Whether any rule keeps to one target by ``kind``."""
        return any(rule.conditions.sticky == kind for rule in self.rules)

    def rule_for(self, request: RouteRequest, view: FleetView, now: float) -> tuple[int, CompiledRule]:
        """(position or -1, the first rule that applies or the default one); with the budget spent, by cost alone."""
        position = self._match.first(self._facts_of(request, view, now)) if self.rules else None
        found = (-1, DEFAULT_RULE) if position is None else (position, self.rules[position])
        if view.budget is None or not view.budget.spent:
            return found
        return found[0], replace(found[1], strategy=FRUGAL)

    def _facts_of(self, request: RouteRequest, view: FleetView, now: float) -> dict[str, Any]:
        found = {name: make(request, view, now) for name, make in self._asked}
        sources = (view.status, view.measured, view.prices, view.quality, view.qualities)
        for name in self._seen:
            key: tuple[object, ...] = (name,)
            if name == "quality":
                learned = request.prediction
                key = (name, request.task, learned and (learned.table.version, learned.cluster))
            known = self._facts.get(key)
            if known is None or not _same(known[0], sources):
                known = self._facts[key] = (sources, MAKERS[name](request, view, now))
            found[name] = known[1]
        return found

    def lineup(
        self, position: int, rule: CompiledRule, request: RouteRequest, resolve: Resolve, view: FleetView
    ) -> Lineup:
        """The candidates of ``rule`` for the requested name. Raises LookupError when the name means nothing."""
        candidates = _candidates(rule.conditions, request.requested_model, resolve)
        task = request.task if view.quality.scores else ""
        learned = _asked(request.prediction, rule, candidates)
        cluster = None if learned is None else learned.cluster
        key = (position, rule.strategy, request.requested_model, task, cluster)
        known = (
            *(found for _, found in candidates),
            view.measured,
            view.quality,
            None if learned is None else learned.table,
        )
        lineup = self._lineups.get(key)
        if lineup is not None and _same(lineup.known, known):
            return lineup
        lineup = _lineup(candidates, known, Expected(view, rule, task, learned))
        if len(self._lineups) >= MAX_LINEUPS:
            self._lineups.clear()
        self._lineups[key] = lineup
        return lineup


def _same(known: tuple[object, ...], now: tuple[object, ...]) -> bool:
    """The very same objects."""
    return len(known) == len(now) and all(map(is_, known, now))


def compile_table(snapshot: RoutesSnapshot, plugins: Mapping[str, Score] | None = None) -> CompiledTable:
    """Check and order the rules.

    Raises:
        ConditionError: a rule's conditions or strategy cannot be used; names the rule.
    """
    ordered = sorted(snapshot.rules, key=lambda rule: (rule.priority, rule.rule_id))
    found = []
    for rule in ordered:
        if rule.strategy not in SCORES and rule.strategy not in (plugins or {}):
            known = ", ".join((*SCORES, *(plugins or {})))
            raise ConditionError(
                f"rule '{rule.name}': there is no strategy '{rule.strategy}'; there are {known}"
            )
        try:
            conditions = compile_conditions(rule.conditions)
            plain = Conditions(weights=conditions.weights)
            found.append(CompiledRule(rule.name, rule.strategy, conditions, plain, rule.version))
        except ConditionError as error:
            raise ConditionError(f"rule '{rule.name}': {error}") from error
    match = FirstMatch([rule.conditions.applies for rule in found])
    return CompiledTable(snapshot.version, tuple(found), plugins or {}, match)


def _candidates(
    conditions: Conditions, requested: str, resolve: Resolve
) -> list[tuple[float, Sequence[Candidate]]]:
    """(weight, candidates) of each name the rule sends to; without targets, of the requested name."""
    if not conditions.targets:
        return [(1.0, resolve(requested))]
    found: list[tuple[float, Sequence[Candidate]]] = []
    for share in conditions.targets:
        try:
            found.append((share.weight, resolve(share.name)))
        except LookupError:
            continue  # a provider that is no longer configured takes no traffic; the others do
    return found or [(1.0, resolve(requested))]


def _asked(
    prediction: Prediction | None, rule: CompiledRule, candidates: list[tuple[float, Sequence[Candidate]]]
) -> Prediction | None:
    """The prediction, where the quality of several candidates can matter: looking at a prompt costs time."""
    if prediction is None or not needs_quality(rule.strategy, rule.conditions):
        return None
    if (
        rule.conditions.min_quality is None
        and sum(each.named for _, found in candidates for each in found) < 2
    ):
        return None
    return prediction


def _lineup(
    candidates: list[tuple[float, Sequence[Candidate]]], known: tuple[object, ...], expected: "Expected"
) -> Lineup:
    named: dict[object, Entrant] = {}
    others: dict[object, Entrant] = {}
    for weight, found in candidates:
        chosen = [each for each in found if each.named]
        for candidate in chosen:
            if candidate.target not in named:
                named[candidate.target] = expected.entrant(candidate, len(named), weight / len(chosen))
        for candidate in found:
            if not candidate.named and candidate.target not in others:
                others[candidate.target] = expected.entrant(candidate, len(others), 1.0)
    stand_ins = tuple(entrant for target, entrant in others.items() if target not in named)
    return Lineup(tuple(named.values()), known, stand_ins)


class Expected(NamedTuple):
    """What is expected of a rule's candidates, by what is known of them."""

    view: FleetView
    rule: CompiledRule
    task: str
    learned: Prediction | None
    """None = it does not count here."""

    def entrant(self, candidate: Candidate, place: int, weight: float) -> Entrant:
        """The candidate with all of it."""
        measured = self.view.measured.get(candidate.target, scores.UNMEASURED)
        latency, first = scores.latency_ms(measured), scores.ttft_ms(measured)
        quality, source = self._quality(candidate, measured)
        entrant = Entrant(
            candidate=candidate,
            place=place,
            weight=weight,
            latency_ms=latency,
            ttft_ms=first,
            quality=quality,
            reliability=scores.reliability(measured),
            latency_score=scores.on_scale(latency, scores.LATENCY_BOUNDS_MS),
            ttft_score=scores.on_scale(first, scores.TTFT_BOUNDS_MS),
            calls=measured.calls,
            quality_source=source,
        )
        whole, stream = bases(self.rule.strategy, self.rule.conditions, entrant)
        return replace(entrant, base_whole=whole, base_stream=stream)

    def _quality(self, candidate: Candidate, measured: Measured) -> tuple[float | None, str | None]:
        """(expected quality, what it rests on most directly)."""
        target, prior = candidate.target, scores.quality(candidate, measured)
        found = self.view.quality.of(target, self.task, prior)
        if self.learned is not None and self.learned.knows(target):
            return self.learned.expected(target, found), "predictor"
        if found is None:
            return None, None
        if target in self.view.quality.scores:
            return found, "scores"
        return found, "catalog" if measured.quality is None else "measured"
