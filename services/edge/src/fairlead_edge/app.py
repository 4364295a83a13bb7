"""Composition root of the edge: builds everything, connects everything, decides nothing.

The edge serves before, without and after the bus: it listens at once with what its disk holds, and a background task
connects to NATS for as long as it takes.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from fairlead_common.bus.connection import connect
from fairlead_common.bus.permissions import inbox
from fairlead_common.bus.rpc import RpcClient, RpcUnavailable
from fairlead_common.db.database import Database
from fairlead_common.ids import new_id
from fairlead_common.plugins import load_plugins, usable
from fairlead_common.settings import SettingsError
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_common.tasks import end_tasks
from fairlead_common.telemetry import configure_tracing
from fairlead_models.catalog.entries import built_in, declared
from fairlead_models.client import Clients
from fairlead_models.drift import DRIFT
from fairlead_models.providers import ProviderSpec, load_providers
from fairlead_models.transport.http1 import Http1Transport
from fastapi import FastAPI
from nats.aio.client import Client
from nats.errors import Error as NatsError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fairlead_edge.control.app import build
from fairlead_edge.control.publishing import AccessAndCatalog, CatalogMaker
from fairlead_edge.dataplane.chat import Chats
from fairlead_edge.dataplane.embeddings import Embeddings
from fairlead_edge.dataplane.runner import Runner
from fairlead_edge.dataplane.surroundings import Bounds
from fairlead_edge.drift import DriftReporter
from fairlead_edge.fleet import Fleet
from fairlead_edge.front import Front, Handlers, reject
from fairlead_edge.http.connection import MEGABYTE, Limits
from fairlead_edge.http.server import Server, serve
from fairlead_edge.metrics import EdgeMetrics
from fairlead_edge.outcomes.journal import Journal, JournalInUse
from fairlead_edge.outcomes.shipper import Shipper
from fairlead_edge.settings import EdgeSettings
from fairlead_edge.store import EdgeStore
from fairlead_edge.tracing import CallTracer

logger = logging.getLogger(__name__)

RETRY_S = 0.5
RESTART_S = 1.0
FLUSH_S = 5.0


class Edge:
    """One edge process.

    Raises:
        SettingsError: a setting is missing, or its data folder cannot be used.
    """

    def __init__(self, settings: EdgeSettings, specs: tuple[ProviderSpec, ...]) -> None:
        if settings.postgres_dsn is None:
            raise SettingsError(
                "FAIRLEAD_POSTGRES_DSN is not set; expected postgresql://user:password@host:port/database"
            )
        self.settings = settings
        self._specs = specs
        now = datetime.now(UTC)
        entries = [*built_in(now), *declared(specs, now)]
        regions = {spec.name: spec.region for spec in specs if spec.region is not None}
        names = [spec.name for spec in specs]
        self.fleet = Fleet(
            names,
            entries,
            settings.data_dir / "snapshots",
            regions=regions,
            plugins=usable(load_plugins()),
            instance=settings.instance,
        )
        self.journal = _journal(settings.data_dir / "outcomes")
        self._shipper = Shipper(self.journal, settings.instance)
        self._drift = DriftReporter(DRIFT, settings.instance)
        self._database = Database(settings.postgres_dsn.get_secret_value(), application_name="fairlead-edge")
        self._store = EdgeStore(self._database)
        self._catalog_source = CatalogMaker(self._store, specs)
        self._metrics = EdgeMetrics(self.journal)
        self._client: Client | None = None
        self._snapshots: SnapshotLoop | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._draining = False
        self.port = 0
        """Where it listens, once it does."""

    async def run(self, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
        """Serve until ``stop``; then finish what is under way. Raises OSError when the port cannot be had."""
        transport = Http1Transport()
        try:
            self.fleet.load_disk()
            server = await self._listen(transport)
            self.port = server.port
            logger.info("the edge listens on port %d", server.port)
            self._start(self._stay_connected)
            self._start(self._metrics.loop_delay.run)
            if ready is not None:
                ready.set()
            try:
                await stop.wait()
            finally:
                await self._drain(server)
        finally:
            await self._close(transport)

    async def _listen(self, transport: Http1Transport) -> Server:
        settings = self.settings
        clients = Clients(self._specs, transport)
        bounds = Bounds(
            settings.request_timeout_s,
            settings.whole_answer_timeout_s,
            settings.hedge_share,
            settings.hedge_after_ms / 1000,
        )
        runner = Runner(self.fleet, self.journal, self._metrics, bounds)
        chats, embeddings = Chats(self.fleet, clients, runner), Embeddings(self.fleet, clients, runner)
        tracing = configure_tracing("edge", settings)
        tracer = CallTracer(tracing if settings.otlp_endpoint is not None else None)
        pages = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics_page}
        front = Front(self.fleet, Handlers(chats, embeddings), self._control(), pages, tracer)
        return await serve(
            front.handle,
            settings.http_host,
            settings.http_port,
            reject=reject,
            limits=Limits(body_bytes=int(settings.max_body_mb * MEGABYTE)),
            reuse_port=settings.reuse_port,
        )

    def _control(self) -> FastAPI:
        app = build()
        app.state.store = self._store
        app.state.fleet = self.fleet
        app.state.specs = self._specs
        app.state.catalog_source = self._catalog_source
        app.state.rpc = self._rpc
        app.state.bus = self._bus
        app.state.draining = lambda: self._draining
        app.state.changed = self._changed
        return app

    def _rpc(self) -> RpcClient:
        return RpcClient(self._bus())

    def _bus(self) -> Client:
        if self._client is None:
            raise RpcUnavailable("requested", "this edge is not connected to NATS")
        return self._client

    def _changed(self) -> None:
        if self._client is not None and self._snapshots is not None:
            self._start(partial(self._snapshots.poke, self._client))

    def _start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(_kept_running(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _stay_connected(self) -> None:
        """Connect once, however long it takes; the client reconnects by itself afterwards."""
        url, name = self.settings.nats_url.get_secret_value(), f"fairlead-edge-{self.settings.instance}"
        while self._client is None:
            try:
                self._client = await connect(url, name, inbox_prefix=inbox("edge"))
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("serving without the bus: %s: %s", type(error).__name__, error)
                await asyncio.sleep(RETRY_S)
        client = self._client
        for job in self.fleet.jobs(client):
            self._start(job)
        self._start(partial(self._shipper.run, client))
        self._start(partial(self._drift.run, client))
        publishing = AccessAndCatalog(client, self._store, self._catalog_source)
        owner = f"{self.settings.instance}:{new_id()}"
        self._snapshots = SnapshotLoop("edge.snapshots", owner, publishing.publish)
        self._start(partial(self._snapshots.run, client))

    async def _drain(self, server: Server) -> None:
        """Let running requests finish, then end what runs in the background, and send the last outcomes."""
        self._draining = True
        await server.drain(self.settings.drain_s)
        await end_tasks(self._jobs)
        if self._client is not None:
            await self._shipper.flush(self._client, FLUSH_S)
            with contextlib.suppress(NatsError, OSError, RuntimeError):  # uvloop's, while the bus is away
                await self._client.close()

    async def _close(self, transport: Http1Transport) -> None:
        self.journal.close()
        await transport.close()
        await self._database.close()

    async def _livez(self) -> tuple[int, str, bytes]:
        return 200, "application/json", b'{"status":"ok"}'

    async def _readyz(self) -> tuple[int, str, bytes]:
        """Ready = keys are known and it does not drain. The bus being away is shown, and is no reason."""
        connected = self._client is not None and self._client.is_connected
        ready = self.fleet.keys is not None and not self._draining
        body = {
            "ready": ready,
            "draining": self._draining,
            "keys_known": self.fleet.keys is not None,
            "bus": "ok" if connected else "away: serving from the last snapshots",
            "snapshots": {follower.bucket: follower.revision for follower in self.fleet.followers},
            "outcomes_waiting": self.journal.pending,
        }
        return (200 if ready else 503), "application/json", orjson.dumps(body)

    async def _metrics_page(self) -> tuple[int, str, bytes]:
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._metrics.registry)


async def _kept_running(job: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a job of the background; when a bug ends it, callers are served all the same, and it is started again."""
    while True:
        try:
            await job()
        except Exception:
            logger.exception("a background job broke; starting it again in %g s", RESTART_S)
            await asyncio.sleep(RESTART_S)
        else:
            return


def _journal(folder: Path) -> Journal:
    try:
        return Journal(folder)
    except (JournalInUse, OSError) as error:
        raise SettingsError(f"FAIRLEAD_DATA_DIR: {error}") from error


def load(environ: dict[str, str]) -> Edge:
    """The edge of an environment.

    Raises:
        SettingsError, ProvidersFileError: something in it is wrong.
    """
    settings = EdgeSettings.from_env(environ)
    return Edge(settings, load_providers(settings.providers_file, environ))


async def main(edge: Edge) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await edge.run(stop)


def environment() -> dict[str, str]:
    """A copy of the process's environment."""
    return dict(os.environ)
