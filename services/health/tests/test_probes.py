"""Probes by ticks of JetStream, on a real bus and real providers: what is probed, how often, and what holds up nobody."""

from pathlib import Path

import pytest
from fairlead_common.bus.reading import read_last
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.health import Status
from fairlead_common.outcomes import ErrorClass
from fairlead_health import probes
from fairlead_health.probes import contradicts, jitter_s
from fairlead_simulator.testing import Running
from fairlead_simulator.testing import running as simulator
from nats.aio.client import Client

from services.health.tests.running import (
    Observer,
    attempt,
    call,
    eventually,
    providers_file,
    report,
    running,
)
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


async def test_ticks_that_nobody_executes_expire(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, providers_file(tmp_path, openai=openai.url)):
        await observer.until_status("openai", "healthy")
        (schedule,) = await read_last(nats_client, "PROBES", "probes.schedule.>")
        (due,) = await read_last(nats_client, "PROBES", "probes.due.>")
    assert (schedule.headers or {})["Nats-Schedule-TTL"] == "10s"
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
