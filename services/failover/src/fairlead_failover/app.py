"""Composition root of the failover service."""

import os
from datetime import UTC, datetime
from functools import partial

from fairlead_common.bus.rpc import answer
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.decisions.gate_records import GateSettings
from fairlead_common.operations import drills as drill_ops
from fairlead_common.operations import failover as ops
from fairlead_common.service import Runtime
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_models.catalog.entries import built_in, declared
from fairlead_models.catalog.workspaces import CatalogNow
from fairlead_models.client import Clients
from fairlead_models.providers import load_providers
from fairlead_models.transport.http1 import Http1Transport

from fairlead_failover.api import FailoverApi, Policies
from fairlead_failover.controller import Controller
from fairlead_failover.drills import Drills
from fairlead_failover.probes import Budget, Prober
from fairlead_failover.settings import FailoverSettings
from fairlead_failover.store import FailoverStore


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    settings = FailoverSettings.model_validate(runtime.settings.model_dump())
    specs = load_providers(settings.providers_file, os.environ)
    providers = frozenset(spec.name for spec in specs)
    transport = Http1Transport()
    runtime.on_stop(transport.close)
    now = datetime.now(UTC)
    catalog = CatalogNow([*built_in(now), *declared(specs, now)], providers)
    store = FailoverStore(runtime.database)
    relay = OutboxRelay(runtime.database, "failover", runtime.publisher.send)
    prober = Prober(
        Clients(specs, transport),
        catalog,
        runtime.publisher,
        settings.instance,
        Budget(settings.trial_budget_usd, settings.trial_budget_calls),
    )
    gates = GateSettings(step_s=settings.recovery_step_s)
    controller = Controller(runtime.client, store, runtime.owner, providers, gates, prober, relay.wake)
    policies = Policies(runtime.client, store)
    loop = SnapshotLoop("failover.policies", runtime.owner, policies.publish)
    api = FailoverApi(runtime.client, store, loop, providers, catalog.of)
    drills = Drills(runtime.client, providers)
    answer(runtime.broker, ops.GET_CONFIG, api.get_config)
    answer(runtime.broker, ops.PUT_CONFIG, api.put_config)
    answer(runtime.broker, ops.DELETE_CONFIG, api.delete_config)
    answer(runtime.broker, ops.VERSIONS, api.versions)
    answer(runtime.broker, ops.RESTORE, api.restore)
    answer(runtime.broker, ops.STATE, api.state)
    answer(runtime.broker, ops.HOLD, api.hold)
    answer(runtime.broker, ops.RELEASE, api.release)
    answer(runtime.broker, ops.EVENTS, api.events)
    answer(runtime.broker, ops.DRY_RUN, api.dry_run)
    answer(runtime.broker, ops.ANALYTICS, api.analytics)
    answer(runtime.broker, drill_ops.START_DRILL, drills.start)
    answer(runtime.broker, drill_ops.DRILLS, drills.going_on)
    answer(runtime.broker, drill_ops.END_DRILL, drills.end)
    runtime.spawn(controller.run)
    runtime.spawn(partial(catalog.follower.follow, runtime.client))
    runtime.spawn(partial(loop.run, runtime.client))
    runtime.spawn(relay.run)
