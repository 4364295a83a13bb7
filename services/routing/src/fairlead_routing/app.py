"""Composition root of the routing service."""

import time
from collections.abc import Mapping
from functools import partial

from fairlead_common.bus.rpc import RpcClient, answer
from fairlead_common.bus.subscribing import consume
from fairlead_common.bus.topology import ROUTING_RESULTS
from fairlead_common.decisions.strategies import Score
from fairlead_common.ids import utc_now
from fairlead_common.operations import routing as ops
from fairlead_common.operations import routing_decide as decide_ops
from fairlead_common.operations import routing_predictor as predictor_ops
from fairlead_common.operations import routing_replay as replay_ops
from fairlead_common.plugins import load_plugins, usable
from fairlead_common.service import Runtime
from fairlead_common.snapshots.loop import SnapshotLoop

from fairlead_routing.api import RulesApi, StrategiesApi, VersionsApi
from fairlead_routing.checks import Checks
from fairlead_routing.decide_api import DecideApi, Situation
from fairlead_routing.history import History
from fairlead_routing.known import Known
from fairlead_routing.predictor.api import PredictorApi
from fairlead_routing.predictor.publishing import Predictors
from fairlead_routing.predictor.store import PredictorStore
from fairlead_routing.replay_api import ReplayApi
from fairlead_routing.scores.feedback import FeedbackApi
from fairlead_routing.scores.handlers import ResultHandler
from fairlead_routing.scores.publishing import Qualities
from fairlead_routing.scores.store import ScoreStore
from fairlead_routing.settings import RoutingSettings
from fairlead_routing.store import RoutingStore
from fairlead_routing.tables import CatalogNow, Tables


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    store, catalog = RoutingStore(runtime.database), CatalogNow()
    plugins = load_plugins()
    strategies = usable(plugins)
    tables = Tables(runtime.client, store, catalog.of, strategies)
    loop = SnapshotLoop("routing.tables", runtime.owner, tables.publish)
    rules = RulesApi(runtime.client, store, loop, Checks(catalog.of, strategies))
    versions = VersionsApi(runtime.client, store, loop, rules)
    answer(runtime.broker, ops.LIST, rules.list)
    answer(runtime.broker, ops.GET, rules.get)
    answer(runtime.broker, ops.CREATE, rules.create)
    answer(runtime.broker, ops.REPLACE, rules.replace)
    answer(runtime.broker, ops.DELETE, rules.delete)
    answer(runtime.broker, ops.TABLE, rules.table)
    answer(runtime.broker, ops.STRATEGIES, StrategiesApi(plugins).strategies)
    answer(runtime.broker, ops.CHANGES, versions.changes)
    answer(runtime.broker, ops.TABLE_THEN, versions.table_then)
    answer(runtime.broker, ops.DIFF, versions.diff)
    answer(runtime.broker, ops.RESTORE, versions.restore)
    runtime.spawn(partial(catalog.follower.follow, runtime.client))
    runtime.spawn(partial(loop.run, runtime.client))
    _wire_scores(runtime)
    _wire_predictors(runtime, catalog)
    known = Known(strategies, time.time)
    for job in known.jobs(runtime.client):
        runtime.spawn(job)
    _wire_decisions(runtime, catalog, known)
    _wire_replays(runtime, store, catalog, known, strategies)


def _wire_scores(runtime: Runtime) -> None:
    settings = RoutingSettings.model_validate(runtime.settings.model_dump())
    store = ScoreStore(runtime.database)
    consume(runtime.broker, ROUTING_RESULTS, ResultHandler(store).on_result)
    feedback = FeedbackApi(RpcClient(runtime.client), store, utc_now)
    answer(runtime.broker, replay_ops.FEEDBACK, feedback.give)
    publish = Qualities(runtime.client, store, utc_now).publish
    loop = SnapshotLoop("routing.quality", runtime.owner, publish, settings.quality_every_s)
    runtime.spawn(partial(loop.run, runtime.client))


def _wire_predictors(runtime: Runtime, catalog: CatalogNow) -> None:
    store = PredictorStore(runtime.database)
    loop = SnapshotLoop("routing.predictors", runtime.owner, Predictors(runtime.client, store).publish)
    api = PredictorApi(runtime.client, store, loop, catalog.required)
    answer(runtime.broker, predictor_ops.PREDICTOR, api.get)
    answer(runtime.broker, predictor_ops.PREDICTOR_VERSIONS, api.versions)
    answer(runtime.broker, predictor_ops.INSTALL_PREDICTOR, api.install, at_once=2)
    answer(runtime.broker, predictor_ops.RESTORE_PREDICTOR, api.restore, at_once=2)
    answer(runtime.broker, predictor_ops.REMOVE_PREDICTOR, api.remove)
    runtime.spawn(partial(loop.run, runtime.client))


def _wire_decisions(runtime: Runtime, catalog: CatalogNow, known: Known) -> None:
    def situation(workspace_id: int) -> Situation:
        now = catalog.required(workspace_id)
        return Situation(
            known.table(workspace_id),
            known.policy(workspace_id),
            now.candidates,
            known.view(workspace_id, now),
            known.learned(workspace_id),
            decide_ops.OF_EDGES if known.knows_budgets else (*decide_ops.OF_EDGES, "budget"),
        )

    answer(runtime.broker, decide_ops.DECIDE, DecideApi(situation, time.time).decide)


def _wire_replays(
    runtime: Runtime,
    store: RoutingStore,
    catalog: CatalogNow,
    known: Known,
    strategies: Mapping[str, Score],
) -> None:
    history = History(RpcClient(runtime.client), catalog.required, known)
    api = ReplayApi(store, history, strategies)
    answer(runtime.broker, replay_ops.WHAT_IF, api.what_if, at_once=2)
    answer(runtime.broker, replay_ops.ANALYTICS, api.analytics, at_once=2)
