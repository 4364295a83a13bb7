"""Makes the catalog from its sources, and publishes the ``access`` and ``catalog`` snapshots."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in, declared, overridden
from fairlead_models.catalog.sources import Sources
from fairlead_models.providers import ProviderSpec
from nats.aio.client import Client

from fairlead_edge.store import EdgeStore


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

    async def catalog(self) -> Catalog:
        """The catalog as of now."""
        now = datetime.now(UTC)
        rows = [dict(row) for row in await self._store.mappings()]
        entries = overridden([*built_in(now), *declared(self._specs, now)], rows)
        return Catalog(entries, (spec.name for spec in self._specs))


class AccessAndCatalog:
    """What the lease ``edge.snapshots`` publishes."""

    def __init__(self, client: Client, store: EdgeStore, source: CatalogMaker) -> None:
        self._store = store
        self._source = source
        self._access = SnapshotPublisher(client, "access")
        self._catalogs = SnapshotPublisher(client, "catalog")

    async def publish(self) -> None:
        """Put both, if they changed."""
        await self._access.put("keys", await self._store.access())
        catalog = await self._source.catalog()
        await self._catalogs.put("models", orjson.dumps(catalog.to_snapshot(), option=orjson.OPT_SORT_KEYS))
