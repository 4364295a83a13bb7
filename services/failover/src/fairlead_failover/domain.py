"""The gates of the fleet together: whose gate an observation moves, and what the workspaces must be told of it.

A gate speaks for a provider (key ``provider``) or for one of its models (``provider/model``). Calls judge models; several
models that fail at once, and health, judge the provider. While a provider's gate is not closed it speaks for its models too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fairlead_common.decisions.gate_records import (
    FAILURES,
    CallSeen,
    Cause,
    GateRecord,
    GateSettings,
    HoldKind,
    ModelsFailing,
    Observation,
    Switch,
)
from fairlead_common.decisions.gates import absorbed, advance, switch_of
from fairlead_common.decisions.plan import GateState
from fairlead_common.decisions.targets import Target

OUT: Final = (GateState.OPEN, GateState.HALF_OPEN)
MAX_GATES: Final = 4096
"""Callers may name any model; beyond that many gates, those that never moved are forgotten."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A gate after an observation. ``switch`` = what the workspaces must be told."""

    record: GateRecord
    changed: bool
    switch: Switch | None = None


def observe(
    records: Mapping[str, GateRecord], key: str, observation: Observation, now: float, settings: GateSettings
) -> list[Moved]:
    """All gates that ``observation`` of the gate ``key`` touches, in the order in which they move."""
    before = records.get(key) or GateRecord(key)
    after = advance(before, observation, now, settings)
    if after.sequence == before.sequence:
        return [Moved(after, changed=False)]
    provider, _, model = key.partition("/")
    if model:
        moved = [Moved(after, changed=True, switch=switch_of(before, after))]
        failing = failing_models({**records, key: after}, provider, now, settings)
        if failing and after.state is GateState.OPEN:
            moved += observe({**records, key: after}, provider, ModelsFailing(failing), now, settings)
        return moved
    if after.state is GateState.OPEN and before.state not in OUT:
        return _opened(records, before, after, now, settings)
    return [Moved(after, changed=True, switch=switch_of(before, after))]


def observe_call(
    records: Mapping[str, GateRecord], target: Target, seen: CallSeen, now: float, settings: GateSettings
) -> list[Moved]:
    """A call says something of its model, unless the provider is out; then, and while that recovers, of the provider.

    Nothing moves while an operator has pinned the provider: its traffic stays, whatever becomes of it.
    """
    provider = records.get(target.provider) or GateRecord(target.provider)
    if provider.hold is not None and provider.hold.kind is HoldKind.PIN:
        return []
    if provider.state in OUT:
        return [] if seen.limit else observe(records, target.provider, seen, now, settings)
    moved = observe(records, str(target), seen, now, settings)
    if provider.state is GateState.RECOVERING and seen.limit is None:
        later = {**records, **{each.record.key: each.record for each in moved}}
        moved += observe(later, target.provider, seen, now, settings)
    return moved


def failing_models(
    records: Mapping[str, GateRecord], provider: str, now: float, settings: GateSettings
) -> tuple[str, ...]:
    """Models whose gates calls have opened, when these are several, and most of those that were called lately."""
    models = list(models_of(records, provider))
    failing = [each for each in models if each.state in OUT and each.cause in FAILURES]
    well = [each for each in models if each not in failing and now - each.called_at <= settings.old_s]
    return tuple(each.key for each in failing) if len(failing) > max(1, len(well)) else ()


def models_of(records: Mapping[str, GateRecord], provider: str) -> Iterable[GateRecord]:
    """The gates of a provider's models."""
    return (each for key, each in records.items() if key.startswith(f"{provider}/"))


def without_idle(
    records: Mapping[str, GateRecord], now: float, settings: GateSettings
) -> dict[str, GateRecord]:
    """The gates without those of models that never moved and were not called lately."""
    return {
        key: each
        for key, each in records.items()
        if each.sequence or "/" not in key or now - each.called_at <= settings.old_s
    }


def _opened(
    records: Mapping[str, GateRecord],
    before: GateRecord,
    after: GateRecord,
    now: float,
    settings: GateSettings,
) -> list[Moved]:
    """A provider's gate opens and takes its models' gates over.

    When the outage was seen at its models first, the workspaces know already.
    """
    taken = [(each, absorbed(each, now)) for each in models_of(records, after.key)]
    closed = [old for old, new in taken if new.sequence != old.sequence]
    known = [each for each in closed if now - (each.opened_at or 0.0) <= settings.old_s]
    begun = after.failing_since
    if after.cause is Cause.MODELS_FAILING:
        begun = min((each.failing_since for each in closed if each.failing_since), default=begun)
    models = dict.fromkeys((*before.models, *(each.key for each in closed)))
    after = replace(after, models=tuple(models), failing_since=begun)
    switch = None if known else switch_of(before, after)
    return [
        Moved(after, changed=True, switch=switch),
        *(Moved(new, changed=new.sequence != old.sequence) for old, new in taken),
    ]
