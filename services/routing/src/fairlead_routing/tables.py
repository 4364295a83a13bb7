"""The tables that edges follow: each is tried before it is published, and the last good one stays while it fails."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from fairlead_common.bus.rpc import RpcError
from fairlead_common.decisions.strategies import Score
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.workspaces import ALL, Catalogs, own_entries
from nats.aio.client import Client

from fairlead_routing.domain.trial import TrialFailed, try_table
from fairlead_routing.store import RoutingStore

logger = logging.getLogger(__name__)


class CatalogNow:
    """The catalogs that the edge publishes."""

    def __init__(self) -> None:
        self._catalogs: Catalogs | None = None
        self.follower = SnapshotFollower("catalog", _catalog, on_change=self._changed)

    def of(self, workspace_id: int) -> Catalog | None:
        """The catalog of a workspace; None while there never was one."""
        return None if self._catalogs is None else self._catalogs.of(workspace_id)

    def required(self, workspace_id: int) -> Catalog:
        """The catalog of a workspace. Raises RpcError: there never was one."""
        found = self.of(workspace_id)
        if found is None:
            text = "no edge has published its catalog yet; try again when one runs"
            raise RpcError(503, "no_catalog", text)
        return found

    def _changed(self, key: str) -> None:
        own = {key: list(each.entries.values()) for key, each in self.follower.items()}
        shared = self.follower.get(ALL)
        self._catalogs = None if shared is None else Catalogs(shared, own_entries(own))


def _catalog(data: bytes) -> Catalog:
    return Catalog.from_snapshot(orjson.loads(data))


class Tables:
    """Publishes the table of each workspace."""

    def __init__(
        self,
        client: Client,
        store: RoutingStore,
        catalog: Callable[[int], Catalog | None],
        plugins: Mapping[str, Score],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._plugins = plugins
        self._publisher = SnapshotPublisher(client, "routes")
        self._tried: dict[int, tuple[int, Catalog | None, bool]] = {}
        """workspace to (version, catalog, whether it passed): the same is not tried twice."""

    async def publish(self) -> None:
        """Put what changed and passes its trial, remove what is gone."""
        tables = await self._store.tables()
        for key in set(await self._publisher.keys()) - {str(workspace_id) for workspace_id, _, _ in tables}:
            await self._publisher.delete(key)
        for workspace_id, version, rows in tables:
            snapshot = table_of(workspace_id, version, rows)
            if self._passes(snapshot):
                await self._publisher.put(str(workspace_id), snapshot)

    def _passes(self, snapshot: RoutesSnapshot) -> bool:
        catalog = self._catalog(snapshot.workspace_id)
        version, known, passed = self._tried.get(snapshot.workspace_id, (-1, None, False))
        if version != snapshot.version or known is not catalog:
            passed = self._try(snapshot, catalog)
            self._tried[snapshot.workspace_id] = (snapshot.version, catalog, passed)
        return passed

    def _try(self, snapshot: RoutesSnapshot, catalog: Catalog | None) -> bool:
        try:
            try_table(snapshot, catalog, self._plugins)
        except TrialFailed as error:
            logger.error(
                "version %d of the rules of workspace %d fails its trial, the last good one stays: %s",
                snapshot.version,
                snapshot.workspace_id,
                error,
            )
            return False
        return True


def table_of(workspace_id: int, version: int, rows: Iterable[Mapping[Any, Any]]) -> RoutesSnapshot:
    """The snapshot of enabled rules."""
    rules = tuple(
        RuleSnapshot(
            rule_id=row["id"],
            name=row["name"],
            strategy=row["strategy"],
            priority=row["priority"],
            conditions=row["conditions"],
            version=row["version"],
        )
        for row in rows
    )
    return RoutesSnapshot(workspace_id=workspace_id, version=version, rules=rules)
