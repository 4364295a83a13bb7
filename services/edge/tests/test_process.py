"""The edge as a process of its own: killed under load, started without anybody, stopped by a signal, misconfigured."""

import asyncio
import resource
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fairlead_common.bus.connection import connect
from fairlead_common.events.calls import Call, CallsCompleted
from fairlead_common.outcomes import CallState
from fairlead_simulator.testing import Running

from tests.support.edge import RunningEdge, edge_process, journal_of, process_environment, spec_of
from tests.support.servers import NatsServer

CHAT = "/v1/chat/completions"
NAMED = {"model": "openai/gpt-5.4-mini", "messages": [{"role": "user", "content": "Hello"}]}
ASK = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


async def load(edge: RunningEdge, seen: list[str], stop: asyncio.Event) -> None:
    """Ask one after the other; remember the ids of the answers."""
    client = edge.client()
    while not stop.is_set():
        try:
            answer = await client.post(CHAT, json=ASK)
        except httpx.TransportError:
            return
        assert answer.status_code == 200
        seen.append(answer.headers["x-request-id"])


async def shipped(nats_url: str) -> list[Call]:
    client = await connect(nats_url, "test-count")
    jetstream = client.jetstream()
    last = (await jetstream.stream_info("CALLS")).state.last_seq
    messages = [await jetstream.get_msg("CALLS", seq=number) for number in range(1, last + 1)]
    await client.close()
    return [call for each in messages for call in CallsCompleted.model_validate_json(each.data or b"").calls]


async def test_kill_9_under_load_loses_no_outcome(
    tmp_path: Path, nats_url: str, vendors: dict[str, Running]
) -> None:
    seen: list[str] = []
    specs = (spec_of(vendors["openai"]), spec_of(vendors["google"]))
    for _ in range(2):
        async with edge_process(tmp_path, specs, FAIRLEAD_NATS_URL=nats_url) as edge:
            assert edge.process is not None
            stop = asyncio.Event()
            callers = [asyncio.create_task(load(edge, seen, stop)) for _ in range(4)]
            before = len(seen)
            async with asyncio.timeout(60):
                while len(seen) < before + 100:
                    await asyncio.sleep(0.01)
            edge.process.kill()
            await asyncio.gather(*callers)
    async with edge_process(tmp_path, specs, FAIRLEAD_NATS_URL=nats_url) as edge:
        client = edge.client(None)
        async with asyncio.timeout(60):
            while (await client.get("/readyz")).json()["outcomes_waiting"]:
                await asyncio.sleep(0.05)
    counted = Counter(call.call_id for call in await shipped(nats_url))
    assert set(seen) <= counted.keys()
    assert set(counted.values()) == {1}
    with journal_of(tmp_path) as journal:
        assert journal.oldest() is None


async def test_sigterm_lets_the_running_answers_finish(
    tmp_path: Path, nats_url: str, vendors: dict[str, Running]
) -> None:
    await vendors["openai"].control("PUT", "/_sim/latency", {"whole": 1.0, "between_tokens": 0.02})
    async with edge_process(tmp_path, (spec_of(vendors["openai"]),), FAIRLEAD_NATS_URL=nats_url) as edge:
        assert edge.process is not None
        client = edge.client()
        asked = [
            asyncio.create_task(client.post(CHAT, json={**ASK, "stream": stream})) for stream in (True, False)
        ]
        before = (await vendors["openai"].control("GET", "/_sim/state"))["requests"]
        async with asyncio.timeout(30):
            while (await vendors["openai"].control("GET", "/_sim/state"))["requests"] < before + 1:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        edge.process.send_signal(signal.SIGTERM)
        stream, whole = await asyncio.gather(*asked)
        assert stream.text.endswith("data: [DONE]\n\n")
        assert whole.status_code == 200
        assert await asyncio.wait_for(edge.process.wait(), 30) == 0
    assert {call.state for call in await shipped(nats_url)} == {CallState.OK}


async def test_an_edge_starts_alone_and_serves_from_its_disk(
    tmp_path: Path, vendors: dict[str, Running]
) -> None:
    async with edge_process(tmp_path, (spec_of(vendors["mistral"]),)) as edge:
        assert (await edge.client().post(CHAT, json=ASK)).status_code == 200
        assert (await edge.client(None).get("/readyz")).status_code == 200
    async with edge_process(tmp_path, (spec_of(vendors["mistral"]),)) as edge:
        assert (await edge.client().post(CHAT, json=ASK)).status_code == 200
    with journal_of(tmp_path) as journal:
        assert journal.pending == 2


async def asked(edge: RunningEdge, count: int) -> list[tuple[str, str]]:
    """(call id, attempts) of so many answers."""
    client, found = edge.client(), []
    for _ in range(count):
        answer = await client.post(CHAT, json=NAMED)
        assert answer.status_code == 200
        found.append((answer.headers["x-request-id"], answer.headers["x-fairlead-attempts"]))
    return found


async def nothing_waits(edge: RunningEdge) -> None:
    """All outcomes are on the bus."""
    client = edge.client(None)
    async with asyncio.timeout(60):
        while "fairlead_outcomes_waiting_bytes 0.0\n" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.05)


async def test_an_edge_without_the_bus_fails_over_restarts_and_delivers_once(
    tmp_path: Path, nats_server: NatsServer, vendors: dict[str, Running]
) -> None:
    """NATS is gone: breakers go by what the edge sees, a kill -9 changes nothing, and every outcome arrives once."""
    specs = (spec_of(vendors["openai"]), spec_of(vendors["google"]))
    async with edge_process(tmp_path, specs, FAIRLEAD_NATS_URL=nats_server.url) as edge:
        seen = await asked(edge, 5)
        await nothing_waits(edge)
        nats_server.kill()
        await vendors["openai"].fault("error_500")
        alone = await asked(edge, 8)
        assert (alone[0][1], alone[-1][1]) == ("2", "1"), "its own breaker has opened"
        assert edge.process is not None
        edge.process.kill()
    async with edge_process(tmp_path, specs, FAIRLEAD_NATS_URL=nats_server.url) as edge:
        seen += alone + await asked(edge, 5)
        assert (await edge.client(None).get("/readyz")).json()["bus"].startswith("away")
        nats_server.start()
        await nats_server.ready()
        await nothing_waits(edge)
        seen += await asked(edge, 3)
        await nothing_waits(edge)
    counted = Counter(call.call_id for call in await shipped(nats_server.url))
    assert counted == Counter(call_id for call_id, _ in seen)


async def test_an_edge_whose_disk_is_full_serves_and_delivers_from_memory(
    tmp_path: Path, nats_server: NatsServer, vendors: dict[str, Running]
) -> None:
    specs = (spec_of(vendors["openai"]),)
    async with edge_process(tmp_path, specs, FAIRLEAD_NATS_URL=nats_server.url) as edge:
        assert edge.process is not None
        seen = await asked(edge, 3)
        await nothing_waits(edge)
        nats_server.kill()
        _, hard = resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE, (0, hard))
        seen += await asked(edge, 20)
        client = edge.client(None)
        assert (await client.get("/readyz")).status_code == 200
        assert "fairlead_outcomes_waiting_bytes 0.0" not in (await client.get("/metrics")).text
        nats_server.start()
        await nats_server.ready()
        await nothing_waits(edge)
        assert "fairlead_outcomes_lost 0.0" in (await client.get("/metrics")).text
    counted = Counter(call.call_id for call in await shipped(nats_server.url))
    assert counted == Counter(call_id for call_id, _ in seen)


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


async def refusal(environment: dict[str, str]) -> str:
    """What a misconfigured edge says; it must be one line and exit code 2."""
    command = [sys.executable, "-m", "fairlead_edge"]
    found = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 2, found.stderr
    assert found.stdout == ""
    lines = [line for line in found.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, found.stderr
    return lines[0]


async def test_what_is_wrong_with_the_settings_is_said_in_one_line(tmp_path: Path) -> None:
    good = process_environment(tmp_path, 0, ())
    assert "FAIRLEAD_HTTP_PORTS is not a setting" in await refusal({**good, "FAIRLEAD_HTTP_PORTS": "1"})
    assert "FAIRLEAD_MAX_BODY_MB" in await refusal({**good, "FAIRLEAD_MAX_BODY_MB": "-1"})
    without = {name: value for name, value in good.items() if name != "FAIRLEAD_POSTGRES_DSN"}
    assert "FAIRLEAD_POSTGRES_DSN is not set" in await refusal(without)
    assert "cannot be read" in await refusal({**good, "FAIRLEAD_PROVIDERS_FILE": str(tmp_path / "none.yaml")})
    (tmp_path / "file").touch()
    assert "FAIRLEAD_DATA_DIR" in await refusal({**good, "FAIRLEAD_DATA_DIR": str(tmp_path / "file")})
    with journal_of(tmp_path):
        assert "another process writes to" in await refusal(good)
    with taken_port() as port:
        said = await refusal({**good, "FAIRLEAD_HTTP_PORT": str(port)})
        assert f"cannot listen on 127.0.0.1:{port}" in said
