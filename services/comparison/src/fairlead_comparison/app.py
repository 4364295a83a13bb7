"""Composition root of the comparison service."""

from datetime import timedelta
from functools import partial
from typing import Final

from fairlead_common.bus.rpc import answer
from fairlead_common.bus.subscribing import consume, consume_batches
from fairlead_common.bus.topology import COMPARISON_CALLS, COMPARISON_RESULTS
from fairlead_common.ids import utc_now
from fairlead_common.operations import ab_results
from fairlead_common.operations import calls as call_ops
from fairlead_common.operations import comparison as ops
from fairlead_common.service import Runtime
from fairlead_common.snapshots.loop import SnapshotLoop

from fairlead_comparison.api import CallsApi, ComparisonApi
from fairlead_comparison.comparer import Comparer
from fairlead_comparison.handlers import CallHandler, ResultHandler
from fairlead_comparison.housekeeping import Housekeeping
from fairlead_comparison.metrics import ComparisonMetrics
from fairlead_comparison.publishing import PerformancePublisher
from fairlead_comparison.settings import ComparisonSettings
from fairlead_comparison.spend import SpendPublisher
from fairlead_comparison.store.comparisons import ComparisonStore
from fairlead_comparison.store.observations import ObservationStore
from fairlead_comparison.store.rescues import RescueStore
from fairlead_comparison.store.results import ResultStore
from fairlead_comparison.store.spend import SpendStore
from fairlead_comparison.store.sums import SumStore

HOUSEKEEPING_S: Final = 60.0
FRAMES_AT_ONCE: Final = 64


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    settings = ComparisonSettings.model_validate(runtime.settings.model_dump())
    metrics = ComparisonMetrics(runtime.registry)
    observations, results = ObservationStore(runtime.database), ResultStore(runtime.database)
    sums = SumStore(runtime.database)
    calls = CallHandler(observations, metrics, timedelta(days=settings.retention_days), utc_now)
    performance = PerformancePublisher(runtime.client, runtime.publisher, sums, settings, metrics, utc_now)
    spent = SpendStore(runtime.database)
    spend = SpendPublisher(runtime.client, spent, utc_now)
    housekeeping = Housekeeping(observations, settings, utc_now)
    daily = ComparisonStore(runtime.database)
    comparer = Comparer(sums, daily, timedelta(days=settings.quality_window_days), utc_now)
    calls_api, api = (
        CallsApi(observations, results, RescueStore(runtime.database), spent),
        ComparisonApi(comparer, daily),
    )
    consume_batches(runtime.broker, COMPARISON_CALLS, calls.on_frames, size=FRAMES_AT_ONCE)
    consume(runtime.broker, COMPARISON_RESULTS, ResultHandler(results, metrics).on_result)
    answer(runtime.broker, ab_results.RESULTS, calls_api.results)
    answer(runtime.broker, call_ops.CALLS, calls_api.calls)
    answer(runtime.broker, call_ops.CALL, calls_api.call)
    answer(runtime.broker, call_ops.SPENT, calls_api.spent)
    answer(runtime.broker, call_ops.DECISIONS, calls_api.decisions)
    answer(runtime.broker, call_ops.RESCUES, calls_api.rescues)
    answer(runtime.broker, ops.COMPARE, api.compare)
    answer(runtime.broker, ops.RANKING, api.ranking)
    answer(runtime.broker, ops.HISTORY, api.history)
    answer(runtime.broker, ops.RECOMPUTE, api.recompute)
    answer(runtime.broker, ops.TREND, api.trend)
    for job, work, every_s in (
        ("comparison.performance", performance.publish, settings.performance_every_s),
        ("comparison.spend", spend.publish, settings.spend_every_s),
        ("comparison.daily", comparer.keep_daily, settings.comparison_every_s),
        ("comparison.housekeeping", housekeeping.keep, HOUSEKEEPING_S),
    ):
        loop = SnapshotLoop(job, runtime.owner, work, every_s)
        runtime.spawn(partial(loop.run, runtime.client))
