"""Publishes the ``access`` and ``catalog`` snapshots from Postgres."""

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in, declared, overridden
from fairlead_models.providers import ProviderSpec
from nats.aio.client import Client

from fairlead_edge.store import EdgeStore


class AccessAndCatalog:
    """What the lease ``edge.snapshots`` publishes."""

    def __init__(self, client: Client, store: EdgeStore, specs: Sequence[ProviderSpec]) -> None:
        self._store = store
        self._specs = specs
        self._access = SnapshotPublisher(client, "access")
        self._catalogs = SnapshotPublisher(client, "catalog")

    async def publish(self) -> None:
        """Put both, if they changed."""
        await self._access.put("keys", await self._store.access())
        await self._catalogs.put("models", await self._catalog())

    async def _catalog(self) -> bytes:
        now = datetime.now(UTC)
        rows = [dict(row) for row in await self._store.mappings()]
        entries = overridden([*built_in(now), *declared(self._specs, now)], rows)
        catalog = Catalog(entries, (spec.name for spec in self._specs))
        return orjson.dumps(catalog.to_snapshot(), option=orjson.OPT_SORT_KEYS)
