"""Makes the catalog from its sources, and publishes the ``access``, ``budgets`` and ``catalog`` snapshots."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from fairlead_common.access import DEFAULT_WORKSPACE
from fairlead_common.decisions.targets import Target
from fairlead_common.snapshots.budgets import budgets_of
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Entry, built_in, declared, overridden
from fairlead_models.catalog.sources import Sources
from fairlead_models.catalog.workspaces import ALL, OWN, own_snapshot
from fairlead_models.providers import ProviderSpec
from nats.aio.client import Client

from fairlead_edge.store import EdgeStore


class Made(NamedTuple):
    """What is published: the catalog of all, and of each workspace that declares something its own entries."""

    shared: Catalog
    own: Mapping[int, Sequence[Entry]]


class CatalogMaker:
    """The catalog as the installed files, the providers file and Postgres have it."""

    def __init__(self, store: EdgeStore, specs: Sequence[ProviderSpec]) -> None:
        self._store = store
        self._specs = specs
        self._sources = Sources()

    @property
    def price_package(self) -> str:
        """Version of the price package that was read."""
        return self._sources.read.price_package

    async def read_anew(self) -> bool:
        """See ``Sources.read_anew``; in a thread, because the request path shares this loop."""
        return await asyncio.to_thread(self._sources.read_anew)

    async def made(self) -> Made:
        """The catalog of all as of now, and what workspaces have otherwise."""
        now = datetime.now(UTC)
        rows: dict[int, list[dict[str, Any]]] = {}
        for row in await self._store.mappings():
            rows.setdefault(row["workspace_id"], []).append(dict(row))
        entries = [*built_in(now), *declared(self._specs, now)]
        operators = overridden(entries, rows.pop(DEFAULT_WORKSPACE, []), now)
        shared = Catalog(operators, (spec.name for spec in self._specs))
        return Made(shared, {workspace_id: _own(shared, each, now) for workspace_id, each in rows.items()})


def _own(shared: Catalog, rows: Sequence[Mapping[str, Any]], at: datetime) -> list[Entry]:
    targets = {Target(row["provider"], row["model_name"]) for row in rows}
    known = [shared.entries[target] for target in targets if target in shared.entries]
    return sorted(overridden(known, rows, at, "workspace"), key=lambda each: (each.provider, each.model))


class AccessAndCatalog:
    """What the lease ``edge.snapshots`` publishes."""

    def __init__(self, client: Client, store: EdgeStore, source: CatalogMaker) -> None:
        self._store = store
        self._source = source
        self._access = SnapshotPublisher(client, "access")
        self._budgets = SnapshotPublisher(client, "budgets")
        self._catalogs = SnapshotPublisher(client, "catalog")

    async def publish(self) -> None:
        """Put them, if they changed."""
        access = await self._store.access()
        await self._access.put("keys", access)
        await self._budgets.put("workspaces", budgets_of(access))
        made = await self._source.made()
        values = {ALL: made.shared.to_snapshot()}
        values |= {f"{OWN}{workspace_id}": own_snapshot(each) for workspace_id, each in made.own.items()}
        for key, value in values.items():
            await self._catalogs.put(key, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
        for key in set(await self._catalogs.keys()) - values.keys():
            await self._catalogs.delete(key)
