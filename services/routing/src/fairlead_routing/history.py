"""The routed calls of a workspace, from the comparison service, and what is known now of those that could serve them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairlead_common.bus.rpc import RpcClient
from fairlead_common.operations import comparison as calls
from fairlead_models.catalog.catalog import Catalog

from fairlead_routing.domain.replay import Knowledge
from fairlead_routing.known import Known

MAX_CALLS: Final = 10_000
"""More calls than this are looked at one in so many."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Calls of a period, oldest first; ``total`` is how many there were, of which these may be a sample."""

    total: int
    calls: list[calls.DecidedCall]


class History:
    """What replays and analytics look at."""

    def __init__(self, rpc: RpcClient, catalog: Callable[[int], Catalog], known: Known) -> None:
        self._rpc = rpc
        self._catalog = catalog
        self._known = known

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
        known = self._known
        return Knowledge(catalog, known.measured, known.scores(workspace_id), known.policy(workspace_id))
