"""Publishes the table in force of each workspace in the ``predictor`` bucket."""

from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client

from fairlead_routing.predictor.store import PredictorStore


class Predictors:
    """What the lease ``routing.predictors`` publishes. A table is read from the database only when it is news."""

    def __init__(self, client: Client, store: PredictorStore) -> None:
        self._store = store
        self._publisher = SnapshotPublisher(client, "predictor")
        self._published: dict[int, int] = {}
        """workspace to version."""

    async def publish(self) -> None:
        """Put what changed, remove what is gone."""
        wanted = await self._store.in_force()
        present = set(await self._publisher.keys())
        for key in present - set(map(str, wanted)):
            await self._publisher.delete(key)
        self._published = {each: version for each, version in self._published.items() if str(each) in present}
        for workspace_id, version in wanted.items():
            if self._published.get(workspace_id) != version:
                await self._put(workspace_id, version)

    async def _put(self, workspace_id: int, version: int) -> None:
        document = await self._store.document(workspace_id, version)
        if document is None:
            return  # it was replaced meanwhile, and is looked at again
        snapshot = f'{{"workspace_id":{workspace_id},"version":{version},"table":{document}}}'
        await self._publisher.put(str(workspace_id), snapshot.encode())
        self._published[workspace_id] = version
