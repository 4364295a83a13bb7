"""The health service on a real bus, database and provider: probes, states, alerts, and what people ask and set."""

from pathlib import Path

from fairlead_common.bus.rpc import RpcClient
from fairlead_common.db.database import Database
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.health import ProviderStatus
from fairlead_common.ids import stamp
from fairlead_common.operations.health import PROBE_RESULTS, ProbeResultsQuery
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_health.windows import WindowStore
from fairlead_simulator.testing import Running
from fairlead_simulator.testing import running as simulator
from nats.aio.client import Client
from sqlalchemy import text

from services.health.tests.running import (
    DOWN,
    Observer,
    attempt,
    call,
    eventually,
    providers_file,
    report,
    running,
)


async def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    async with database.transaction() as session:
        return [tuple(row) for row in await (await session.connection()).execute(text(query))]


async def test_probes_find_a_provider_well_and_late_joiners_read_it(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        state = await observer.until_status("openai", "healthy")
        assert state.last_check is not None
        assert await observer.changes("openai") == ["healthy"]
        found = await SnapshotPublisher(nats_client, "provider-status").read("openai")
        assert found is not None
        assert ProviderStatus.model_validate_json(found[1]).status == "healthy"

        async def heartbeats() -> bool:
            return sum(not event.changed for event in await observer.events("openai")) >= 3

        await eventually(heartbeats)
        assert (
            len({event.state.sequence for event in await observer.events("openai") if not event.changed}) <= 2
        )


async def test_the_evidence_of_an_alert_can_be_looked_up(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await openai.fault("error_500")
        failed = [
            call(attempt("openai", ErrorClass.SERVER_ERROR), trace_id=trace)
            for trace in ("a" * 32, "a" * 32, None)
        ]
        await report(nats_client, *failed)
        (alert,) = await observer.until_alerts(["firing"], DOWN)
        assert alert.evidence.call_ids == tuple(each.call_id for each in failed)
        assert alert.evidence.trace_ids == ("a" * 32,)
        query = ProbeResultsQuery(provider="openai")

        async def probed() -> bool:
            found = (await RpcClient(nats_client).call(PROBE_RESULTS, query)).results
            return sum(not each.ok for each in found) >= 3

        await eventually(probed)
        await openai.clear()
        *_, resolved = await observer.until_alerts(["firing", "resolved"], DOWN)
        results = {
            each.call_id: each.ok
            for each in (await RpcClient(nats_client).call(PROBE_RESULTS, query)).results
        }
        assert len(resolved.evidence.probe_ids) == 3
        assert not any(results[each] for each in resolved.evidence.probe_ids)


async def test_a_provider_dies_under_traffic_and_comes_back(
    nats_url: str,
    postgres_dsn: str,
    nats_client: Client,
    database: Database,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await report(nats_client, *(call(attempt("openai")) for _ in range(5)))
        openai.kill()
        await openai.process.wait()
        await report(nats_client, *(call(attempt("openai", ErrorClass.CONNECT)) for _ in range(5)))
        await observer.until_status("openai", "down")
        (alert,) = await observer.until_alerts(["firing"], "alerts.critical.openai.down")
        assert alert.evidence.call_ids
        port = int(openai.url.rpartition(":")[2].split("/")[0])
        async with simulator("openai", port=port):
            await observer.until_status("openai", "healthy")
            fired, resolved = await observer.until_alerts(
                ["firing", "resolved"], "alerts.critical.openai.down"
            )
            assert fired.alert_id == resolved.alert_id
            assert await observer.changes("openai") == ["healthy", "down", "healthy"]

            async def saved() -> bool:
                alerts = await rows(database, "SELECT alertname, status, ends_at IS NULL FROM alert")
                return alerts == [("down", "resolved", False)]

            await eventually(saved)
            query = "SELECT status, ended_at IS NULL FROM provider_health_interval ORDER BY sequence"
            assert await rows(database, query) == [
                ("unknown", False),
                ("healthy", False),
                ("down", False),
                ("healthy", True),
            ]
            assert await rows(database, "SELECT provider, status FROM provider_health") == [
                ("openai", "healthy")
            ]


async def test_a_restart_does_not_forget_the_last_minutes(
    nats_url: str, postgres_dsn: str, database: Database, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    earlier = [call(attempt("openai", duration_ms=400.0), age_s=150) for _ in range(8)]
    earlier += [call(attempt("openai", ErrorClass.SERVER_ERROR), age_s=150) for _ in range(2)]
    earlier += [call(attempt("openai", ErrorClass.RATE_LIMITED), age_s=150) for _ in range(5)]
    frame = CallsCompleted(**stamp(), source="edge-1", calls=tuple(earlier))
    await WindowStore(database).add([frame])
    async with running(nats_url, postgres_dsn, providers_file(tmp_path, openai=openai.url)):
        state = await observer.until_status("openai", "healthy")
        assert state.error_rate is not None
        assert 2 / 13 < state.error_rate < 2 / 10  # and the probes of now
        assert state.avg_latency_ms is not None
        assert state.avg_latency_ms > 200
