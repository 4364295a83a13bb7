"""The routed calls of a workspace, from the comparison service, and what is known now of those that could serve them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from fairlead_common.bus.rpc import RpcClient, RpcError
from fairlead_common.decisions.policies import CompiledPolicy, compile_policy
from fairlead_common.decisions.quality import NO_SCORES
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.comparison import ProviderPerformance
from fairlead_common.operations import comparison as calls
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.quality import QualitySnapshot
from fairlead_models.catalog.catalog import Catalog

from fairlead_routing.domain.replay import Knowledge

MAX_CALLS: Final = 10_000
"""More calls than this are looked at one in so many."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Calls of a period, oldest first; ``total`` is how many there were, of which these may be a sample."""

    total: int
    calls: list[calls.DecidedCall]


class History:
    """What replays and analytics look at."""

    def __init__(self, rpc: RpcClient, catalog: Callable[[int], Catalog | None]) -> None:
        self._rpc = rpc
        self._catalog = catalog
        self.performance = SnapshotFollower("performance", ProviderPerformance.model_validate_json)
        self.quality = SnapshotFollower("quality", QualitySnapshot.model_validate_json)
        self.failover = SnapshotFollower("failover", _policy)

    async def routed(self, workspace_id: int, since: datetime, until: datetime) -> Routed:
        """Raises RpcError, RpcUnavailable: the comparison service refuses, or does not answer."""
        query = calls.DecisionsQuery(workspace_id=workspace_id, since=since, until=until, limit=1)
        total = (await self._rpc.call(calls.DECISIONS, query)).total or 0
        one_in = max(1, math.ceil(total / MAX_CALLS))
        query = query.model_copy(update={"limit": 200, "one_in": one_in})
        found: list[calls.DecidedCall] = []
        while True:
            page = await self._rpc.call(calls.DECISIONS, query)
            found += page.calls
            if page.next is None:
                return Routed(total, found)
            behind = {
                "after": page.next,
                "since": page.calls[-1].started_at,
            }  # what was read is not searched again
            query = query.model_copy(update=behind)

    def known(self, workspace_id: int) -> Knowledge:
        """What is known now. Raises RpcError: the catalog is not known yet."""
        catalog = self._catalog(workspace_id)
        if catalog is None:
            raise RpcError(
                503, "no_catalog", "no edge has published its catalog yet; try again when one runs"
            )
        measured = {
            Target(each.provider, each.model): Measured(
                each.calls,
                each.error_rate,
                each.latency_p50_ms,
                each.latency_p95_ms,
                each.ttft_p50_ms,
                each.cost_per_call_usd,
                each.quality,
            )
            for found in self.performance.values()
            for each in found.models
        }
        quality = self.quality.get(str(workspace_id))
        scores = quality.table() if quality is not None else NO_SCORES
        return Knowledge(catalog, measured, scores, self.failover.get(f"policy.{workspace_id}"))


def _policy(data: bytes) -> CompiledPolicy | None:
    """A policy of the ``failover`` bucket; None for its other values."""
    if "workspace_id" not in orjson.loads(data):
        return None
    return compile_policy(PolicySnapshot.model_validate_json(data))
