"""Health on a real bus and database with real simulators, in this process or as processes of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.reading import read_last, read_since
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished
from fairlead_common.ids import new_id, stamp, utc_now
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_common.service import Runtime
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_health.app import wire
from fairlead_health.settings import HealthSettings
from fairlead_health.telling import LONG_AGO
from fairlead_simulator.testing import Running
from nats.aio.client import Client
from pydantic import SecretStr

from tests.support.servers import free_port
from tests.support.services import service_here
from tests.support.waiting import until

KEY = "TEST_PROVIDER_KEY"
DOWN = "alerts.critical.openai.down"
QUICK: dict[str, Any] = {"probe_interval_unwell_s": 1, "heartbeat_s": 0.5}


def providers_file(folder: Path, **urls: str) -> Path:
    """A providers file with these providers, OpenAI's wire at each URL."""
    path = folder / "providers.yaml"
    rows = [
        {
            "name": name,
            "wire": "openai-native",
            "base_url": f"{url}/v1",
            "api_key": f"${{{KEY}}}",
            "models": ["gpt-5.4-mini"],
        }
        for name, url in urls.items()
    ]
    path.write_text(yaml.safe_dump({"providers": rows}))
    return path


@asynccontextmanager
async def running(
    nats_url: str, dsn: str, providers: Path, instance: str = "one", **settings: Any
) -> AsyncIterator[Runtime]:
    """Run the service in this process until the block ends; yields when its subscribers run."""
    given = HealthSettings(
        nats_url=SecretStr(nats_url),
        postgres_dsn=SecretStr(dsn),
        providers_file=providers,
        http_port=free_port(),
        instance=instance,
        **{**QUICK, **settings},
    )
    async with service_here("health", given, wire) as found:
        yield found


def environment(nats_url: str, dsn: str, providers: Path, instance: str) -> dict[str, str]:
    """What a process of the service is told."""
    return {
        KEY: "key",
        "FAIRLEAD_NATS_URL": nats_url,
        "FAIRLEAD_POSTGRES_DSN": dsn,
        "FAIRLEAD_PROVIDERS_FILE": str(providers),
        "FAIRLEAD_INSTANCE": instance,
        "FAIRLEAD_PROBE_INTERVAL_UNWELL_S": "1",
        "FAIRLEAD_HEARTBEAT_S": "0.5",
    }


@dataclass
class Observer:
    """Sees what subscribers of the bus see."""

    client: Client
    states: SnapshotFollower[ProviderStatus] = field(
        default_factory=lambda: SnapshotFollower("provider-status", ProviderStatus.model_validate_json)
    )
    task: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Follow the states, as every edge does."""
        self.task = asyncio.create_task(self.states.follow(self.client))
        await self.states.synced.wait()

    async def until_status(self, provider: str, status: str) -> ProviderStatus:
        """The state, once it is ``status``."""
        await until(lambda: provider in self.states and self.states[provider].status == status)
        return self.states[provider]

    async def events(self, provider: str) -> list[ProviderStatusPublished]:
        """All states of a provider that were ever published."""
        found = await read_since(self.client, "STATUS", f"provider.status.{provider}", LONG_AGO)
        return [ProviderStatusPublished.model_validate_json(message.data) for message in found]

    async def changes(self, provider: str) -> list[str]:
        """The states of a provider in turn, from the events that say that it changed."""
        return [event.state.status.value for event in await self.events(provider) if event.changed]

    async def alerts(self, subject: str = "alerts.>") -> list[AlertRaised]:
        """All alerts that were ever published."""
        found = await read_since(self.client, "ALERTS", subject, LONG_AGO)
        return [AlertRaised.model_validate_json(message.data) for message in found]

    async def until_alerts(self, statuses: list[str], subject: str = "alerts.>") -> list[AlertRaised]:
        """Wait until alerts of these statuses were published, and no others before them."""
        async with asyncio.timeout(30):
            while True:
                found = await self.alerts(subject)
                told = [alert.status.value for alert in found]
                if told == statuses:
                    return found
                if told != statuses[: len(told)]:
                    raise AssertionError(f"expected {statuses}, found {told}")
                await asyncio.sleep(0.05)


def attempt(provider: str, error: ErrorClass | None = None, duration_ms: float = 100.0) -> Attempt:
    return Attempt(
        provider=provider, model="gpt-5.4-mini", offset_ms=0, duration_ms=duration_ms, error_class=error
    )


def call(
    *attempts: Attempt, age_s: float = 0.0, kind: CallKind = CallKind.LIVE, trace_id: str | None = None
) -> Call:
    """A call that ended ``age_s`` seconds ago."""
    ok = attempts[-1].ok
    length_s = sum(each.duration_ms for each in attempts) / 1000 + age_s
    return Call(
        call_id=new_id(),
        kind=kind,
        requested_model="gpt-5.4-mini",
        started_at=utc_now().fromtimestamp(utc_now().timestamp() - length_s, utc_now().tzinfo),
        state=CallState.OK if ok else CallState.FAILED,
        status=200 if ok else 502,
        provider=attempts[-1].provider if ok else None,
        duration_ms=length_s * 1000,
        attempts=attempts,
        trace_id=trace_id,
    )


async def report(client: Client, *calls: Call) -> CallsCompleted:
    """Publish a frame, as an edge does."""
    frame = CallsCompleted(**stamp(), source="edge-1", calls=calls)
    await JetStreamPublisher(client.jetstream()).publish(frame)
    return frame


async def eventually(condition: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """The result of the coroutine function ``condition`` as soon as it is true."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
        return found


async def until_scheduled(client: Client, expected: dict[str, str]) -> None:
    """Wait until JetStream has these schedules, by subject, and no others."""

    async def reached() -> bool:
        found = await read_last(client, "PROBES", "probes.schedule.>")
        return {each.subject: (each.headers or {})["Nats-Schedule"] for each in found} == expected

    await eventually(reached)


async def fail(client: Client, provider: Running) -> None:
    """Traffic sees it fail, and so will probes."""
    await provider.fault("error_500")
    await report(client, *(call(attempt("openai", ErrorClass.SERVER_ERROR)) for _ in range(5)))
