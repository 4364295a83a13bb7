"""An edge for tests, in this process or as one of its own, with keys and snapshots from disk and whatever else is given."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import yaml
from fairlead_common.access import AccessSnapshot, KeyEntry, WorkspaceEntry, WorkspaceSettings, key_hash
from fairlead_common.events.calls import Call
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_edge.app import Edge
from fairlead_edge.fleet import Fleet
from fairlead_edge.outcomes.journal import Journal
from fairlead_edge.settings import EdgeSettings
from fairlead_models.drift import DRIFT
from fairlead_models.providers import BUILT_IN, ProviderSpec
from fairlead_models.transport.protocol import Timeouts
from fairlead_simulator.testing import Running
from pydantic import BaseModel, SecretStr

from tests.support.servers import free_port
from tests.support.waiting import until

ADMIN = "fl-admin-key-of-the-tests"
CALLER = "fl-caller-key-of-the-tests"
OTHER = "fl-admin-key-of-workspace-2"
EXPIRED = "fl-expired-key-of-the-tests"
KEYS = AccessSnapshot(
    keys={
        key_hash(ADMIN): KeyEntry(key_id="admin", workspace_id=1),
        key_hash(CALLER): KeyEntry(key_id="caller", workspace_id=1, role="caller"),
        key_hash(OTHER): KeyEntry(key_id="other", workspace_id=2),
        key_hash(EXPIRED): KeyEntry.model_validate(
            {"key_id": "expired", "workspace_id": 1, "expires_at": "2020-01-01T00:00:00Z"}
        ),
    },
    workspaces={
        1: WorkspaceEntry(workspace_id=1, name="default"),
        2: WorkspaceEntry(workspace_id=2, name="other"),
    },
)
NOWHERE = "127.0.0.1:1"
"""Nobody listens there: connections are refused at once."""


def keys_for(settings: WorkspaceSettings | None) -> AccessSnapshot:
    """``KEYS`` where workspace 1 has these settings."""
    if settings is None:
        return KEYS
    first = WorkspaceEntry(workspace_id=1, name="default", settings=settings)
    return KEYS.model_copy(update={"workspaces": {**KEYS.workspaces, 1: first}})


def spec_of(simulator: Running, timeouts: Timeouts | None = None) -> ProviderSpec:
    """The provider that ``simulator`` plays."""
    base = simulator.url + ("/v1" if simulator.vendor == "openai" else "")
    wire = BUILT_IN[simulator.vendor][0]
    return ProviderSpec(simulator.vendor, wire, base, "sk-test", timeouts=timeouts or Timeouts())


def put_snapshot(data_dir: Path, bucket: str, values: Mapping[str, BaseModel | bytes]) -> None:
    """Write what the edge would have kept of ``bucket``; ``bucket`` is the file's name: access, routes, failover, ..."""
    folder = data_dir / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    raw = {
        key: value if isinstance(value, bytes) else value.model_dump_json().encode()
        for key, value in values.items()
    }
    stored = {key: [1, base64.b64encode(data).decode()] for key, data in raw.items()}
    (folder / f"{bucket}.json").write_bytes(orjson.dumps(stored))


@dataclass
class RunningEdge:
    """An edge that serves."""

    port: int
    data_dir: Path
    edge: Edge | None = None
    process: asyncio.subprocess.Process | None = None
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def fleet(self) -> Fleet:
        """What an edge in this process knows."""
        if self.edge is None:
            raise RuntimeError("this edge is another process")
        return self.edge.fleet

    def client(self, key: str | None = ADMIN, **headers: str) -> httpx.AsyncClient:
        """A client that sends ``key``; closed with the edge."""
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        found = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)
        self.clients.append(found)
        return found

    def calls(self) -> list[Call]:
        """Everything that was journalled and is not on the bus yet."""
        lines = [
            line
            for path in sorted((self.data_dir / "outcomes").glob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
        return [Call.model_validate_json(line) for line in lines]


def settings_of(data_dir: Path, **more: Any) -> EdgeSettings:
    """Settings of an edge whose bus and database are away, unless they are given."""
    given = {
        "nats_url": SecretStr(f"nats://{NOWHERE}"),
        "postgres_dsn": SecretStr(f"postgresql://x:y@{NOWHERE}/z"),
    }
    return EdgeSettings.model_validate({**given, "data_dir": data_dir, "http_port": 0, "drain_s": 0, **more})


@asynccontextmanager
async def edge_here(
    data_dir: Path,
    specs: tuple[ProviderSpec, ...] = (),
    *,
    routes: RoutesSnapshot | None = None,
    workspace: WorkspaceSettings | None = None,
    **settings: Any,
) -> AsyncIterator[RunningEdge]:
    """An edge in this process.

    Args:
        routes: the table of its workspace.
        workspace: what workspace 1 has chosen.
        settings: fields of ``EdgeSettings``; ``nats_url`` and ``postgres_dsn`` connect it.
    """
    DRIFT.clear()
    put_snapshot(data_dir, "access", {"keys": keys_for(workspace)})
    if routes is not None:
        put_snapshot(data_dir, "routes", {str(routes.workspace_id): routes})
    edge = Edge(settings_of(data_dir, **settings), specs)
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(edge.run(stop, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        await running
    found = RunningEdge(edge.port, data_dir, edge)
    try:
        yield found
    finally:
        for client in found.clients:
            await client.aclose()
        stop.set()
        await running


@asynccontextmanager
async def edge_process(
    data_dir: Path, specs: tuple[ProviderSpec, ...] = (), **environment: str
) -> AsyncIterator[RunningEdge]:
    """An edge as a process of its own: ``python -m fairlead_edge``.

    Args:
        environment: more of it, for example ``FAIRLEAD_NATS_URL``.
    """
    put_snapshot(data_dir, "access", {"keys": KEYS})
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fairlead_edge",
        env=process_environment(data_dir, port, specs) | environment,
    )
    found = RunningEdge(port, data_dir, process=process)
    try:
        await _answers(found)
        yield found
    finally:
        for client in found.clients:
            await client.aclose()
        if process.returncode is None:
            process.terminate()
        await process.wait()


def process_environment(data_dir: Path, port: int, specs: tuple[ProviderSpec, ...]) -> dict[str, str]:
    """The environment of an edge process with the given providers."""
    rows = [
        {"name": spec.name, "wire": spec.wire, "base_url": spec.base_url, "api_key": "${TEST_KEY}"}
        for spec in specs
    ]
    providers = data_dir / "providers.yaml"
    providers.write_text(yaml.safe_dump({"providers": rows}))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
    return inherited | {
        "TEST_KEY": "sk-test",
        "FAIRLEAD_PROVIDERS_FILE": str(providers),
        "FAIRLEAD_DATA_DIR": str(data_dir),
        "FAIRLEAD_HTTP_PORT": str(port),
        "FAIRLEAD_NATS_URL": f"nats://{NOWHERE}",
        "FAIRLEAD_POSTGRES_DSN": f"postgresql://x:y@{NOWHERE}/z",
        "FAIRLEAD_LOG_LEVEL": "ERROR",
    }


async def _answers(edge: RunningEdge) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(60):
        while True:
            try:
                if (await client.get(f"{edge.url}/livez")).status_code == 200:
                    return
            except httpx.TransportError:
                if edge.process is not None and edge.process.returncode is not None:
                    raise RuntimeError(f"the edge ended with {edge.process.returncode}") from None
            await asyncio.sleep(0.05)


@contextmanager
def journal_of(data_dir: Path) -> Iterator[Journal]:
    """The journal of an edge that is not running."""
    journal = Journal(data_dir / "outcomes")
    try:
        yield journal
    finally:
        journal.close()


async def store_keys(dsn: str) -> None:
    """Put the keys and workspaces of the tests into a database, from which the edge publishes them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("INSERT INTO workspace (id, name) VALUES (2, 'other')")
        await connection.execute("SELECT setval(pg_get_serial_sequence('workspace', 'id'), 2)")
        rows = [
            (entry.key_id, entry.workspace_id, entry.key_id, entry.role, sha256, "hint", entry.expires_at)
            for sha256, entry in KEYS.keys.items()
        ]
        await connection.executemany(
            "INSERT INTO api_key (id, workspace_id, name, role, sha256, hint, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            rows,
        )
    finally:
        await connection.close()


async def journalled(edge: RunningEdge, count: int) -> list[Call]:
    """The calls, once there are ``count`` of them."""
    await until(lambda: len(edge.calls()) >= count)
    return edge.calls()
