"""The whole loop on real processes: a provider dies under load, nobody notices, everybody learns, it comes back."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fairlead_common.bus.connection import connect
from nats.aio.msg import Msg

from tests.support.stack import Stack, running
from tests.support.waiting import until

PRIMARY = "openai"
MODEL = "openai/gpt-5.4-mini"
WHOLE_PER_S, STREAMS_PER_S = 50, 10
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "How do ships stay moored?"}]}


@dataclass
class Load:
    """What the callers saw."""

    sent: int = 0
    errors: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    """Request ids of streams that had begun when their provider died, and ended with an error event that says so."""
    answered: dict[str, str] = field(default_factory=dict)
    """Request id to the provider that answered."""
    last: list[str] = field(default_factory=list)
    """Providers of the latest answers, newest last."""

    def note(self, answer: httpx.Response) -> None:
        """One good answer."""
        provider = answer.headers["x-fairlead-provider"]
        self.answered[answer.headers["x-request-id"]] = provider
        self.last = [*self.last, provider][-20:]


async def call(http: httpx.AsyncClient, load: Load, *, stream: bool) -> None:
    """One request as a caller makes it; a stream counts only with its regular end."""
    try:
        answer = await http.post("/v1/chat/completions", json={**BODY, "stream": stream})
    except httpx.HTTPError as error:
        load.errors.append(f"{type(error).__name__}: {error}")
        return
    done = "data: [DONE]" in answer.text
    if answer.status_code == 200 and done == stream and '"error"' not in answer.text:
        load.note(answer)
    elif stream and not done and '"code":"truncated"' in answer.text:
        load.cut.append(answer.headers["x-request-id"])
    else:
        load.errors.append(f"{answer.status_code}: {answer.text[-300:]}")


async def steadily(http: httpx.AsyncClient, load: Load, stop: asyncio.Event) -> None:
    """Open loop: a request is due when it is due, whatever became of those before it."""
    began = time.monotonic()
    rate = WHOLE_PER_S + STREAMS_PER_S
    every = rate // STREAMS_PER_S
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            while load.sent < (time.monotonic() - began) * rate:
                group.create_task(call(http, load, stream=load.sent % every == 0))
                load.sent += 1
            await asyncio.sleep(0.005)


@asynccontextmanager
async def loaded(stack: Stack) -> AsyncIterator[Load]:
    """A block under steady load; at its end every request has been answered."""
    load, stop = Load(), asyncio.Event()
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(
        base_url=stack.edge_url, headers=stack.headers, timeout=60, limits=limits
    ) as http:
        sending = asyncio.create_task(steadily(http, load, stop))
        try:
            yield load
        finally:
            stop.set()
            await sending


class Bus:
    """A subscriber like ``nats sub 'provider.status.>' 'alerts.>'``."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    async def hear(self, message: Msg) -> None:
        """Keep one message."""
        self.seen.append((message.subject, json.loads(message.data)))

    def statuses(self, provider: str) -> list[str]:
        """Every change of status of a provider, in order."""
        return [
            body["state"]["status"]
            for subject, body in self.seen
            if subject == f"provider.status.{provider}" and body["changed"]
        ]

    def alerts(self, subject: str) -> list[str]:
        """Status of each message on one alert subject."""
        return [body["status"] for found, body in self.seen if found == subject]


@asynccontextmanager
async def listening(stack: Stack) -> AsyncIterator[Bus]:
    """Hears status and alerts for as long as the block lasts."""
    client = await connect(stack.nats_url, "test-subscriber")
    bus = Bus()
    for subject in ("provider.status.>", "alerts.>"):
        await client.subscribe(subject, cb=bus.hear)
    await client.flush()
    await client.flush()
    try:
        yield bus
    finally:
        await client.close()


async def keep_killing(stack: Stack, process: str) -> None:
    """``kill -9`` again each time the process has come back, until cancelled."""
    killed = 0
    while True:
        pid = (await asyncio.to_thread(stack.processes))[process]["pid"]
        if pid is not None and pid != killed:
            os.kill(pid, signal.SIGKILL)
            killed = pid
        await asyncio.sleep(0.02)


async def health_of(stack: Stack, provider: str) -> str:
    """What the control API says."""
    status, found = await asyncio.to_thread(stack.api, "GET", f"/api/providers/health/{provider}")
    assert status == 200, found
    return str(found["health"]["status"])


async def counts(dsn: str, ids: list[str]) -> Counter[int]:
    """How often the calls are in Postgres: number of times to number of calls."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT count(o.call_id) AS times FROM unnest($1::uuid[]) AS asked(id)"
            " LEFT JOIN call_observation o ON o.call_id = asked.id GROUP BY asked.id",
            ids,
        )
    finally:
        await connection.close()
    return Counter(row["times"] for row in rows)


async def states_of(dsn: str, ids: list[str]) -> set[str]:
    """States of some calls in Postgres."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT state FROM call_observation WHERE call_id = ANY($1::uuid[])", ids
        )
    finally:
        await connection.close()
    return {row["state"] for row in rows}


async def all_recorded_once(stack: Stack, ids: list[str]) -> None:
    """Wait until every call is in Postgres, and see that each is there once."""
    async with asyncio.timeout(60):
        while (found := await counts(stack.postgres_dsn, ids)) != Counter({1: len(ids)}):
            assert max(found) <= 1, found
            await asyncio.sleep(0.1)


@pytest.mark.timeout(300)
async def test_a_provider_dies_and_comes_back_and_no_caller_notices(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with running(tmp_path) as stack:
        async with listening(stack) as bus, loaded(stack) as load:
            await until(lambda: len(load.last) == 20 and set(load.last) == {PRIMARY}, 60)
            died = time.time()
            killing = asyncio.create_task(keep_killing(stack, f"simulator-{PRIMARY}"))
            subject = f"alerts.critical.{PRIMARY}.down"
            await until(lambda: bus.alerts(subject) == ["firing"], 60)
            fired = next(body for found, body in bus.seen if found == subject)
            record_property("alert_after_s", datetime.fromisoformat(fired["occurred_at"]).timestamp() - died)
            assert bus.statuses(PRIMARY)[-1] == "down"
            assert await health_of(stack, PRIMARY) == "down"
            await until(lambda: PRIMARY not in load.last, 60)
            killing.cancel()

            await until(lambda: bus.alerts(subject) == ["firing", "resolved"], 90)
            assert await health_of(stack, PRIMARY) == "healthy"
            await until(lambda: set(load.last) == {PRIMARY}, 90)
        record_property("cut_streams", len(load.cut))
        assert load.errors == []
        assert len(load.answered) + len(load.cut) == load.sent
        assert len(set(load.answered.values())) > 1, "nobody stood in"
        assert bus.alerts(subject) == ["firing", "resolved"]
        await all_recorded_once(stack, [*load.answered, *load.cut])
        assert await states_of(stack.postgres_dsn, load.cut) <= {"truncated"}
