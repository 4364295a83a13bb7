"""``/api/providers/health``: states, windows, history, probes, maintenance. Alerts are in ``alerts``."""

from typing import Annotated

from fairlead_common.bus.rpc import Empty
from fairlead_common.operations import health as ops
from fairlead_common.operations import incidents, notifiers
from fastapi import APIRouter, Query

from fairlead_edge.control.dependencies import OPERATOR, Rpc

router = APIRouter(prefix="/api/providers/health", tags=["health"])


@router.get("", summary="All providers")
async def summary(rpc: Rpc) -> ops.Summary:
    """Status, score, error rate, uptime, evidence."""
    return await rpc.call(ops.SUMMARY, Empty())


@router.get("/probes", summary="Probe schedules")
async def probes(rpc: Rpc) -> ops.Probes:
    """One for each provider."""
    return await rpc.call(ops.PROBES, Empty())


@router.put("/probes/{provider}", summary="Change a probe schedule", dependencies=[OPERATOR])
async def put_probe(rpc: Rpc, provider: str, body: ops.ProbeIn) -> ops.Probe:
    """Kind, interval, models, budgets."""
    return await rpc.call(ops.PUT_PROBE, ops.PutProbe(provider=provider, probe=body))


@router.get("/probes/{provider}", summary="Results of probes")
async def probe_results(
    rpc: Rpc, provider: str, limit: Annotated[int, Query(ge=1, le=5000)] = 100
) -> ops.ProbeResults:
    """Newest first, with the phases of each."""
    return await rpc.call(ops.PROBE_RESULTS, ops.ProbeResultsQuery(provider=provider, limit=limit))


@router.post("/probes/{provider}/run", summary="Probe now", dependencies=[OPERATOR])
async def run_probe(rpc: Rpc, provider: str, body: ops.RunProbeIn | None = None) -> ops.ProbeResult:
    """Waits for the result, which also counts. When the budget of the probes is spent, it is of the cheap kind."""
    return await rpc.call(ops.RUN_PROBE, ops.RunProbe(provider=provider, probe=body or ops.RunProbeIn()))


@router.put("/{provider}/maintenance", status_code=204, summary="Begin maintenance", dependencies=[OPERATOR])
async def set_maintenance(rpc: Rpc, provider: str, body: ops.MaintenanceIn) -> None:
    """The provider gets no traffic, and its state no blame."""
    await rpc.call(ops.SET_MAINTENANCE, ops.SetMaintenance(provider=provider, maintenance=body))


@router.delete("/{provider}/maintenance", status_code=204, summary="End maintenance", dependencies=[OPERATOR])
async def end_maintenance(rpc: Rpc, provider: str) -> None:
    """It is judged again."""
    await rpc.call(ops.END_MAINTENANCE, ops.OneProvider(provider=provider))


@router.get("/deliveries", summary="Delivery log", dependencies=[OPERATOR])
async def deliveries(rpc: Rpc, query: Annotated[notifiers.DeliveriesQuery, Query()]) -> notifiers.Deliveries:
    """What was sent to whom: attempts, status, errors, durations; newest first."""
    return await rpc.call(notifiers.DELIVERIES, query)


@router.get("/incidents", summary="Incidents")
async def get_incidents(rpc: Rpc, query: Annotated[incidents.IncidentsQuery, Query()]) -> incidents.Incidents:
    """With their time line: states, alerts, switches; newest first."""
    return await rpc.call(incidents.INCIDENTS, query)


@router.get("/{provider}", summary="One provider")
async def one(rpc: Rpc, provider: str) -> ops.ProviderDetail:
    """With its windows from 1 minute to 30 days, per model."""
    return await rpc.call(ops.PROVIDER, ops.OneProvider(provider=provider))


@router.get("/{provider}/history", summary="History of one provider")
async def history(rpc: Rpc, query: Annotated[ops.HistoryRange, Query()], provider: str) -> ops.History:
    """Its states, newest first; with a resolution its figures in steps of that length too, oldest first."""
    return await rpc.call(ops.HISTORY, ops.HistoryQuery(provider=provider, **dict(query)))
