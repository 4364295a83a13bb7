"""The catalog as the edge publishes it, operators' changes included; until it has, the built-in one."""

from collections.abc import Sequence

import orjson
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_models.catalog.catalog import Catalog, entries_of
from fairlead_models.catalog.entries import Entry


class CatalogNow:
    """Call it for the catalog of now."""

    def __init__(self, entries: Sequence[Entry], providers: frozenset[str]) -> None:
        self._entries = entries
        self._providers = providers
        self._catalog = Catalog(entries, providers)
        self.follower = SnapshotFollower("catalog", _entries, on_change=self._changed)

    def __call__(self) -> Catalog:
        return self._catalog

    def _changed(self, key: str) -> None:
        self._catalog = Catalog(self.follower.get("models", self._entries), self._providers)


def _entries(data: bytes) -> Sequence[Entry]:
    return entries_of(orjson.loads(data))
