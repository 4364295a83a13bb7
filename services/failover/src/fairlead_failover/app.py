"""Composition root of the failover service."""

import os
from functools import partial

from fairlead_common.bus.rpc import answer
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.operations import failover as ops
from fairlead_common.service import Runtime
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_models.providers import load_providers

from fairlead_failover.api import FailoverApi, Policies
from fairlead_failover.controller import Controller
from fairlead_failover.domain import GateSettings
from fairlead_failover.settings import FailoverSettings
from fairlead_failover.store import FailoverStore


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    settings = runtime.settings
    step_s = settings.recovery_step_s if isinstance(settings, FailoverSettings) else GateSettings().step_s
    providers = frozenset(spec.name for spec in load_providers(settings.providers_file, os.environ))
    store = FailoverStore(runtime.database)
    relay = OutboxRelay(runtime.database, "failover", runtime.publisher.send)
    gates = GateSettings(step_s=step_s)
    controller = Controller(runtime.client, store, runtime.owner, providers, gates, relay.wake)
    policies = Policies(runtime.client, store)
    loop = SnapshotLoop("failover.policies", runtime.owner, policies.publish)
    api = FailoverApi(runtime.client, store, loop, providers)
    answer(runtime.broker, ops.GET_CONFIG, api.get_config)
    answer(runtime.broker, ops.PUT_CONFIG, api.put_config)
    answer(runtime.broker, ops.DELETE_CONFIG, api.delete_config)
    answer(runtime.broker, ops.STATE, api.state)
    answer(runtime.broker, ops.OPEN, api.open)
    answer(runtime.broker, ops.RECOVER, api.recover)
    answer(runtime.broker, ops.EVENTS, api.events)
    answer(runtime.broker, ops.ANALYTICS, api.analytics)
    runtime.spawn(controller.run)
    runtime.spawn(partial(loop.run, runtime.client))
    runtime.spawn(relay.run)
