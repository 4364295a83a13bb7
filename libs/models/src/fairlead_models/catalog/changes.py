"""What differs between two states of the catalog, model by model and field by field."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from fairlead_common.decisions.targets import Target

from fairlead_models.catalog.entries import Entry


class ModelChange(NamedTuple):
    """What became of one model. ``fields``: name (``pricing.input_usd_per_mtok``) to (value before, value now)."""

    target: Target
    change: Literal["added", "removed", "changed"]
    fields: Mapping[str, tuple[Any, Any]]


def changes(before: Mapping[Target, Entry], now: Mapping[Target, Entry]) -> list[ModelChange]:
    """Models that came, went, or are described otherwise, in order of their names."""
    found = []
    for target in sorted(before.keys() | now.keys()):
        old, new = before.get(target), now.get(target)
        if old is None:
            found.append(ModelChange(target, "added", {}))
        elif new is None:
            found.append(ModelChange(target, "removed", {}))
        elif fields := _fields(old, new):
            found.append(ModelChange(target, "changed", fields))
    return found


def _fields(old: Entry, new: Entry) -> dict[str, tuple[Any, Any]]:
    before, now = _flat(old), _flat(new)
    return {name: (before[name], now[name]) for name in before if before[name] != now[name]}


def _flat(entry: Entry) -> dict[str, Any]:
    rows = entry.model_dump(mode="json", exclude={"sources"})
    prices = rows.pop("pricing")
    return rows | {f"pricing.{name}": value for name, value in prices.items()}
