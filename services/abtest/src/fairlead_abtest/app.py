"""Composition root of the abtest service."""

import os
from datetime import UTC, datetime
from functools import partial

from fairlead_common.bus.rpc import RpcClient, answer
from fairlead_common.bus.subscribing import consume
from fairlead_common.bus.topology import ABTEST_JOBS
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.operations import abtest as ops
from fairlead_common.service import Runtime
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_models.catalog.entries import built_in, declared
from fairlead_models.catalog.workspaces import CatalogNow
from fairlead_models.client import Clients
from fairlead_models.providers import load_providers
from fairlead_models.transport.http1 import Http1Transport

from fairlead_abtest.api import AbtestApi
from fairlead_abtest.clients import Caller
from fairlead_abtest.completion import EVERY_S, Completion
from fairlead_abtest.handlers import Worker
from fairlead_abtest.metrics import AbtestMetrics
from fairlead_abtest.records import Records
from fairlead_abtest.settings import AbtestSettings
from fairlead_abtest.store import JOBS_OUTBOX, RESULTS_OUTBOX, AbtestStore


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    settings = AbtestSettings.model_validate(runtime.settings.model_dump())
    specs = load_providers(settings.providers_file, os.environ)
    transport = Http1Transport()
    runtime.on_stop(transport.close)
    clients = Clients(specs, transport)
    now = datetime.now(UTC)
    catalog = CatalogNow([*built_in(now), *declared(specs, now)], clients)
    store = AbtestStore(runtime.database)
    jobs = OutboxRelay(runtime.database, JOBS_OUTBOX, runtime.publisher.send)
    results = OutboxRelay(runtime.database, RESULTS_OUTBOX, runtime.publisher.send)
    metrics = AbtestMetrics(runtime.registry)
    records = Records(RpcClient(runtime.client))
    api = AbtestApi(store, records, jobs, clients, catalog.of)
    worker = Worker(store, Caller(clients, catalog.of), results, runtime.owner, settings, metrics)
    completion = Completion(runtime.client, store, records, jobs, metrics, settings.resend_every_s)
    completing = SnapshotLoop("abtest.completion", runtime.owner, completion.check, every_s=EVERY_S)
    for _ in range(settings.calls_at_once):  # each its own: a slow call holds up no other one's fetch
        consume(runtime.broker, ABTEST_JOBS, worker.on_job, in_flight=1)
    answer(runtime.broker, ops.CREATE, api.create)
    answer(runtime.broker, ops.LIST, api.list_tests)
    answer(runtime.broker, ops.GET, api.get)
    answer(runtime.broker, ops.RENAME, api.rename)
    answer(runtime.broker, ops.CANCEL, api.cancel)
    answer(runtime.broker, ops.DELETE, api.delete)
    answer(runtime.broker, ops.RESULTS, api.results)
    answer(runtime.broker, ops.ANALYSIS, api.analysis)
    runtime.spawn(partial(catalog.follower.follow, runtime.client))
    runtime.spawn(jobs.run)
    runtime.spawn(results.run)
    runtime.spawn(partial(completing.run, runtime.client))
