"""Health while things die around it: the holder of the lease, the bus, the database. Nothing is told twice or forgotten."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from fairlead_common.bus.reading import read_since
from fairlead_common.db.database import Database
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_health.telling import LONG_AGO
from fairlead_simulator.testing import Running
from nats.aio.client import Client
from sqlalchemy import text

from services.health.tests.running import (
    DOWN,
    Observer,
    attempt,
    call,
    environment,
    eventually,
    providers_file,
    report,
    running,
)
from tests.support.postgres_proxy import postgres_proxy
from tests.support.processes import service_process
from tests.support.servers import NatsServer
from tests.support.waiting import until

OUTAGE_S = float(os.environ.get("OUTAGE_S", "0"))


async def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    async with database.transaction() as session:
        return [tuple(row) for row in await (await session.connection()).execute(text(query))]


async def holder(client: Client) -> str:
    """Instance that holds the lease, or nothing."""
    found = await SnapshotPublisher(client, "leases").read("health.aggregator")
    return found[1].decode().partition(":")[0] if found else ""


async def until_holder(client: Client, instance: str) -> None:
    async def held() -> bool:
        return await holder(client) == instance

    await eventually(held)


async def fail(client: Client, count: int = 5) -> None:
    await report(client, *(call(attempt("openai", ErrorClass.SERVER_ERROR)) for _ in range(count)))


async def die(client: Client, provider: Running) -> None:
    """Traffic sees it fail, and so will probes."""
    await provider.fault("error_500")
    await fail(client)


async def test_the_holder_is_killed_in_an_incident_and_another_goes_on(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)

    def process(name: str):  # type: ignore[no-untyped-def]  # a context manager of a process
        told = environment(nats_url, postgres_dsn, providers, name)
        return service_process("health", told, tmp_path / f"{name}.log")

    async with process("one") as one:
        await until_holder(nats_client, "one")
        async with process("two"):
            await observer.until_status("openai", "healthy")
            await die(nats_client, openai)
            await observer.until_status("openai", "down")
            await observer.until_alerts(["firing"], DOWN)
            await one.kill()
            async with asyncio.timeout(10):
                await until_holder(nats_client, "two")
            await fail(nats_client)
            await openai.clear()
            await observer.until_status("openai", "healthy")
            fired, resolved = await observer.until_alerts(["firing", "resolved"], DOWN)
            assert (fired.sequence, resolved.sequence) == (1, 2)
            assert fired.alert_id == resolved.alert_id
            assert await observer.changes("openai") == ["healthy", "down", "healthy"]


async def test_what_was_heard_while_nobody_held_the_lease_counts(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    """The provider fails between the death of the only replica and its return; edges have stopped asking since."""
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
    await die(nats_client, openai)
    async with running(nats_url, postgres_dsn, providers, probe_interval_unwell_s=300):
        await observer.until_status("openai", "down")
        await observer.until_alerts(["firing"], DOWN)


async def test_the_bus_is_killed_in_an_incident(
    nats_server: NatsServer,
    postgres_dsn: str,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_server.url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await die(nats_client, openai)
        await observer.until_status("openai", "down")
        await observer.until_alerts(["firing"], DOWN)
        nats_server.kill()
        nats_server.start()
        await nats_server.ready()
        await openai.clear()
        await observer.until_status("openai", "healthy")
        await observer.until_alerts(["firing", "resolved"], DOWN)
        assert await observer.changes("openai") == ["healthy", "down", "healthy"]


async def test_an_outage_of_the_database_delays_no_news_loses_nothing_and_doubles_nothing(
    nats_url: str,
    postgres_dsn: str,
    database: Database,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    """It begins in one incident, sees the next one, and ends in that. ``make outage`` makes it last a minute."""
    providers = providers_file(tmp_path, openai=openai.url)
    async with (
        postgres_proxy(postgres_dsn) as proxy,
        running(nats_url, proxy.dsn, providers, "one"),
        running(nats_url, proxy.dsn, providers, "two"),
    ):
        await observer.until_status("openai", "healthy")
        await die(nats_client, openai)
        await observer.until_status("openai", "down")
        await observer.until_alerts(["firing"], DOWN)
        await proxy.cut()
        ends_at = time.monotonic() + OUTAGE_S
        await openai.clear()
        await observer.until_status("openai", "healthy")
        await observer.until_alerts(["firing", "resolved"], DOWN)
        await die(nats_client, openai)
        await observer.until_status("openai", "down")
        await observer.until_alerts(["firing", "resolved", "firing"], DOWN)
        await until(lambda: time.monotonic() >= ends_at, OUTAGE_S + 10)
        await proxy.mend()
        await openai.clear()
        await observer.until_status("openai", "healthy")
        told = await observer.until_alerts(["firing", "resolved"] * 2, DOWN)
        assert [alert.sequence for alert in told] == [1, 2, 3, 4]
        assert await observer.changes("openai") == ["healthy", "down", "healthy", "down", "healthy"]

        async def saved() -> bool:
            found = await rows(database, "SELECT status FROM provider_health_interval ORDER BY sequence")
            alerts = await rows(database, "SELECT status FROM alert WHERE alertname = 'down'")
            states = ["unknown", "healthy", "down", "healthy", "down", "healthy"]
            return (found, alerts) == ([(state,) for state in states], [("resolved",)] * 2)

        async def counted() -> bool:
            frames = await read_since(nats_client, "CALLS", "calls.completed.>", LONG_AGO)
            heard = sum(len(CallsCompleted.model_validate_json(each.data).calls) for each in frames)
            return await rows(database, "SELECT sum(calls) FROM provider_health_hour") == [(heard,)]

        await eventually(saved)
        await eventually(counted)


async def test_what_was_told_but_not_saved_at_a_kill_is_saved_later(
    nats_url: str,
    postgres_dsn: str,
    database: Database,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    async with postgres_proxy(postgres_dsn) as proxy:
        told = environment(nats_url, proxy.dsn, providers, "one")
        async with service_process("health", told, tmp_path / "one.log") as one:
            await observer.until_status("openai", "healthy")
            await proxy.cut()
            await die(nats_client, openai)
            await observer.until_status("openai", "down")
            await openai.clear()
            await observer.until_status("openai", "healthy")
            await die(nats_client, openai)
            await observer.until_status("openai", "down")
            await observer.until_alerts(["firing", "resolved", "firing"], DOWN)
            await one.kill()
        async with running(nats_url, proxy.dsn, providers):  # the database is still away
            await openai.clear()
            await observer.until_status("openai", "healthy")
            told_alerts = await observer.until_alerts(["firing", "resolved", "firing", "resolved"], DOWN)
            assert [alert.sequence for alert in told_alerts] == [1, 2, 3, 4]
            await proxy.mend()
            told_states = {each.state.sequence: each.state.status for each in await observer.events("openai")}
            # the first state is told only when it lasts until the first heartbeat
            expected = [(told_states[sequence].value,) for sequence in sorted(told_states)]
            assert [status for (status,) in expected][-5:] == [
                "healthy",
                "down",
                "healthy",
                "down",
                "healthy",
            ]

            async def saved() -> bool:
                found = await rows(database, "SELECT status FROM provider_health_interval ORDER BY sequence")
                alerts = await rows(database, "SELECT status FROM alert ORDER BY sequence")
                return (found, alerts) == (expected, [("resolved",), ("resolved",)])

            await eventually(saved)
            ends = await rows(
                database, "SELECT ended_at IS NULL FROM provider_health_interval ORDER BY sequence"
            )
            assert ends == [(False,)] * (len(expected) - 1) + [(True,)]


@pytest.mark.parametrize("interval_s", [1])
async def test_replicas_share_the_ticks_and_each_is_executed_once(
    nats_url: str,
    postgres_dsn: str,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
    interval_s: int,
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    ticks: list[str] = []
    subscription = await nats_client.jetstream().subscribe("probes.due.>", ordered_consumer=True)
    async with (
        running(nats_url, postgres_dsn, providers, "one", probe_interval_s=interval_s),
        running(nats_url, postgres_dsn, providers, "two", probe_interval_s=interval_s),
    ):
        await observer.until_status("openai", "healthy")
        while len(ticks) < 5:
            message = await subscription.next_msg(timeout=10)
            ticks.append((message.headers or {})["Nats-Schedule-Next"])
        probes = [each for each in await openai.requests() if each["path"].endswith("completions")]
        assert len(set(ticks)) == len(ticks)
        assert len(ticks) - 1 <= len(probes) <= len(ticks)


async def test_states_and_alerts_outlive_the_loss_of_all_that_the_bus_had(
    nats_url: str,
    postgres_dsn: str,
    database: Database,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    async def saved() -> bool:
        return bool(await rows(database, "SELECT 1 FROM alert"))

    providers, jetstream = providers_file(tmp_path, openai=openai.url), nats_client.jetstream()
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await die(nats_client, openai)
        await observer.until_status("openai", "down")
        await observer.until_alerts(["firing"], DOWN)
        await eventually(saved)
    for stream in ("STATUS", "ALERTS", "KV_provider-status", "KV_alerts-active"):
        await jetstream.purge_stream(stream)
    async with running(nats_url, postgres_dsn, providers):
        await openai.clear()
        await observer.until_status("openai", "healthy")
        (resolved,) = await observer.until_alerts(["resolved"], DOWN)
        assert resolved.sequence == 2
        assert [event.state.sequence for event in await observer.events("openai") if event.changed] == [2, 3]
