"""The life of a control service: connect, wire up, run until told to stop, stop in order.

A service is ``async def wire(runtime)``: it registers its subscribers on ``runtime.broker`` and its endless jobs with
``runtime.spawn``. A job that ends with an error ends the process; whatever supervises it starts it again.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import uvicorn
import uvloop
from fastapi import FastAPI
from faststream.nats import NatsBroker
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.nats.prometheus import NatsPrometheusMiddleware
from faststream.nats.security import NatsUserPassword
from nats.aio.client import Client
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from fairlead_common.bus.cancellation import repair
from fairlead_common.bus.connection import CONNECT_OPTIONS, credentials, log_bus_error
from fairlead_common.bus.permissions import inbox
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import RedeliveryPolicy, is_away
from fairlead_common.bus.subscribing import HANDLING
from fairlead_common.bus.topology import STREAMS
from fairlead_common.db.database import Database
from fairlead_common.db.revision import SchemaTooOld, check_revision
from fairlead_common.ids import new_id
from fairlead_common.loop_delay import LoopDelay
from fairlead_common.readiness import Check, check_bus, mount_readiness
from fairlead_common.settings import Settings, SettingsError
from fairlead_common.tasks import end_tasks
from fairlead_common.telemetry import configure_logging, configure_tracing

logger = logging.getLogger(__name__)

RETRY_S = 0.5
STOP_TIMEOUT_S = 20.0

AnySettings = TypeVar("AnySettings", bound=Settings)


@dataclass
class Runtime:
    """What a service is given to wire itself up."""

    name: str
    settings: Settings
    broker: NatsBroker
    client: Client
    """The broker's connection, for publishing, buckets and requests."""
    database: Database
    publisher: JetStreamPublisher
    registry: CollectorRegistry
    http: FastAPI
    """Serves /livez, /readyz, /metrics; a service may add routes."""
    owner: str
    """Unique name of this process, for leases."""
    jobs: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def spawn(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``job()`` until the service stops; start it once the subscribers run."""
        self.jobs.append(job)

    def on_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call ``close()`` at the end, last registered first."""
        self.closing.append(close)


Wire = Callable[[Runtime], Awaitable[None]]


class _Server(uvicorn.Server):
    """Signals belong to the service, not to its HTTP server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(name: str, settings_type: type[AnySettings], wire: Wire) -> None:
    """Entry point of ``python -m fairlead_<name>``. Bad settings: one line, exit code 2."""
    try:
        settings = settings_type.from_env(os.environ)
        if settings.postgres_dsn is None:
            raise SettingsError(
                "FAIRLEAD_POSTGRES_DSN is not set; expected postgresql://user:password@host:port/database"
            )
    except SettingsError as error:
        sys.stderr.write(f"fairlead {name}: {error}\n")
        sys.exit(2)
    configure_logging(settings.log_level)
    gc.freeze()  # what was loaded until here lives for ever: spare the collector walking it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(name, settings, wire))


async def run(name: str, settings: Settings, wire: Wire, stop: asyncio.Event | None = None) -> None:
    """Run a service until SIGTERM or SIGINT (or until ``stop`` is set, when one is given).

    Raises:
        Exception: whatever a job died of.
    """
    if stop is None:
        stop = _stop_on_signals()
    checks: dict[str, Check] = {}
    registry = _registry()
    http = FastAPI(title=f"fairlead-{name}")
    mount_readiness(http, checks, registry)
    start = _Start()
    checks["started"] = start.check
    server = _Server(_http_config(http, settings))
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        try:
            build = partial(_build, name, settings, registry, http)
            if (runtime := await _until(stop, build, start)) is not None:
                await _life(runtime, wire, checks, stop)
        finally:
            server.should_exit = True
            await serving


async def _life(runtime: Runtime, wire: Wire, checks: dict[str, Check], stop: asyncio.Event) -> None:
    try:
        await wire(runtime)
        await runtime.broker.start()
        checks["bus"] = partial(check_bus, runtime.client)
        checks["database"] = runtime.database.ping
        checks.pop("started")
        logger.info("%s is up", runtime.name)
        async with asyncio.TaskGroup() as group:
            jobs = (*runtime.jobs, LoopDelay(runtime.registry).run)
            tasks = [group.create_task(job()) for job in jobs]
            await stop.wait()
            await _stop_consuming(runtime.broker)
            await end_tasks(tasks)
    finally:
        await runtime.broker.stop()
        for close in reversed(runtime.closing):
            await close()
        await runtime.database.close()


async def _stop_consuming(broker: NatsBroker) -> None:
    """Handlers end and acknowledge. The jobs that are stopped next still have the bus, to give back their leases."""
    await asyncio.gather(*(subscriber.stop() for subscriber in broker.subscribers))


async def _build(name: str, settings: Settings, registry: CollectorRegistry, http: FastAPI) -> Runtime:
    """Connect to the bus and see that the topology is there, and the tables; a database that is away is not waited for."""
    repair()
    tracing = configure_tracing(name, settings)
    url = settings.nats_url.get_secret_value()
    login = credentials(url)
    broker = NatsBroker(
        _without_login(url),
        security=NatsUserPassword(*login) if login else None,
        name=f"fairlead-{name}-{settings.instance}",
        inbox_prefix=inbox(name),
        error_cb=log_bus_error,
        graceful_timeout=STOP_TIMEOUT_S,
        logger=None,
        middlewares=(
            NatsTelemetryMiddleware(tracer_provider=tracing),
            NatsPrometheusMiddleware(registry=registry, app_name=f"fairlead-{name}"),
            RedeliveryPolicy,
        ),
        **HANDLING,
        **CONNECT_OPTIONS,
    )
    dsn = settings.postgres_dsn.get_secret_value() if settings.postgres_dsn else ""
    database = Database(dsn, application_name=f"fairlead-{name}")
    client = await broker.connect()
    try:
        await client.jetstream(timeout=5).stream_info(STREAMS[-1].name)
        await check_revision(database)
    except BaseException:
        await broker.stop()
        await database.close()
        raise
    return Runtime(
        name=name,
        settings=settings,
        broker=broker,
        client=client,
        database=database,
        publisher=JetStreamPublisher(client.jetstream(timeout=5)),
        registry=registry,
        http=http,
        owner=f"{settings.instance}:{new_id()}",
    )


Result = TypeVar("Result")


def _without_login(url: str) -> list[str]:
    """The servers of a URL; FastStream takes a login beside them, not in them as well."""
    return [each.replace(f"{urlsplit(each).netloc.rpartition('@')[0]}@", "", 1) for each in url.split(",")]


@dataclass
class _Start:
    """What a process still waits for; told by ``/readyz``."""

    reason: str = "the bus"

    def waits(self, error: Exception) -> None:
        """Logged when it changes, not each time it is tried."""
        what = "tables" if isinstance(error, SchemaTooOld) else f"the bus: {type(error).__name__}"
        reason = f"{what}: {error}".rstrip(": ")
        if reason != self.reason:
            logger.warning("waiting for %s", reason)
        self.reason = reason

    async def check(self) -> None:
        raise RuntimeError(f"still starting: waiting for {self.reason}")


async def _until(
    stop: asyncio.Event, attempt: Callable[[], Awaitable[Result]], start: _Start
) -> Result | None:
    """Try until it works; None when told to stop before, also in the midst of an attempt, which may last for ever."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            trying = asyncio.ensure_future(attempt())
            try:
                await asyncio.wait({trying, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if trying.done():
                    return trying.result()
            except (NatsError, OSError, TimeoutError, SchemaTooOld) as error:
                start.waits(error)
                await asyncio.wait({stopping}, timeout=RETRY_S)
            finally:
                trying.cancel()
        return None
    finally:
        stopping.cancel()


async def retrying(what: str, attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Call ``attempt`` until it works, riding out everything that is merely away; other errors are raised."""
    while True:
        try:
            return await attempt()
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("%s: %s: %s; again in %.1f s", what, type(error).__name__, error, RETRY_S)
            await asyncio.sleep(RETRY_S)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _http_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        lifespan="on",
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
