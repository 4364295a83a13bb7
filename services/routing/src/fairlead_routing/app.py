"""Composition root of the routing service."""

from functools import partial

from fairlead_common.bus.rpc import answer
from fairlead_common.operations import routing as ops
from fairlead_common.service import Runtime
from fairlead_common.snapshots.loop import SnapshotLoop

from fairlead_routing.api import RoutingApi, Tables
from fairlead_routing.store import RoutingStore


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    store = RoutingStore(runtime.database)
    tables = Tables(runtime.client, store)
    loop = SnapshotLoop("routing.tables", runtime.owner, tables.publish)
    api = RoutingApi(runtime.client, store, loop)
    answer(runtime.broker, ops.LIST, api.list)
    answer(runtime.broker, ops.GET, api.get)
    answer(runtime.broker, ops.CREATE, api.create)
    answer(runtime.broker, ops.REPLACE, api.replace)
    answer(runtime.broker, ops.DELETE, api.delete)
    answer(runtime.broker, ops.TABLE, api.table)
    runtime.spawn(partial(loop.run, runtime.client))
