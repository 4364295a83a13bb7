"""The operation that decides where a request goes, by the edges' own code; errors become refusals here and nowhere else."""

import random
from collections.abc import Callable
from typing import NamedTuple

from fairlead_common.bus.rpc import RpcError
from fairlead_common.decisions.budgets import refusal
from fairlead_common.decisions.clusters import ClusterTable, Prediction
from fairlead_common.decisions.plan import FleetView, NoCapacity
from fairlead_common.decisions.policies import CompiledPolicy
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable, Resolve
from fairlead_common.ids import new_id
from fairlead_common.operations import routing_decide as ops


class Situation(NamedTuple):
    """What a decision for a workspace goes by."""

    table: CompiledTable
    policy: CompiledPolicy | None
    resolve: Resolve
    view: FleetView
    learned: ClusterTable | None
    unknown: tuple[ops.Unconsidered, ...] = ops.OF_EDGES
    """What the view cannot hold."""


class DecideApi:
    """Decides about requests.

    Args:
        situation: of a workspace, now. Raises RpcError: not known yet.
        clock: Unix time in seconds.
    """

    def __init__(self, situation: Callable[[int], Situation], clock: Callable[[], float]) -> None:
        self._situation = situation
        self._clock = clock
        self._turn = -1

    async def decide(self, query: ops.DecideQuery) -> ops.Decided:
        """Whom to ask, and who stands in."""
        self._turn += 1
        now = self._situation(query.workspace_id)
        learned = None if now.learned is None else Prediction(now.learned, lambda: query.request.prompt)
        request = query.request.request(query.workspace_id, learned, self._turn)
        draw = random.random()  # noqa: S311 - spreads load, and guards no secret
        try:
            plan = refusal(now.view.budget, query.workspace_id) or make_plan(
                now.table, now.policy, request, now.resolve, now.view, self._clock(), draw
            )
        except LookupError as error:
            raise RpcError(404, "unknown_model", str(error)) from error
        if isinstance(plan, NoCapacity):
            raise RpcError(plan.status, plan.code, plan.message)
        first, *others = (str(step.target) for step in plan.steps)
        return ops.Decided(
            decision_id=new_id(),
            target=first,
            alternatives=others,
            rule=plan.rule,
            strategy=plan.strategy,
            table_version=plan.table_version,
            draw=draw,
            probability=plan.choice.probability if plan.choice is not None else None,
            not_considered=list(now.unknown),
        )
