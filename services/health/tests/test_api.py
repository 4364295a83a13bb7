"""What people ask health and set in it, over the bus."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.reading import read_last
from fairlead_common.bus.rpc import Empty, RpcClient, RpcError
from fairlead_common.db.database import Database
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations import alerts
from fairlead_common.operations import health as ops
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_simulator.testing import Running
from nats.aio.client import Client
from pydantic import ValidationError
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
    until_scheduled,
)
from tests.support.postgres_proxy import postgres_proxy
from tests.support.waiting import until

OPENAI = ops.OneProvider(provider="openai")


async def active(client: Client) -> list[AlertRaised]:
    """Values of the bucket of alerts that are open now."""
    bucket = SnapshotPublisher(client, "alerts-active")
    found = [await bucket.read(key) for key in await bucket.keys()]
    return [AlertRaised.model_validate_json(each[1]) for each in found if each is not None]


async def test_an_alert_is_listed_acknowledged_and_over(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await openai.fault("error_500")
        await report(nats_client, *(call(attempt("openai", ErrorClass.SERVER_ERROR)) for _ in range(5)))
        (alert,) = await observer.until_alerts(["firing"], DOWN)

        async def listed() -> list[AlertRaised]:
            return (await rpc.call(alerts.ALERTS, alerts.AlertsQuery(active=True))).alerts

        assert [each.alert_id for each in await eventually(listed)] == [alert.alert_id]
        assert [each.alert_id for each in await active(nats_client)] == [alert.alert_id]
        found = await rpc.call(alerts.ACKNOWLEDGE, alerts.Acknowledge(alert_id=alert.alert_id, by="ann"))
        assert (found.status, found.labels["acknowledged_by"]) == ("acknowledged", "ann")
        await observer.until_alerts(["firing", "acknowledged"], DOWN)
        assert [each.status for each in await listed()] == ["acknowledged"]

        await openai.clear()
        *_, resolved = await observer.until_alerts(["firing", "acknowledged", "resolved"], DOWN)
        assert (resolved.sequence, resolved.labels["acknowledged_by"]) == (3, "ann")

        async def none_active() -> bool:
            return not await active(nats_client) and not await listed()

        await eventually(none_active)
        with pytest.raises(RpcError, match="resolved already") as refused:
            await rpc.call(alerts.ACKNOWLEDGE, alerts.Acknowledge(alert_id=alert.alert_id, by="bob"))
        assert refused.value.status == 409
        (kept,) = (await rpc.call(alerts.ALERTS, alerts.AlertsQuery(provider="openai"))).alerts
        assert kept == resolved
        with pytest.raises(RpcError, match="there is no alert 'x'"):
            await rpc.call(alerts.ACKNOWLEDGE, alerts.Acknowledge(alert_id="x", by="bob"))


async def test_a_silence_holds_its_time_and_no_longer(
    nats_url: str,
    postgres_dsn: str,
    database: Database,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    now = datetime.now(UTC)
    silence = alerts.SilenceIn(
        matchers={"provider": "openai"}, ends_at=now + timedelta(hours=1), reason="a drill", by="ann"
    )
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await rpc.call(alerts.SILENCE, silence)
        with pytest.raises(RpcError, match="in the future"):
            await rpc.call(alerts.SILENCE, silence.model_copy(update={"ends_at": now}))
        await rpc.call(ops.PUT_PROBE, ops.PutProbe(provider="openai", probe=ops.ProbeIn(interval_s=120)))
        await until_scheduled(nats_client, {"probes.schedule.openai": "@every 120s"})  # so both are known
        await openai.fault("error_500")
        await report(nats_client, *(call(attempt("openai", ErrorClass.SERVER_ERROR)) for _ in range(5)))
        await observer.until_alerts(["suppressed"], DOWN)
        async with database.transaction() as session:
            await (await session.connection()).execute(text("UPDATE alert_silence SET ends_at = now()"))
        suppressed, firing = await observer.until_alerts(["suppressed", "firing"], DOWN)
        assert suppressed.alert_id == firing.alert_id


async def test_maintenance_begins_and_ends(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    begin = ops.SetMaintenance(provider="openai", maintenance=ops.MaintenanceIn(reason="new keys"))
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await rpc.call(ops.SET_MAINTENANCE, begin)
        await rpc.call(ops.END_MAINTENANCE, OPENAI)  # at once: what was answered has held

        async def told() -> bool:
            return await observer.changes("openai") == ["healthy", "maintenance", "unknown", "healthy"]

        await eventually(told)
        reasons = [event.state.reason for event in await observer.events("openai")]
        assert "maintenance: new keys" in reasons

        async def saved() -> bool:
            history = await rpc.call(ops.HISTORY, ops.HistoryQuery(provider="openai"))
            return [each.status for each in history.intervals] == [
                "healthy",
                "unknown",
                "maintenance",
                "healthy",
                "unknown",
            ]

        await eventually(saved)
        late = begin.maintenance.model_copy(update={"ends_at": datetime.now(UTC) - timedelta(seconds=1)})
        with pytest.raises(RpcError, match="in the future"):
            await rpc.call(ops.SET_MAINTENANCE, begin.model_copy(update={"maintenance": late}))


async def test_schedules_are_changed_and_probes_run_by_hand(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)

    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await until_scheduled(nats_client, {"probes.schedule.openai": "@every 240s"})
        (probe,) = (await rpc.call(ops.PROBES, Empty())).probes
        assert (probe.provider, probe.kind, probe.interval_s, probe.enabled) == (
            "openai",
            "completion",
            240,
            True,
        )
        put = ops.PutProbe(provider="openai", probe=ops.ProbeIn(kind="streaming", interval_s=120))
        assert (await rpc.call(ops.PUT_PROBE, put)).interval_s == 120
        await until_scheduled(nats_client, {"probes.schedule.openai": "@every 120s"})
        result = await rpc.call(ops.RUN_PROBE, ops.RunProbe(provider="openai"))
        assert (result.ok, result.kind, result.error_class) == (True, "streaming", None)
        assert result.ttft_ms is not None
        assert result.first_byte_ms is not None
        assert result.cost_usd is not None
        off = ops.PutProbe(provider="openai", probe=ops.ProbeIn(enabled=False))
        await rpc.call(ops.PUT_PROBE, off)
        await until_scheduled(nats_client, {})
        await openai.fault("rate_limited")
        result = await rpc.call(ops.RUN_PROBE, ops.RunProbe(provider="openai"))
        assert (result.ok, result.error_class) == (False, "rate_limited")
        assert observer.states["openai"].status == "healthy"
        with pytest.raises(RpcError, match="'opnai' is not configured; configured are openai") as refused:
            await rpc.call(ops.RUN_PROBE, ops.RunProbe(provider="opnai"))
        assert refused.value.status == 404


async def test_when_the_budget_is_spent_probes_are_cheap_and_a_restart_does_not_forget_it(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    run = ops.RunProbe(provider="openai")
    frugal = ops.ProbeIn(interval_s=3600, daily_budget_usd=1e-9, monthly_budget_usd=1)

    async def spent() -> bool:
        (found,) = (await rpc.call(ops.PROBES, Empty())).probes
        return found.budget_spent == "daily"

    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await rpc.call(ops.PUT_PROBE, ops.PutProbe(provider="openai", probe=frugal))
        await eventually(spent)
        assert (await rpc.call(ops.RUN_PROBE, run)).kind == "cheap"
    async with running(nats_url, postgres_dsn, providers):
        await eventually(spent)
        result = await rpc.call(ops.RUN_PROBE, run)
        assert (result.kind, result.ok, result.cost_usd) == ("cheap", True, 0.0)

        async def recorded() -> list[str]:
            query = ops.ProbeResultsQuery(provider="openai", limit=2)
            found = (await rpc.call(ops.PROBE_RESULTS, query)).results
            return [each.call_id for each in found if each.call_id == result.call_id]

        await eventually(recorded)
        generous = frugal.model_copy(update={"daily_budget_usd": 1.0})
        assert (
            await rpc.call(ops.PUT_PROBE, ops.PutProbe(provider="openai", probe=generous))
        ).budget_spent is None
        assert (await rpc.call(ops.RUN_PROBE, run)).kind == "completion"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"intervall_s": 5}, "Extra inputs are not permitted"),
        ({"interval_s": 0}, "greater than or equal to 1"),
        ({"kind": "ping"}, "'cheap', 'completion' or 'streaming'"),
        ({"models": ["a", "a"]}, "each model may be named once"),
        ({"models": [""]}, "at least 1 character"),
        ({"daily_budget_usd": -1}, "greater than or equal to 0"),
        ({"daily_budget_usd": 5, "monthly_budget_usd": 4}, "can never be spent within a monthly budget of 4"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(given: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ops.ProbeIn.model_validate(given)


async def test_windows_count_what_edges_report_and_a_frame_that_cannot_be_read_harms_nobody(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await nats_client.jetstream().publish("calls.completed.edge-1", b'{"calls": 1}')
        outcomes = [None] * 7 + [ErrorClass.SERVER_ERROR, ErrorClass.RATE_LIMITED, ErrorClass.BAD_REQUEST]
        frame = await report(nats_client, *(call(attempt("openai", error)) for error in outcomes))
        await JetStreamPublisher(nats_client.jetstream()).publish(frame)

        async def counted() -> ops.Window | None:
            detail = await rpc.call(ops.PROVIDER, OPENAI)
            found = next(each for each in detail.windows if (each.window, each.model) == ("1h", None))
            return found if found.limited else None

        window = await eventually(counted)
        assert window.availability_percentage == 100.0
        asked = ops.HistoryQuery(
            provider="openai", since=datetime.now(UTC) - timedelta(minutes=10), resolution="5m"
        )
        points = (await rpc.call(ops.HISTORY, asked)).points
        assert sum(each.calls for each in points) == window.calls
        with pytest.raises(RpcError, match="ask for 1h or 1d") as refused:
            await rpc.call(
                ops.HISTORY, asked.model_copy(update={"since": datetime.now(UTC) - timedelta(days=9)})
            )
        assert refused.value.status == 422
        assert window.calls >= 9 + 1  # and the probe that found it healthy
        assert (window.failures, window.limited) == (1, 1)
        assert window.error_rate == 1 / (window.calls - 1)
        (letter,) = await read_last(nats_client, "DLQ", "dlq.>")
        assert letter.subject == "dlq.calls.completed.edge-1"


async def test_the_summary_needs_no_database(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc = RpcClient(nats_client)
    providers = providers_file(tmp_path, openai=openai.url, spare="http://127.0.0.1:9")
    async with postgres_proxy(postgres_dsn) as proxy, running(nats_url, proxy.dsn, providers):
        await observer.until_status("openai", "healthy")
        await observer.until_status("spare", "down")
        await until(lambda: observer.states["spare"].uptime_percentage == 0.0)
        await proxy.cut()
        found = {each.provider: each for each in (await rpc.call(ops.SUMMARY, Empty())).providers}
        assert {name: each.status.value for name, each in found.items()} == {
            "openai": "healthy",
            "spare": "down",
        }
        assert found["openai"].uptime_percentage == 100.0
        assert 0 < found["openai"].coverage_percentage < 1
        with pytest.raises(RpcError) as away:
            await rpc.call(ops.HISTORY, ops.HistoryQuery(provider="openai"))
        assert away.value.status == 503


async def test_a_provider_that_is_no_longer_configured_leaves_nothing_behind(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    both = providers_file(tmp_path, openai=openai.url, spare="http://127.0.0.1:9")
    async with running(nats_url, postgres_dsn, both):
        await observer.until_status("openai", "healthy")
        await observer.until_alerts(["firing"], "alerts.critical.spare.down")
    one = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, one):
        _, resolved = await observer.until_alerts(["firing", "resolved"], "alerts.critical.spare.down")
        assert resolved.annotations["description"] == "the provider is no longer configured"

        async def gone() -> bool:
            schedules = await read_last(nats_client, "PROBES", "probes.schedule.spare")
            return not schedules and not await active(nats_client) and "spare" not in observer.states

        await eventually(gone)
