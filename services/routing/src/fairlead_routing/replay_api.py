"""The operations on past calls; errors become refusals here and nowhere else."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import TypeVar

from fairlead_common.bus.rpc import RpcError, RpcUnavailable
from fairlead_common.decisions.conditions import ConditionError, Conditions, compile_conditions
from fairlead_common.decisions.strategies import Score
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.operations import routing_replay as ops

from fairlead_routing.domain.analytics import Then, analytics
from fairlead_routing.domain.replay import target_of
from fairlead_routing.domain.what_if import what_if
from fairlead_routing.history import History, Routed
from fairlead_routing.store import RoutingStore
from fairlead_routing.tables import table_of

NEW_ID = 2**31

Found = TypeVar("Found")


class ReplayApi:
    """One method per operation."""

    def __init__(self, store: RoutingStore, history: History, plugins: Mapping[str, Score]) -> None:
        self._store = store
        self._history = history
        self._plugins = plugins

    async def what_if(self, request: ops.WhatIfQuery) -> ops.WhatIf:
        """The past under changed rules."""
        table = await self._table(request)
        known = self._history.known(request.workspace_id)
        found = await self._routed(request.workspace_id, request)
        policies, told = await self._history.policies(request.workspace_id, request.until)
        purse, counted = await _available(
            self._history.purse(request.workspace_id, request.budget, request.since, found)
        )
        known = replace(known, policies=policies)
        return await asyncio.to_thread(
            what_if, found.calls, found.total, table, known, purse, (told, counted)
        )

    async def analytics(self, request: ops.AnalyticsQuery) -> ops.Analytics:
        """What routing did."""
        known = self._history.known(request.workspace_id)
        baseline = None if request.baseline is None else target_of(request.baseline)
        if baseline is not None and baseline not in known.catalog.entries:
            text = f"the catalog has no model '{request.baseline}'; a baseline is provider/model"
            raise RpcError(422, "unknown_baseline", text)
        found = await self._routed(request.workspace_id, request)
        period = (request.since, request.until)
        rules = await self._then(request.workspace_id, found)
        return await asyncio.to_thread(analytics, found.calls, found.total, period, rules, known, baseline)

    async def _then(self, workspace_id: int, found: Routed) -> Then:
        """The conditions of the rules that decided, as they were then."""
        rules: dict[tuple[int | None, str | None], Conditions] = {}
        for version in {call.table_version for call in found.calls if call.table_version}:
            for row in await self._store.at_version(workspace_id, version):
                rules[version, row["name"]] = compile_conditions(row["conditions"])
        return rules

    async def _routed(self, workspace_id: int, period: ops.Period) -> Routed:
        if period.until <= period.since:
            raise RpcError(422, "until_before_since", "until must be after since")
        return await _available(self._history.routed(workspace_id, period.since, period.until))

    async def _table(self, request: ops.WhatIfQuery) -> CompiledTable:
        rows = [row for row in await self._rules(request) if row["enabled"]]
        try:
            return compile_table(table_of(request.workspace_id, 0, rows), self._plugins)
        except ConditionError as error:
            raise RpcError(422, "invalid_conditions", str(error)) from error

    async def _rules(self, request: ops.WhatIfQuery) -> list[Mapping[str, object]]:
        workspace_id = request.workspace_id
        if request.version is not None:
            current = await self._store.current(workspace_id)
            if request.version > current:
                text = f"there is no version {request.version} of this workspace's rules; the newest is {current}"
                raise RpcError(404, "unknown_version", text)
            return [dict(row) for row in await self._store.at_version(workspace_id, request.version)]
        if request.rules is not None:
            return [
                {**rule.model_dump(), "id": number, "version": 0}
                for number, rule in enumerate(request.rules, 1)
            ]
        present = [dict(row) for row in await self._store.rules(workspace_id)]
        kept = [row for row in present if row["id"] != request.rule_id]
        if request.rule_id is not None and len(kept) == len(present):
            raise RpcError(404, "unknown_rule", f"there is no rule {request.rule_id} in this workspace")
        new = request.rule.model_dump() if request.rule is not None else {}
        return [*kept, {**new, "id": request.rule_id or NEW_ID, "version": 0}]


async def _available(asked: Awaitable[Found]) -> Found:
    """What another service answers. Raises RpcError, also when it does not."""
    try:
        return await asked
    except RpcUnavailable as error:
        raise RpcError(503, "service_unavailable", str(error)) from error
