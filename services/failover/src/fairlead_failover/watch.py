"""The policies' own gates: what a workspace's triggers have moved, from what is heard of every call.

Knows neither a clock nor the bus, so the live controller and the dry run use the same one.
"""

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fairlead_common.decisions.breaker import BreakerSettings
from fairlead_common.decisions.gate_records import (
    CallSeen,
    Cause,
    GateRecord,
    GateSettings,
    Switch,
    Tick,
    Triggered,
)
from fairlead_common.decisions.gates import advance, closed, set_right, switch_of
from fairlead_common.decisions.plan import GateState
from fairlead_common.decisions.targets import Target
from fairlead_common.decisions.triggers import Facts, Outcome, acceptable, facts, tripped
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot

KEPT: Final = 1000
"""Outcomes of one target that are remembered at most: a busier target is judged by its last ones, and that is said."""
MAX_TARGETS: Final = 2048
NOTHING: Final = facts(())
BY_STATUS: Final = (Cause.STATUS_DOWN, Cause.STATUS_DEGRADED)


class Guarded(NamedTuple):
    """A target as one rule of one workspace sees it."""

    workspace_id: int
    rule: str
    target: Target

    @property
    def key(self) -> str:
        """As the table of gates names it."""
        return f"@{self.workspace_id}/{self.rule}@{self.target}"

    @classmethod
    def of(cls, key: str) -> "Guarded | None":
        """From such a key; None for the gates of providers and models."""
        if not key.startswith("@"):
            return None
        policy, _, target = key[1:].partition("@")
        workspace_id, _, rule = policy.partition("/")
        provider, _, model = target.partition("/")
        return cls(int(workspace_id), rule, Target(provider, model))


@dataclass(frozen=True, slots=True)
class PolicyMoved:
    """A policy's gate has changed. ``switch`` = what its workspace must be told."""

    guarded: Guarded
    record: GateRecord
    switch: Switch | None
    evidence: str = ""
    samples: int = 0


@dataclass
class PolicyWatch:
    """Outcomes of late, and the gates that the triggers have moved."""

    policies: dict[int, PolicySnapshot] = field(default_factory=dict)
    records: dict[Guarded, GateRecord] = field(default_factory=dict)
    _outcomes: dict[Target, deque[Outcome]] = field(default_factory=dict)

    def remember(self, target: Target, outcome: Outcome) -> None:
        """A call has ended, and somebody else decides."""
        if target not in self._outcomes and len(self._outcomes) >= MAX_TARGETS:
            del self._outcomes[min(self._outcomes, key=lambda each: self._outcomes[each][-1].at)]
        self._outcomes.setdefault(target, deque(maxlen=KEPT)).append(outcome)

    def hear(self, target: Target, outcome: Outcome, now: float) -> list[PolicyMoved]:
        """A call has ended; it moves only gates that recover, ``judge`` the others."""
        self.remember(target, outcome)
        moved = []
        for workspace_id, rule in self._rules():
            guarded = Guarded(workspace_id, rule.name, target)
            record = self.records.get(guarded)
            if record is not None and record.state is GateState.RECOVERING:
                seen = CallSeen(acceptable(rule.triggers, outcome), outcome.at)
                moved += self._take(guarded, advance(record, seen, now, settings_of(rule)))
        return moved

    def judge(
        self, status: Mapping[str, str], now: float, targets: Collection[Target] | None = None
    ) -> list[PolicyMoved]:
        """What the triggers say at ``now`` of ``targets`` (None = of all), and what time itself moves."""
        moved = self._without_rule(now) if targets is None else []
        for target in self._all_targets() if targets is None else targets:
            known: dict[float, Facts] = {}
            for workspace_id, rule in self._rules():
                moved += self._judge(Guarded(workspace_id, rule.name, target), rule, status, now, known)
        return moved

    def _all_targets(self) -> Collection[Target]:
        """Those that were called lately, and those that a gate keeps from being called."""
        away = (each.target for each, record in self.records.items() if record.state is not GateState.CLOSED)
        return dict.fromkeys((*self._outcomes, *away))

    def _judge(
        self,
        guarded: Guarded,
        rule: PolicyRule,
        status: Mapping[str, str],
        now: float,
        known: dict[float, Facts],
    ) -> list[PolicyMoved]:
        """``known``: the facts by the time after which they count, shared by all rules of this target."""
        record = set_right(self.records.get(guarded) or GateRecord(guarded.key), now)
        if guarded in self.records:
            self.records[guarded] = record
        says = status.get(guarded.target.provider, "unknown")
        if record.state is GateState.OPEN and record.cause in BY_STATUS and says in rule.triggers.status:
            return []  # it is as bad as it was: the hold ends once it is not
        if record.state is not GateState.CLOSED:
            return self._take(guarded, advance(record, Tick(), now, settings_of(rule)))
        begin = max(now - rule.triggers.window_s, math.nextafter(record.since, 0.0))
        if begin not in known:
            known[begin] = self._facts(guarded.target, begin)
        found = tripped(rule.triggers, known[begin], says)
        if found is None:
            return []
        after = advance(record, Triggered(found.cause, found.evidence), now, settings_of(rule))
        return self._take(guarded, after, found.evidence, found.samples)

    def _facts(self, target: Target, begin: float) -> Facts:
        outcomes = self._outcomes.get(target)
        if not outcomes or outcomes[-1].at <= begin:
            return NOTHING
        cut = len(outcomes) == KEPT and outcomes[0].at > begin
        return facts((each for each in outcomes if each.at > begin), cut=cut)

    def _rules(self) -> Iterator[tuple[int, PolicyRule]]:
        for workspace_id, policy in self.policies.items():
            for rule in policy.rules:
                if policy.enabled and rule.enabled:
                    yield workspace_id, rule

    def _without_rule(self, now: float) -> list[PolicyMoved]:
        """Gates of rules that are gone or switched off close."""
        rules = {(workspace_id, rule.name) for workspace_id, rule in self._rules()}
        gone = [
            (guarded, record)
            for guarded, record in self.records.items()
            if (guarded.workspace_id, guarded.rule) not in rules and record.state is not GateState.CLOSED
        ]
        moved = []
        for guarded, record in gone:
            moved += self._take(guarded, closed(record, "its rule is gone", now))
        return moved

    def _take(
        self, guarded: Guarded, after: GateRecord, evidence: str = "", samples: int = 0
    ) -> list[PolicyMoved]:
        before = self.records.get(guarded) or GateRecord(guarded.key)
        self.records[guarded] = after
        if after.sequence == before.sequence:
            return []
        return [PolicyMoved(guarded, after, switch_of(before, after), evidence, samples)]


def settings_of(rule: PolicyRule) -> GateSettings:
    """The recovery of a rule as the gates' state machine takes it."""
    recovery = rule.recovery
    breaker = BreakerSettings(backoff_s=recovery.hold_s, backoff_max_s=recovery.max_hold_s, jitter_share=0.0)
    return GateSettings(
        steps=recovery.steps,
        step_s=recovery.step_s,
        trials=False,
        breaker=breaker,
        forget_s=max(60.0, 2 * recovery.hold_s),
    )


def gates_by_policy(records: Iterable[tuple[Guarded, GateRecord]]) -> dict[str, dict[str, GateRecord]]:
    """``<workspace id>/<rule>`` to target to its gate, of those that ever moved."""
    found: dict[str, dict[str, GateRecord]] = {}
    for guarded, record in records:
        if record.sequence:
            found.setdefault(f"{guarded.workspace_id}/{guarded.rule}", {})[str(guarded.target)] = record
    return found
