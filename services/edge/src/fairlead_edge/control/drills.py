"""``/api/providers/failover/drills``: faults injected on purpose into a share of the live traffic, by the operator."""

from fairlead_common.bus.rpc import Empty
from fairlead_common.operations import drills as ops
from fairlead_common.snapshots.drills import LiveDrill
from fastapi import APIRouter

from fairlead_edge.control.dependencies import OPERATOR, KeyId, Rpc

router = APIRouter(prefix="/api/providers/failover/drills", tags=["failover"], dependencies=[OPERATOR])


@router.get("", summary="Drills that go on")
async def list_drills(rpc: Rpc) -> ops.LiveDrills:
    """Oldest first."""
    return await rpc.call(ops.DRILLS, Empty())


@router.post("", status_code=201, summary="Start a drill")
async def start_drill(rpc: Rpc, key_id: KeyId, body: ops.DrillIn) -> LiveDrill:
    """Attempts that it strikes fail as if the provider had failed; their answers carry ``x-fairlead-drill``.

    Breakers, health and failover see these failures like others, so a large share moves the provider's traffic away.
    Struck calls are recorded with the kind ``drill``, and do not count in comparisons.
    """
    return await rpc.call(ops.START_DRILL, ops.StartDrill(**body.model_dump(), started_by=key_id))


@router.delete("/{drill_id}", status_code=204, summary="End a drill")
async def end_drill(rpc: Rpc, drill_id: str) -> None:
    """Before its time."""
    await rpc.call(ops.END_DRILL, ops.DrillId(drill_id=drill_id))
