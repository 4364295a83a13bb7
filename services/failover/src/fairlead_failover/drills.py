"""Drills on the live system: they lie in the ``failover`` bucket, where every edge sees them, and end by themselves."""

import logging
import time
from datetime import timedelta
from typing import Final

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.ids import new_id, utc_now
from fairlead_common.operations import drills as ops
from fairlead_common.snapshots.drills import LiveDrill
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client

logger = logging.getLogger(__name__)

DRILL: Final = "drill."


class Drills:
    """One method per operation. Any replica can answer: nothing is kept here."""

    def __init__(self, client: Client, providers: frozenset[str]) -> None:
        self._publisher = SnapshotPublisher(client, "failover")
        self._providers = providers

    async def start(self, request: ops.StartDrill) -> LiveDrill:
        """Begin at once."""
        if request.provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise RpcError(
                404,
                "unknown_provider",
                f"provider '{request.provider}' is not configured; configured are {known}",
            )
        if len(await self._going_on()) >= ops.MAX_DRILLS:
            raise RpcError(409, "too_many_drills", f"{ops.MAX_DRILLS} drills go on already; end one first")
        now = utc_now()
        drill = LiveDrill(
            **request.model_dump(exclude={"duration_s"}),
            drill_id=new_id(),
            started_at=now,
            ends_at=now + timedelta(seconds=request.duration_s),
        )
        await self._publisher.put(f"{DRILL}{drill.drill_id}", drill)
        logger.warning("drill %s begins: %s", drill.drill_id, drill.model_dump_json())
        return drill

    async def going_on(self, request: Empty) -> ops.LiveDrills:
        """Those that go on."""
        return ops.LiveDrills(drills=await self._going_on())

    async def end(self, request: ops.DrillId) -> Empty:
        """End one before its time."""
        if request.drill_id not in {each.drill_id for each in await self._going_on()}:
            raise RpcError(404, "unknown_drill", f"no drill '{request.drill_id}' goes on")
        await self._publisher.delete(f"{DRILL}{request.drill_id}")
        logger.warning("drill %s was ended", request.drill_id)
        return Empty()

    async def _going_on(self) -> list[LiveDrill]:
        """Oldest first; those that are over are taken away."""
        found: list[LiveDrill] = []
        for key in await self._publisher.keys():
            read = await self._publisher.read(key) if key.startswith(DRILL) else None
            if read is None:
                continue
            drill = LiveDrill.model_validate_json(read[1])
            if drill.ends_at.timestamp() > time.time():
                found.append(drill)
            else:
                await self._publisher.delete(key)
        return sorted(found, key=lambda each: each.started_at)
