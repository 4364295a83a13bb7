"""Server-sent events of states and alerts, over real HTTP and a real bus: late joiners, reconnects, a bus that dies."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished, Status
from fairlead_common.ids import new_id, stamp, utc_now
from nats.aio.client import Client

from tests.support.edge import ADMIN, OTHER, RunningEdge, edge_here, store_keys
from tests.support.servers import NatsServer
from tests.support.waiting import until

STREAM = "/api/providers/health/stream"


def status(provider: str, sequence: int) -> ProviderStatusPublished:
    state = ProviderStatus(
        provider=provider, status=Status.HEALTHY, since=utc_now(), sequence=sequence, reason="it answers"
    )
    return ProviderStatusPublished(**stamp(), state=state, previous=None, changed=True)


def alert(name: str, told: AlertStatus) -> AlertRaised:
    now = utc_now()
    return AlertRaised(
        **stamp(now),
        alert_id=new_id(),
        fingerprint=name,
        sequence=2 if told is AlertStatus.RESOLVED else 1,
        status=told,
        severity=Severity.WARNING,
        alertname=name,
        provider="openai",
        labels={},
        annotations={},
        starts_at=now,
        ends_at=now if told is AlertStatus.RESOLVED else None,
        last_evaluated_at=now,
    )


async def tell(client: Client, *events: ProviderStatusPublished | AlertRaised) -> None:
    for event in events:
        await JetStreamPublisher(client.jetstream()).publish(event)


@dataclass(frozen=True)
class Sse:
    """One event as it came."""

    id: str
    kind: str
    data: dict[str, Any]


class Listener:
    """Reads a stream."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def take(self, count: int) -> list[Sse]:
        """The next events."""
        found: list[Sse] = []
        fields: dict[str, str] = {}
        async with asyncio.timeout(30):
            while len(found) < count:
                line = await anext(self._lines)
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                elif "data" in fields:
                    found.append(Sse(fields["id"], fields["event"], json.loads(fields["data"])))
                    fields = {}
        return found


@asynccontextmanager
async def listening(edge: RunningEdge, last: str | None = None) -> AsyncIterator[Listener]:
    headers = {} if last is None else {"last-event-id": last}
    async with edge.client().stream("GET", STREAM, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Listener(answer.aiter_lines())


@asynccontextmanager
async def edge_on(
    nats_url: str, postgres_dsn: str, folder: Path, **settings: Any
) -> AsyncIterator[RunningEdge]:
    await store_keys(postgres_dsn)
    async with edge_here(folder / "edge", nats_url=nats_url, postgres_dsn=postgres_dsn, **settings) as edge:
        await until(lambda: edge.fleet.access.synced.is_set() and "keys" in edge.fleet.access)
        yield edge


async def test_first_what_holds_now_then_what_happens_and_after_a_break_what_was_missed(
    nats_url: str, postgres_dsn: str, nats_client: Client, tmp_path: Path
) -> None:
    states = [status("openai", 1), status("openai", 2), status("google", 1)]
    alerts = [alert("old", AlertStatus.RESOLVED), alert("slow", AlertStatus.FIRING)]
    await tell(nats_client, *states, *alerts)
    async with edge_on(nats_url, postgres_dsn, tmp_path) as edge:
        async with listening(edge) as stream:
            first = await stream.take(3)
            assert [(each.kind, each.id) for each in first] == [
                ("status", states[1].event_id),
                ("status", states[2].event_id),
                ("alert", alerts[1].event_id),
            ]
            assert first[2].data["alertname"] == "slow"
            down = alert("down", AlertStatus.FIRING)
            await tell(nats_client, down)
            (live,) = await stream.take(1)
            assert (live.kind, live.id) == ("alert", down.event_id)
        missed = (alert("down", AlertStatus.RESOLVED), status("openai", 3))
        await tell(nats_client, *missed)
        async with listening(edge, down.event_id) as stream:
            seen: list[str] = []
            while not {each.event_id for each in missed} <= set(seen):
                seen += [each.id for each in await stream.take(1)]
            assert seen == sorted(seen)
            assert len(set(seen)) == len(seen)
        bad = await edge.client().get(STREAM, headers={"last-event-id": "7"})
        assert bad.status_code == 422
        assert "is not the id of an event" in bad.json()["error"]["message"]
        async with edge.client(OTHER).stream(
            "GET", STREAM
        ) as answer:  # an admin of another workspace reads it too
            assert answer.status_code == 200


async def test_what_is_told_while_the_bus_restarts_is_not_missed(
    nats_server: NatsServer, postgres_dsn: str, nats_client: Client, tmp_path: Path
) -> None:
    await tell(nats_client, status("openai", 1))
    async with (
        edge_on(nats_server.url, postgres_dsn, tmp_path) as edge,
        listening(edge) as stream,
    ):
        await stream.take(1)
        nats_server.kill()
        nats_server.start()
        await nats_server.ready()
        client = await connect(nats_server.url, "test-after")
        down = alert("down", AlertStatus.FIRING)
        await tell(client, down)
        await client.close()
        seen: list[str] = []
        while down.event_id not in seen:
            seen += [each.id for each in await stream.take(1)]
        assert len(set(seen)) == len(seen)


async def test_a_stream_ends_when_the_edge_drains(nats_url: str, postgres_dsn: str, tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        async with edge_on(nats_url, postgres_dsn, tmp_path, drain_s=60) as edge:
            answer = await client.send(client.build_request("GET", edge.url + STREAM), stream=True)
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 2000"
        assert [line async for line in lines if line and not line.startswith(":")] == []
        await answer.aclose()


async def test_there_are_not_more_streams_than_an_edge_can_serve(
    nats_url: str, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_edge.control.live.MOST", 0)
    async with edge_on(nats_url, postgres_dsn, tmp_path) as edge:
        refused = await edge.client().get(STREAM)
        assert refused.status_code == 503
        assert "serves 0 streams already" in refused.json()["error"]["message"]
