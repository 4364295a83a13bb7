"""Probes by ticks of JetStream, on a real bus and real providers: what is probed, how often, and what holds up nobody."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import orjson
import pytest
from fairlead_common.bus.reading import read_last, read_since
from fairlead_common.bus.rpc import RpcClient
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.health import ProviderStatus, Status
from fairlead_common.ids import utc_now
from fairlead_common.operations.health import PROBE_RESULTS, RUN_PROBE, ProbeResultsQuery, RunProbe
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_health import probes
from fairlead_health.domain.pace import IDLE_S
from fairlead_health.probes import contradicts, jitter_s, result_id
from fairlead_health.telling import LONG_AGO
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Pricing, built_in
from fairlead_models.catalog.workspaces import ALL
from fairlead_simulator.testing import Running
from fairlead_simulator.testing import running as simulator
from nats.aio.client import Client

from services.health.tests.running import (
    Observer,
    attempt,
    call,
    environment,
    eventually,
    providers_file,
    report,
    running,
    until_scheduled,
)
from tests.support.processes import ServiceProcess, service_process
from tests.support.waiting import until


async def tick(client: Client, provider: str) -> None:
    """A tick out of turn."""
    await client.jetstream().publish(f"probes.due.{provider}", b"")


async def chats(provider: Running) -> int:
    """How often it was asked for a chat."""
    return sum(each["path"].endswith("completions") for each in await provider.requests())


async def tick_until_probed(client: Client, provider: Running, name: str, before: int) -> None:
    """Tick until a tick is taken: one that comes while a probe is under way is not."""

    async def probed() -> bool:
        await tick(client, name)
        return await chats(provider) > before

    await eventually(probed)


async def more_chats(provider: Running, than: int) -> bool:
    return await chats(provider) > than


async def until_quiet(client: Client) -> None:
    """Wait until every tick has been executed."""

    async def quiet() -> bool:
        found = await client.jetstream().consumer_info("PROBES", "health-probes")
        return not found.num_pending and not found.num_ack_pending

    await eventually(quiet)


def is_idle(state: ProviderStatus) -> bool:
    return state.last_check is not None and time.time() - state.last_check.timestamp() > IDLE_S


async def test_one_tick_finds_out_that_an_idle_provider_is_down(
    nats_url: str,
    postgres_dsn: str,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without confirmations it would take three of them: a quarter of an hour."""
    monkeypatch.setattr(probes, "CONFIRM_BAD_S", 0.3)
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        before = await chats(openai)
        await openai.fault("error_500")
        await tick_until_probed(nats_client, openai, "openai", before)
        await observer.until_status("openai", "down")
        await observer.until_alerts(["firing"], "alerts.critical.openai.down")


async def test_a_provider_that_hangs_holds_up_nobody_and_is_asked_once_at_a_time(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    async with simulator("openai") as other:
        providers = providers_file(tmp_path, openai=openai.url, other=other.url)
        async with running(nats_url, postgres_dsn, providers):
            await observer.until_status("openai", "healthy")
            await observer.until_status("other", "healthy")
            before, others = await chats(openai), await chats(other)
            await openai.fault("slow_first_token", delay_s=60)
            await tick_until_probed(nats_client, openai, "openai", before)
            for _ in range(5):
                await tick(nats_client, "openai")
            await tick_until_probed(nats_client, other, "other", others)
            assert await chats(openai) == before + 1


async def test_a_provider_that_traffic_has_just_proven_is_not_probed(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    async with simulator("openai") as other:
        providers = providers_file(tmp_path, openai=openai.url, other=other.url)
        async with running(nats_url, postgres_dsn, providers):
            await observer.until_status("openai", "healthy")
            await observer.until_status("other", "healthy")
            before, others = await chats(openai), await chats(other)
            await report(nats_client, call(attempt("openai")))
            await until(lambda: observer.states["openai"].evidence[0].source == "passive")
            await tick(nats_client, "openai")
            await tick_until_probed(nats_client, other, "other", others)
            assert await chats(openai) == before


async def test_where_no_model_is_known_the_list_of_models_is_asked_for(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    providers = providers_file(tmp_path, unheard_of=openai.url)
    providers.write_text(providers.read_text().replace("  models:\n  - gpt-5.4-mini\n", ""))
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("unheard_of", "healthy")
        assert await chats(openai) == 0
        (message,) = await read_last(nats_client, "CALLS", "calls.completed.>")
        (probe,) = CallsCompleted.model_validate_json(message.data).calls
        assert (probe.api, probe.kind) == ("probe.cheap", "probe")


async def test_a_probe_costs_what_the_operator_says(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    catalog = Catalog(built_in(utc_now()), ("openai",))
    price = Pricing(input_usd_per_mtok=1e6, output_usd_per_mtok=1e6)
    dear = [entry.model_copy(update={"pricing": price}) for entry in catalog.entries.values()]
    await SnapshotPublisher(nats_client, "catalog").put(
        ALL, orjson.dumps(Catalog(dear, ("openai",)).to_snapshot())
    )
    async with running(nats_url, postgres_dsn, providers_file(tmp_path, openai=openai.url)):
        await observer.until_status("openai", "healthy")

        rpc = RpcClient(nats_client)

        async def paid() -> bool:
            await rpc.call(RUN_PROBE, RunProbe(provider="openai"))
            found = (await rpc.call(PROBE_RESULTS, ProbeResultsQuery(provider="openai"))).results
            return any(each.cost_usd is not None and each.cost_usd > 1.0 for each in found)

        await eventually(paid)
        (alert,) = await observer.until_alerts(["firing"], "alerts.info.openai.probe_budget_spent")
        assert alert.window == "monthly"


async def test_a_cheap_probe_needs_no_more_than_an_answer(
    nats_url: str, postgres_dsn: str, nats_client: Client, observer: Observer, tmp_path: Path
) -> None:
    async def unlisted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(unlisted, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        providers = providers_file(tmp_path, bare=f"http://127.0.0.1:{port}")
        providers.write_text(providers.read_text().replace("  models:\n  - gpt-5.4-mini\n", ""))
        async with running(nats_url, postgres_dsn, providers):
            await observer.until_status("bare", "healthy")


async def test_a_lone_failure_of_an_idle_provider_is_looked_into_at_once(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    """The next tick would come in a day."""
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers, probe_interval_s=86_400):
        await observer.until_status("openai", "healthy")
        await until_scheduled(nats_client, {"probes.schedule.openai": "@every 86400s"})
        await until_quiet(nats_client)
        before = await chats(openai)
        await until(lambda: is_idle(observer.states["openai"]))
        await report(nats_client, call(attempt("openai", ErrorClass.CONNECT)))
        await eventually(lambda: more_chats(openai, before))
        assert await observer.changes("openai") == ["healthy"]


async def test_each_tick_has_one_result_although_a_replica_is_killed_in_the_middle(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    names = [name for name in map("openai-{}".format, range(99)) if jitter_s(name, 86_400) < 0.5][:6]
    providers = providers_file(tmp_path, **dict.fromkeys(names, openai.url))
    schedules = {f"probes.schedule.{name}": "@every 86400s" for name in names}

    def process(name: str) -> AbstractAsyncContextManager[ServiceProcess]:
        told = environment(nats_url, postgres_dsn, providers, name)
        told["FAIRLEAD_PROBE_INTERVAL_S"] = "86400"
        return service_process("health", told, tmp_path / f"{name}.log")

    async with process("one") as one, process("two"), process("three"):
        for name in names:
            await observer.until_status(name, "healthy")
        await until_scheduled(nats_client, schedules)
        await until_quiet(nats_client)
        before = await chats(openai)
        await openai.fault("slow_first_token", delay_s=2.0)
        sent = [await nats_client.jetstream().publish(f"probes.due.{name}", b"") for name in names]
        await eventually(lambda: more_chats(openai, before + len(names) - 1))
        await one.kill()
        ticks = await read_since(nats_client, "PROBES", "probes.due.>", LONG_AGO)
        of_ours = [tick for tick in ticks if tick.metadata.sequence.stream in {ack.seq for ack in sent}]
        expected = {result_id(tick, "None/0") for tick in of_ours}
        assert len(expected) == len(names)

        async def results() -> list[str]:
            found = await read_since(nats_client, "CALLS", "calls.completed.>", LONG_AGO)
            calls = [call for each in found for call in CallsCompleted.model_validate_json(each.data).calls]
            return sorted(call.call_id for call in calls if call.call_id in expected)

        async def each_once() -> bool:
            return await results() == sorted(expected)

        await eventually(each_once)


async def test_ticks_that_nobody_executes_expire(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, providers_file(tmp_path, openai=openai.url)):
        await observer.until_status("openai", "healthy")
        await until_scheduled(nats_client, {"probes.schedule.openai": "@every 240s"})
        (schedule,) = await read_last(nats_client, "PROBES", "probes.schedule.>")
        (due,) = await read_last(nats_client, "PROBES", "probes.due.>")
    assert (schedule.headers or {})["Nats-Schedule-TTL"] == "60s"
    assert (due.headers or {})["Nats-TTL"] == "10s"


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (None, Status.HEALTHY, False),
        (None, Status.DEGRADED, False),
        (None, Status.DOWN, True),
        (None, Status.UNKNOWN, True),
        (ErrorClass.CONNECT, Status.HEALTHY, True),
        (ErrorClass.CONNECT, Status.DEGRADED, True),
        (ErrorClass.CONNECT, Status.DOWN, False),
        (ErrorClass.RATE_LIMITED, Status.HEALTHY, False),
        (ErrorClass.RATE_LIMITED, Status.DOWN, False),
    ],
)
def test_what_contradicts_the_known_state(error: ErrorClass | None, status: Status, expected: bool) -> None:
    assert contradicts(call(attempt("openai", error)), status) == expected


def test_schedules_that_fire_together_are_spread_the_same_way_each_time() -> None:
    offsets = [jitter_s(f"provider-{i}", 300) for i in range(200)]
    assert offsets == [jitter_s(f"provider-{i}", 300) for i in range(200)]
    assert 0 <= min(offsets) < 0.5
    assert 4.5 < max(offsets) <= 5
    assert max(jitter_s(f"provider-{i}", 10) for i in range(200)) <= 1
