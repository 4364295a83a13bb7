"""Runs one call to its end, whatever its kind: plans it, counts it, turns errors into answers, journals it once."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from fairlead_common.decisions.budgets import refusal
from fairlead_common.decisions.plan import NoCapacity, RouteRequest
from fairlead_common.outcomes import CallState
from fairlead_models.errors import InvalidRequest

from fairlead_edge.dataplane.answers import NoAnswer, error_of, refuse
from fairlead_edge.dataplane.attempts import Attempts
from fairlead_edge.dataplane.budget import RetryBudget
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.hedging import Hedging
from fairlead_edge.dataplane.surroundings import Bounds, Surroundings
from fairlead_edge.fleet import Fleet
from fairlead_edge.http.messages import STOPPING, ResponseWriter
from fairlead_edge.metrics import EdgeMetrics
from fairlead_edge.outcomes.journal import Journal


class Runner:
    """One per process: the retry budget is everybody's."""

    def __init__(self, fleet: Fleet, journal: Journal, metrics: EdgeMetrics, bounds: Bounds) -> None:
        self._fleet = fleet
        self._journal = journal
        self.metrics = metrics
        self._budget = RetryBudget()
        self._around = Surroundings(fleet, metrics, bounds, self._budget)
        self.hedging = Hedging(bounds.hedge_share, bounds.hedge_after_s, fleet.ttft_p95_s, self._budget)

    async def run(self, writer: ResponseWriter, call: RunningCall, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, which answers the call; however it ends, the call is journalled once."""
        self._budget.active += 1
        try:
            await work
        except InvalidRequest as error:
            self.record(call, CallState.REJECTED, error.status, error.code or "invalid_request")
            refuse(writer, call, error_of(error))
        except NoAnswer as error:
            state = CallState.REJECTED if error.status < 500 and not call.attempts else CallState.FAILED
            self.record(call, state, error.status, error.code)
            refuse(writer, call, error)
        except asyncio.CancelledError as error:
            self._cancelled(call, writer, stopping=STOPPING in error.args)
            raise
        finally:
            self._budget.active -= 1
            if not call.recorded:  # a bug is on its way to the log: the call is counted all the same
                self.record(call, CallState.FAILED, 500, "internal_error")

    def record(self, call: RunningCall, state: CallState, status: int, error_code: str | None = None) -> None:
        """Journal the call; done before the end of the answer, so that no answered call can be missing."""
        body = call.finish(state, status, error_code)
        self._journal.append(body)
        ended_at = body["started_at"] + timedelta(milliseconds=body["duration_ms"])
        self._fleet.spending.settle(call.call_id, body["started_at"], ended_at, body["cost_usd"])
        self.metrics.call_ended(call, state)

    def attempts(self, call: RunningCall, wanted: RouteRequest, timeout_s: float | None) -> Attempts:
        """The attempts of a call, planned now.

        Args:
            timeout_s: how long the caller lets them take; None = as long as this edge allows.

        Raises:
            NoAnswer: nothing can serve it, or the workspace's budget is spent.
            UnknownModel: nothing is called so.
        """
        now = self._fleet.clock()
        budget = self._fleet.budget(wanted.workspace_id, now)
        found = refusal(budget, wanted.workspace_id) or self._fleet.plan(wanted, now, stand_ins=False)
        call.wanted, call.decided = wanted, found
        if isinstance(found, NoCapacity):
            raise NoAnswer(found.status, found.code, found.message, found.retry_after_s)
        self._fleet.reserve(call.call_id, wanted, found.steps[0].target)
        return Attempts(call, wanted, found, self._around, timeout_s)

    def _cancelled(self, call: RunningCall, writer: ResponseWriter, *, stopping: bool) -> None:
        if call.recorded:
            return
        if stopping:
            self.record(call, CallState.FAILED, 503, "edge_stopping")
            text = (
                "This edge is stopping and could not wait for the answer any longer; send the request again."
            )
            refuse(writer, call, NoAnswer(503, "edge_stopping", text, 1.0))
        else:
            self.record(call, CallState.ABORTED, 499, "caller_gone")
