"""Failover on a real bus and database, in this process or as one of its own; the test plays health and the edges."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.reading import read_since
from fairlead_common.bus.rpc import Empty, RpcClient
from fairlead_common.events.calls import Attempt, Call, CallsCompleted
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.events.health import ProviderStatus, Status
from fairlead_common.ids import new_id, stamp, utc_now
from fairlead_common.operations import failover as ops
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_common.service import Runtime
from fairlead_common.snapshots.failover import FleetGate, FleetSnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_failover.app import wire
from fairlead_failover.settings import FailoverSettings
from nats.aio.client import Client
from pydantic import SecretStr

from tests.support.servers import free_port
from tests.support.services import service_here
from tests.support.waiting import until

STEP_S = 0.1
KEY = "TEST_PROVIDER_KEY"
MODEL = "gpt-5.4-mini"
LONG_AGO = datetime.now(UTC) - timedelta(days=1)
NOBODY = "http://127.0.0.1:9"
PROVIDERS = ("openai", "anthropic", "mistral")


def providers_file(folder: Path, **urls: str) -> Path:
    """Providers where nobody answers, but those whose address is given."""
    path = folder / "providers.yaml"
    rows = [
        {"name": name, "api_key": f"${{{KEY}}}", "base_url": urls.get(name, NOBODY)} for name in PROVIDERS
    ]
    path.write_text(yaml.safe_dump({"providers": rows}))
    return path


@asynccontextmanager
async def running(
    nats_url: str,
    dsn: str,
    folder: Path,
    instance: str = "one",
    urls: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Runtime]:
    """Run the service in this process until the block ends; yields when its subscribers run."""
    given = FailoverSettings(
        nats_url=SecretStr(nats_url),
        postgres_dsn=SecretStr(dsn),
        providers_file=providers_file(folder, **(urls or {})),
        http_port=free_port(),
        instance=instance,
        **{"recovery_step_s": STEP_S, **settings},
    )
    async with service_here("failover", given, wire) as found:
        yield found


def environment(nats_url: str, dsn: str, folder: Path, instance: str) -> dict[str, str]:
    """What a process of the service is told."""
    return {
        KEY: "key",
        "FAIRLEAD_NATS_URL": nats_url,
        "FAIRLEAD_POSTGRES_DSN": dsn,
        "FAIRLEAD_PROVIDERS_FILE": str(providers_file(folder)),
        "FAIRLEAD_INSTANCE": instance,
        "FAIRLEAD_RECOVERY_STEP_S": str(STEP_S),
    }


class Fleet:
    """What the rest of the fleet does and sees: health's states, the edges' calls and snapshots, events."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rpc = RpcClient(client)
        self.seen: list[FleetSnapshot] = []
        self._sequence = 0
        self._status = SnapshotPublisher(client, "provider-status")
        self._failover = SnapshotFollower("failover", bytes, on_change=self._changed)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._failover.follow(self.client))
        await self._failover.synced.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _changed(self, key: str) -> None:
        if key == "fleet":
            self.seen.append(FleetSnapshot.model_validate_json(self._failover["fleet"]))

    @property
    def policies(self) -> dict[str, bytes]:
        return {key: value for key, value in self._failover.items() if key.startswith("policy.")}

    def gate(self, provider: str) -> FleetGate | None:
        """As an edge sees it: None = closed."""
        return self.seen[-1].gates.get(provider) if self.seen else None

    def policy_gate(self, policy: str, target: str) -> str | None:
        """State of the gate of a workspace's own policy."""
        gates = self.seen[-1].policies.get(policy, {}) if self.seen else {}
        return gates[target].state.value if target in gates else None

    async def until_gate(self, provider: str, state: str) -> FleetGate | None:
        """The gate, once it is in this state."""

        def reached() -> bool:
            gate = self.gate(provider)
            return bool(self.seen) and (gate.state.value if gate else "closed") == state

        await until(reached)
        return self.gate(provider)

    def shares(self, provider: str) -> list[float]:
        """The shares of a provider in turn, without repetitions."""
        found: list[float] = []
        for snapshot in self.seen:
            gate = snapshot.gates.get(provider)
            share = gate.share if gate else 1.0
            if not found or found[-1] != share:
                found.append(share)
        return found

    async def say(self, provider: str, status: Status) -> None:
        """Health publishes a state."""
        self._sequence += 1
        now = utc_now()
        state = ProviderStatus(
            provider=provider,
            status=status,
            since=now,
            sequence=self._sequence,
            reason="a test",
            last_check=now,
        )
        await self._status.put(provider, state)

    async def report(
        self, provider: str, *outcomes: ErrorClass | None, age_s: float = 0.0, model: str = MODEL
    ) -> None:
        """An edge reports calls that ended ``age_s`` seconds ago."""
        started_at = utc_now() - timedelta(seconds=age_s)
        calls = tuple(
            Call(
                call_id=new_id(),
                requested_model="m",
                started_at=started_at,
                state=CallState.FAILED if error else CallState.OK,
                status=502 if error else 200,
                duration_ms=0,
                attempts=(
                    Attempt(provider=provider, model=model, offset_ms=0, duration_ms=0, error_class=error),
                ),
            )
            for error in outcomes
        )
        frame = CallsCompleted(**stamp(), source="edge-1", calls=calls)
        await JetStreamPublisher(self.client.jetstream()).publish(frame)

    async def events(self) -> list[FailoverSwitched | FailoverRecovered]:
        """All that was ever published."""
        return [
            FailoverSwitched.model_validate_json(message.data)
            if message.subject.startswith("failover.switched")
            else FailoverRecovered.model_validate_json(message.data)
            for message in await read_since(self.client, "FAILOVER", "failover.>", LONG_AGO)
        ]

    async def until_events(self, *kinds: str) -> list[FailoverSwitched | FailoverRecovered]:
        """Wait until events of these kinds were published, and no others before them."""
        async with asyncio.timeout(30):
            while True:
                found = await self.events()
                told = ["switched" if isinstance(each, FailoverSwitched) else "recovered" for each in found]
                if told == list(kinds):
                    return found
                if told != list(kinds)[: len(told)]:
                    raise AssertionError(f"expected {kinds}, found {told}")
                await asyncio.sleep(0.05)

    async def until_controller(self, instance: str) -> None:
        """Wait until this replica controls the fleet, and a snapshot is there for the next one to go on from."""
        leases = SnapshotPublisher(self.client, "leases")
        async with asyncio.timeout(30):
            while True:
                found = await leases.read("failover.controller")
                if found is not None and found[1].decode().partition(":")[0] == instance:
                    break
                await asyncio.sleep(0.05)
        await until(lambda: bool(self.seen))

    async def force(self, provider: str, model: str | None = None, **end: Any) -> ops.FailoverState:
        """An operator takes a provider out, as soon as there is somebody to do it."""
        return await self.hold("out", provider, model, **end)

    async def hold(self, kind: str, provider: str, model: str | None = None, **end: Any) -> ops.FailoverState:
        """An operator's hand."""
        fields = {"kind": kind, "provider": provider, "model": model, "reason": "by hand", **end}
        return await self.rpc.call(ops.HOLD, ops.Hold.model_validate(fields))

    async def release(self, provider: str, model: str | None = None) -> ops.FailoverState:
        """An operator brings it back."""
        asked = ops.TargetIn(provider=provider, model=model, reason="by hand")
        return await self.rpc.call(ops.RELEASE, asked)

    async def state(self) -> dict[str, ops.GateOut]:
        """Gates of providers, as the API tells them."""
        found = await self.rpc.call(ops.STATE, Empty())
        return {gate.provider: gate for gate in found.gates if gate.model is None}
