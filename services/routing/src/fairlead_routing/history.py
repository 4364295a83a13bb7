"""The routed calls of a workspace, from the comparison service, and what is known now of those that could serve them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairlead_common.access import BudgetSettings
from fairlead_common.bus.rpc import RpcClient, RpcError, RpcUnavailable
from fairlead_common.decisions.budgets import Spent
from fairlead_common.decisions.conditions import ConditionError
from fairlead_common.decisions.policies import CompiledPolicy, compile_policy
from fairlead_common.operations import calls, failover
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_models.catalog.catalog import Catalog

from fairlead_routing.domain.purse import Purse
from fairlead_routing.domain.replay import Knowledge
from fairlead_routing.known import Known

MAX_CALLS: Final = 10_000
"""More calls than this are looked at one in so many."""
Policies = tuple[tuple[float, CompiledPolicy | None], ...]
"""Oldest first: Unix time from which on, and what it was; None = there was none."""


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
        policies = ((-math.inf, known.policy(workspace_id)),)
        return Knowledge(catalog, known.measured, known.scores(workspace_id), policies)

    async def policies(self, workspace_id: int, until: datetime) -> tuple[Policies, str]:
        """(the failover policies of a workspace from the beginning to ``until``, what that rests on)."""
        query = failover.OfWorkspace(workspace_id=workspace_id)
        try:
            kept = (await self._rpc.call(failover.VERSIONS, query)).versions
        except (RpcError, RpcUnavailable) as error:
            now = ((-math.inf, self._known.policy(workspace_id)),)
            return (
                now,
                f"failover policy: that of now at all times, because its versions are not known: {error}",
            )
        found = policies_of(workspace_id, [each for each in kept if each.changed_at < until])
        return found, "failover policy: the version in force at each call; none before the first"

    async def purse(
        self, workspace_id: int, budget: BudgetSettings | None, since: datetime, routed: Routed
    ) -> tuple[Purse | None, str]:
        """(the workspace's money from ``since`` on, what that rests on). Raises RpcError, RpcUnavailable."""
        if budget is None:
            return None, "budget: none, because the workspace has none now"
        query = calls.SpentQuery(workspace_id=workspace_id, at=since)
        spent = await self._rpc.call(calls.SPENT, query)
        each = routed.total / max(1, len(routed.calls))
        purse = Purse(
            budget.limits, Spent(spent.today_usd, spent.month_usd), since.timestamp(), max(1.0, each)
        )
        return purse, (
            "budget: the limits of now at all times; spent before the period"
            f" {spent.today_usd:.6f} USD of its day and {spent.month_usd:.6f} USD of its month; in the period, only routed"
            " calls spend, A/B tests and shadows do not"
        )


def policies_of(workspace_id: int, versions: Iterable[failover.ConfigVersion]) -> Policies:
    """From its kept versions. One that cannot be used leaves the former in force, as it does at an edge."""
    found: list[tuple[float, CompiledPolicy | None]] = []
    for each in sorted(versions, key=lambda version: version.version):
        try:
            policy = None if each.action == "deleted" else compile_policy(_snapshot(workspace_id, each))
        except ConditionError:
            continue
        found.append((each.changed_at.timestamp(), policy))
    return tuple(found)


def _snapshot(workspace_id: int, then: failover.ConfigVersion) -> PolicySnapshot:
    config = then.config
    return PolicySnapshot(
        workspace_id=workspace_id,
        version=then.version,
        enabled=config.enabled,
        primary_provider=config.primary_provider,
        fallback_providers=tuple(config.fallback_providers),
        conditions=config.failover_conditions.model_dump(exclude_none=True),
        rules=tuple(config.rules),
    )
