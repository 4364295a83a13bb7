"""The catalog as each workspace has it: what it declares itself wins over what the operator declares for all.

The ``catalog`` bucket has the catalog of all under ``models``, and under ``workspace.<id>`` the entries that differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from fairlead_common.decisions.targets import Target
from fairlead_common.snapshots.follower import SnapshotFollower

from fairlead_models.catalog.catalog import Catalog, entries_of
from fairlead_models.catalog.entries import Entry

ALL: Final = "models"
OWN: Final = "workspace."


class Catalogs:
    """Immutable to those who ask. The catalog of a workspace is made when it is first asked for, and remembered.

    Args:
        shared: the catalog of workspaces that declare nothing.
        own: workspace to the entries that it has otherwise.
    """

    def __init__(self, shared: Catalog, own: Mapping[int, Sequence[Entry]]) -> None:
        self.shared = shared
        self._own = own
        self._made: dict[int, Catalog] = {}

    def of(self, workspace_id: int) -> Catalog:
        """The catalog of a workspace."""
        own = self._own.get(workspace_id)
        if own is None:
            return self.shared
        found = self._made.get(workspace_id)
        if found is None:
            found = self._made[workspace_id] = self.shared.with_own(own)
        return found

    def corrected(self, token_ratios: Mapping[Target, float]) -> "Catalogs":
        """The same catalogs with other ratios."""
        found = Catalogs(self.shared.corrected(token_ratios), self._own)
        found._made = {key: each.corrected(token_ratios) for key, each in self._made.items()}
        return found


class CatalogNow:
    """The catalogs that the edge publishes; until it has, what is built in. Call it for the catalog of all.

    Args:
        entries: what is built in.
        providers: names of the providers that can be called.
    """

    def __init__(self, entries: Sequence[Entry], providers: Iterable[str]) -> None:
        self._entries = entries
        self._providers = frozenset(providers)
        self._catalogs = Catalogs(Catalog(entries, self._providers), {})
        self.follower = SnapshotFollower("catalog", read_entries, on_change=self._changed)

    def __call__(self) -> Catalog:
        return self._catalogs.shared

    def of(self, workspace_id: int) -> Catalog:
        """The catalog of a workspace."""
        return self._catalogs.of(workspace_id)

    def _changed(self, key: str) -> None:
        shared = self._catalogs.shared
        if key == ALL:
            shared = Catalog(self.follower.get(ALL, self._entries), self._providers)
        self._catalogs = Catalogs(shared, own_entries(self.follower))


def read_entries(data: bytes) -> list[Entry]:
    """Entries of a value of the bucket. Raises ValueError, KeyError: it is none."""
    return entries_of(orjson.loads(data))


def own_entries(values: Mapping[str, list[Entry]]) -> dict[int, list[Entry]]:
    """Workspace to its own entries, from all values of the bucket."""
    return {int(key.removeprefix(OWN)): entries for key, entries in values.items() if key.startswith(OWN)}


def own_snapshot(entries: Iterable[Entry]) -> dict[str, Any]:
    """JSON-able form of a workspace's own entries."""
    return {"models": [entry.model_dump(mode="json", exclude_defaults=True) for entry in entries]}
