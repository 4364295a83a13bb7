"""What routing rules and failover policies plan with, as routing and failover publish them."""

import asyncio

import orjson
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.routes import RoutesSnapshot
from nats.aio.client import Client

from fairlead_health.domain.naming import named


class Plans:
    """``named``: the providers that a rule or a policy counts on by name, by ``naming.named``."""

    def __init__(self) -> None:
        self.named: frozenset[str] = frozenset()
        self._routes = SnapshotFollower("routes", RoutesSnapshot.model_validate_json, on_change=self._changed)
        self._policies = SnapshotFollower("failover", _policy, on_change=self._changed)

    async def follow(self, client: Client) -> None:
        """Keep ``named`` as it is now, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._routes.follow(client))
            group.create_task(self._policies.follow(client))

    def _changed(self, key: str) -> None:
        self.named = named(self._routes.values(), filter(None, self._policies.values()))


def _policy(data: bytes) -> PolicySnapshot | None:
    """None = another value of the bucket: the fleet's gates, or a drill."""
    found = orjson.loads(data)
    if "drill_id" in found or "workspace_id" not in found:
        return None
    return PolicySnapshot.model_validate(found)
