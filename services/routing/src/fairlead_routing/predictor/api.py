"""The operations on the learned predictor; errors become refusals here and nowhere else."""

import asyncio
from collections.abc import Callable

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.operations import routing_predictor as ops
from fairlead_common.operations.routing import OfWorkspace
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_common.snapshots.predictor import LearnedTable
from fairlead_models.catalog.catalog import Catalog
from nats.aio.client import Client

from fairlead_routing.domain.learned import TableRefused, check
from fairlead_routing.predictor.store import PredictorStore


class PredictorApi:
    """One method per operation."""

    def __init__(
        self,
        client: Client,
        store: PredictorStore,
        tables: SnapshotLoop,
        catalog: Callable[[int], Catalog],
    ) -> None:
        self._client = client
        self._store = store
        self._tables = tables
        self._catalog = catalog

    async def get(self, request: OfWorkspace) -> ops.Predictor:
        """The one in force."""
        versions = (await self.versions(request)).versions
        if not versions or versions[0].table is None:
            raise _missing()
        return versions[0]

    async def versions(self, request: OfWorkspace) -> ops.PredictorVersions:
        """All that are kept."""
        rows = await self._store.versions(request.workspace_id)
        return ops.PredictorVersions(versions=[ops.Predictor.model_validate(dict(row)) for row in rows])

    async def install(self, request: ops.InstallPredictor) -> ops.Predictor:
        """Check a table, and decide by it."""
        document = await asyncio.to_thread(request.table.model_dump_json)
        return await self._decide_by(request, "installed", request.table, document)

    async def restore(self, request: ops.RestorePredictor) -> ops.Predictor:
        """Decide by an earlier table; it is checked against the catalog of now."""
        document = await self._store.document(request.workspace_id, request.version)
        if document is None:
            text = (
                f"version {request.version} has no table, or is not kept any more; see the list of versions"
            )
            raise RpcError(404, "unknown_version", text)
        table = await asyncio.to_thread(LearnedTable.model_validate_json, document)
        return await self._decide_by(request, "restored", table, document)

    async def remove(self, request: ops.RemovePredictor) -> Empty:
        """Decide without one."""
        await self.get(request)
        await self._store.add(request.workspace_id, "removed", None, None, request.changed_by)
        await self._tables.poke(self._client)
        return Empty()

    async def _decide_by(
        self,
        request: ops.InstallPredictor | ops.RestorePredictor,
        action: str,
        table: LearnedTable,
        document: str,
    ) -> ops.Predictor:
        catalog = self._catalog(request.workspace_id)
        size = len(document.encode())
        try:
            check(table, size, catalog)
        except TableRefused as error:
            raise RpcError(422, error.code, str(error)) from error
        about = ops.LearnedFrom(
            clusters=len(table.clusters), models=table.models, bytes=size, evaluation=table.evaluation
        )
        row = await self._store.add(request.workspace_id, action, about, document, request.changed_by)
        if row is None:
            raise RpcError(404, "unknown_workspace", f"there is no workspace {request.workspace_id}")
        await self._tables.poke(self._client)
        return ops.Predictor.model_validate(dict(row))


def _missing() -> RpcError:
    return RpcError(
        404, "no_predictor", "this workspace decides without a learned predictor; PUT one to install it"
    )
