"""The operations comparison answers; errors become refusals here and nowhere else."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Final
from uuid import UUID

from fairlead_common.bus.rpc import RpcError
from fairlead_common.operations import ab_results
from fairlead_common.operations import calls as call_ops
from fairlead_common.operations import comparison as ops

from fairlead_comparison import answers
from fairlead_comparison.comparer import Comparer
from fairlead_comparison.domain.comparison import verdicts
from fairlead_comparison.domain.ranking import PARTS, balanced, by_metric
from fairlead_comparison.domain.targets import Selection, problem_of
from fairlead_comparison.store.comparisons import ComparisonStore
from fairlead_comparison.store.observations import CallFilter, ObservationStore
from fairlead_comparison.store.rescues import RescueStore
from fairlead_comparison.store.results import ResultStore
from fairlead_comparison.store.spend import SpendStore
from fairlead_comparison.store.sums import Window

STEP_S: Final = {"minute": 60, "hour": 3600}
MINUTE_STEPS_REACH_S: Final = 6 * 3600
MAX_SERIES: Final = 20


class CallsApi:
    """Calls of a workspace, and the results of a test: one method per operation."""

    def __init__(
        self, observations: ObservationStore, results: ResultStore, rescues: RescueStore, spend: SpendStore
    ) -> None:
        self._observations = observations
        self._spend = spend
        self._results = results
        self._rescues = rescues

    async def rescues(self, request: call_ops.RescuesQuery) -> call_ops.Rescues:
        """What failover inside requests did for a workspace."""
        rows = await self._rescues.rescues(request.workspace_id, request.since, request.until)
        return call_ops.Rescues(providers=[call_ops.Rescue.model_validate(dict(row)) for row in rows])

    async def results(self, request: ab_results.OfTest) -> ab_results.TestResults:
        """Results of a test so far, and where to ask on."""
        rows, more = await self._results.of_test(request)
        found = [ab_results.TestResult.model_validate(dict(row)) for row in rows]
        return ab_results.TestResults(
            results=found,
            next=ab_results.ResultKey.model_validate(found[-1], from_attributes=True) if more else None,
        )

    async def calls(self, request: call_ops.CallsQuery) -> call_ops.CallList:
        """Calls of a workspace, newest first."""
        which = CallFilter(**request.model_dump(exclude={"limit"}))
        rows = await self._observations.calls(which, request.limit + 1)
        page = [call_ops.CallRow.model_validate(dict(row)) for row in rows[: request.limit]]
        return call_ops.CallList(calls=page, next=page[-1].call_id if len(rows) > request.limit else None)

    async def call(self, request: call_ops.OneCall) -> call_ops.CallDetail:
        """One call of a workspace."""
        row = await self._observations.call(request.workspace_id, request.call_id)
        if row is None:
            raise RpcError(404, "unknown_call", f"there is no call {request.call_id} in this workspace")
        attempts = await self._observations.attempts(request.call_id)
        return call_ops.CallDetail(
            call=call_ops.CallRow.model_validate(dict(row)),
            attempts=[call_ops.AttemptRow.model_validate(dict(each)) for each in attempts],
            decision=row["decision"],
        )

    async def spent(self, request: call_ops.SpentQuery) -> call_ops.Spent:
        """What a workspace had spent at a moment."""
        at = request.at.astimezone(UTC)
        today = at.date()
        midnight = datetime.combine(today, time(), UTC)
        before = await self._spend.days(request.workspace_id, today.replace(day=1), today)
        since_midnight = await self._spend.between(request.workspace_id, midnight, at)
        return call_ops.Spent(today_usd=since_midnight, month_usd=before + since_midnight)

    async def decisions(self, request: call_ops.DecisionsQuery) -> call_ops.DecidedCalls:
        """Routed live calls of a workspace, oldest first."""
        rows = await self._observations.decided(
            request.workspace_id,
            request.since,
            request.until,
            request.one_in,
            request.after,
            request.limit + 1,
        )
        page = [call_ops.DecidedCall.model_validate(dict(row)) for row in rows[: request.limit]]
        total = None
        if request.after is None:
            total = await self._observations.count_decided(request.workspace_id, request.since, request.until)
        return call_ops.DecidedCalls(
            total=total,
            calls=page,
            next=UUID(page[-1].call_id) if len(rows) > request.limit else None,
        )


class ComparisonApi:
    """Figures of the fleet: one method per operation."""

    def __init__(self, comparer: Comparer, daily: ComparisonStore) -> None:
        self._comparer = comparer
        self._daily = daily

    async def compare(self, request: ops.CompareQuery) -> ops.Comparison:
        """Targets by metrics, pair by pair."""
        if len(request.targets) == 1:
            raise RpcError(
                422, "one_target", "name two or more targets, or none: then all providers are compared"
            )
        _check(request.targets)
        window = self._window(request)
        metrics = list(dict.fromkeys(request.metrics))
        measured = await self._comparer.measure(window, metrics, Selection(request.targets))
        return answers.comparison(request, window, measured, verdicts(measured.arms))

    async def ranking(self, request: ops.RankingQuery) -> ops.Ranking:
        """Targets, best first."""
        _check(request.targets)
        weights = request.weights.model_dump()
        if request.by is None and sum(weights.values()) <= 0:
            raise RpcError(422, "no_weight", "at least one weight must be above 0")
        window = self._window(request)
        metrics = [metric for metric, _ in PARTS.values()] if request.by is None else [request.by]
        selection = Selection(request.targets, request.level)
        measured = await self._comparer.measure(window, metrics, selection)
        places = (
            balanced(measured.arms, weights)
            if request.by is None
            else by_metric(request.by, measured.arms[request.by])
        )
        return answers.ranking(request, window, places)

    async def history(self, request: ops.HistoryQuery) -> ops.DailyRows:
        """The daily table."""
        if request.since and request.until and request.until < request.since:
            raise RpcError(422, "until_before_since", "until must not be before since")
        rows = await self._daily.history(request)
        return ops.DailyRows(rows=[ops.DailyRow.model_validate(dict(row)) for row in rows])

    async def recompute(self, request: ops.OneDay) -> ops.DailyRows:
        """Compute one day anew, and say what it says then."""
        await self._comparer.compute_day(request.day)
        return await self.history(ops.HistoryQuery(since=request.day, until=request.day, limit=1000))

    async def trend(self, request: ops.TrendQuery) -> ops.Trend:
        """One metric over time."""
        step_s = STEP_S[request.step]
        if request.step == "minute" and request.window_s > MINUTE_STEPS_REACH_S:
            raise RpcError(
                422, "window_too_long", "steps of a minute reach 6 hours at most; ask for steps of an hour"
            )
        window = self._window(request)
        if request.step == "minute" and window.hourly:
            raise RpcError(
                422,
                "minutes_forgotten",
                "minutes are kept for 31 days; for earlier times ask for steps of an hour",
            )
        if request.step == "hour":
            window = window._replace(since=window.since.replace(minute=0), hourly=True)
        selection = Selection(request.targets, request.level)
        steps = await self._comparer.trend(request.metric, window, selection, step_s)
        if len(steps) > MAX_SERIES:
            raise RpcError(
                422,
                "too_many_targets",
                f"{len(steps)} targets were called; name at most {ops.MAX_TARGETS} of them",
            )
        return answers.trend(request, window, steps)

    def _window(self, request: ops.WindowQuery) -> Window:
        return self._comparer.window(
            request.until, request.window_s, [kind.value for kind in dict.fromkeys(request.kinds)]
        )


def _check(targets: Sequence[str]) -> None:
    problem = problem_of(targets)
    if problem is not None:
        raise RpcError(422, "invalid_targets", problem)
