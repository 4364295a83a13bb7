"""``fairlead up``: brings the whole stack up, tells where everything is, keeps it running, stops it in order."""

import asyncio
import contextlib
import importlib.util
import os
import shlex
import sys
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from fairlead import holds, leftovers, logs, run_file
from fairlead.data_dir import DataDir, api_key, passwords, write_private
from fairlead.embedded import nats, postgres
from fairlead.errors import FairleadError, StartFailed
from fairlead.local_http import request
from fairlead.options import UpOptions
from fairlead.plan import (
    DATABASE,
    SERVICES,
    Kind,
    Machine,
    Plan,
    ProcessSpec,
    Service,
    account_names,
    check_settings,
    make_plan,
)
from fairlead.ports import free_ports, require_free
from fairlead.providers import Providers, choose, file_text, require_simulated, without_keys
from fairlead.readiness import not_ready
from fairlead.run_file import ProcessEntry, RunFile, SimulatorEntry
from fairlead.supervisor import Part, Supervisor, stop_signals
from fairlead.terminal import Terminal, command

HOUSEKEEPING_S = 5.0
STOP_ORDER = (
    ("demo", (Kind.DEMO,)),
    ("edges", (Kind.EDGE,)),
    ("services", (Kind.SERVICE,)),
    ("simulators", (Kind.SIMULATOR,)),
    ("nats", (Kind.NATS,)),
    ("postgres", (Kind.POSTGRES,)),
)


def up(options: UpOptions, environ: Mapping[str, str]) -> int:
    """Run until told to stop; the exit code.

    Raises:
        FairleadError: it cannot start; nothing is left running.
    """
    if options.demo:
        environ = without_keys(environ)
    providers = choose(options.providers_file, environ, simulators=options.simulators)
    if options.demo:
        require_simulated(providers)
    services = installed_services()
    check_settings(options, services)
    folder = DataDir.of(options.data_dir)
    folder.require_free()
    if options.port:
        require_free(options.port)
    folder.make()
    with folder.locked():
        folder.run_file.unlink(missing_ok=True)
        leftovers.end(folder)
        holds.release_all(folder)
        run = _prepare(options, folder, providers, services, environ)
        return asyncio.run(run.run())


def installed_services() -> tuple[Service, ...]:
    """The control services that can be run."""
    return tuple(
        each for each in SERVICES if importlib.util.find_spec(f"{each.package}.__main__") is not None
    )


def _prepare(
    options: UpOptions,
    folder: DataDir,
    providers: Providers,
    services: Sequence[Service],
    environ: Mapping[str, str],
) -> "_Run":
    machine = Machine(sys.executable, nats.program(), postgres.programs(), postgres.account(os.geteuid()))
    secrets = passwords(folder, account_names())
    key = api_key(folder)
    plan = make_plan(options, folder, providers, services, machine, secrets, key, free_ports(), environ)
    ports = {name: int(each.url.rpartition(":")[2]) for name, each in plan.simulator_urls.items()}
    write_private(folder.providers_file, file_text(providers, ports))
    nats.write_configuration(plan, secrets)
    return _Run(options, folder, providers, plan, secrets, key)


class _Run:
    """One life of the stack."""

    def __init__(
        self,
        options: UpOptions,
        folder: DataDir,
        providers: Providers,
        plan: Plan,
        secrets: Mapping[str, str],
        key: str,
    ) -> None:
        self._options = options
        self._folder = folder
        self._providers = providers
        self._plan = plan
        self._secrets = secrets
        self._key = key
        self._terminal = Terminal(folder.logs / "fairlead.log")
        self._started_at = datetime.now(UTC)
        self._is_ready = False

    async def run(self) -> int:
        """Start, wait, stop."""
        stop, hurry = asyncio.Event(), asyncio.Event()
        stop_signals(stop, hurry)
        self._terminal.begin(f"Fairlead is starting in {self._folder.shown}")
        supervisor = Supervisor(self._folder, self._terminal, self._not_ready, self._publish)
        self._supervisor = supervisor
        try:
            if await _unless(stop, self._start(supervisor)):
                self._is_ready = True
                self._publish()
                self._welcome()
                if self._plan.demo is not None:
                    supervisor.start(self._plan.demo)
                await _unless(stop, self._keep_house())
        finally:
            self._is_ready = False
            self._folder.run_file.unlink(missing_ok=True)
            await self._stop(supervisor, hurry)
            leftovers.forget(self._folder)
            with contextlib.suppress(OSError):  # not empty, or never made
                self._folder.sockets.rmdir()
        return 0

    async def _start(self, supervisor: Supervisor) -> None:
        plan, begin = self._plan, supervisor.start
        parts = [*map(begin, plan.nats), *map(begin, plan.simulators)]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(supervisor.ready(part))
            group.create_task(self._start_postgres(supervisor))
        await supervisor.run_once(plan.setup)
        self._terminal.progress("setup", "schema, streams, key")
        services = [*map(begin, plan.services), *map(begin, plan.edges)]
        async with asyncio.TaskGroup() as group:
            for part in services:
                group.create_task(supervisor.ready(part))
        await self._answers_models()

    async def _start_postgres(self, supervisor: Supervisor) -> None:
        plan, folder = self._plan, self._folder
        binaries = postgres.programs()
        opened = await asyncio.to_thread(
            postgres.make_cluster, folder, binaries, plan.postgres.account, self._secrets["postgres.owner"]
        )
        if opened:
            self._terminal.say(
                f"  Postgres runs as '{postgres.ACCOUNT_OF_ROOT}', not as root; to let it through to its files,"
                f" these folders were given the permission o+x: {', '.join(map(str, opened))}"
            )
        part = supervisor.start(plan.postgres, partial(postgres.forget_killed_server, folder.postgres))
        await supervisor.ready(part)
        await postgres.provide_database(plan.postgres_admin_dsn, DATABASE, self._secrets["postgres.fairlead"])

    async def _not_ready(self, spec: ProcessSpec) -> str | None:
        return await not_ready(spec.kind, spec.url, spec.ready_path, self._plan.postgres_admin_dsn)

    async def _answers_models(self) -> None:
        """The last proof: every edge answers a caller that has the key."""
        headers = {"Authorization": f"Bearer {self._key}"}
        for edge in self._plan.edges:
            answer = await request("GET", f"{edge.url}/v1/models", headers=headers)
            if answer.status != 200:
                raise StartFailed(
                    f"{edge.name} refuses the API key in {self._folder.key_file}: {answer.body!r}"
                )

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            logs.bound(self._folder.logs)

    def _publish(self) -> None:
        leftovers.note(
            self._folder, {part.spec.name: part.pid for part in self._supervisor.parts if part.pid}
        )
        if self._is_ready:
            run_file.write(self._folder, self._describe())

    def _describe(self) -> RunFile:
        plan = self._plan
        return RunFile(
            pid=os.getpid(),
            started_at=self._started_at.isoformat(timespec="milliseconds"),
            data_dir=str(self._folder.path),
            edge_url=plan.edge_url,
            edge_urls=[str(edge.url) for edge in plan.edges],
            docs_url=f"{plan.edge_url}/api/docs",
            dashboard_url=plan.dashboard_url,
            api_key_file=str(self._folder.key_file),
            nats_url=plan.nats_url,
            postgres_dsn=plan.postgres_dsn,
            providers=list(self._providers.names),
            processes=[_entry(part) for part in self._supervisor.parts],
            simulators={
                name: SimulatorEntry(each.url, each.control_url) for name, each in plan.simulator_urls.items()
            },
        )

    def _welcome(self) -> None:
        plan, folder = self._plan, self._folder
        key_file = shlex.quote(f"{folder.shown}/api-key")
        at = "" if folder.shown == ".fairlead" else f" --data-dir {shlex.quote(folder.shown)}"
        real = [name for name in self._providers.names if name not in self._providers.simulated]
        say = partial(self._terminal.say, logged=False)
        say(f"\nFairlead is ready after {self._terminal.elapsed_s:.1f} s.\n")
        say(f"  edge        {plan.edge_url}/v1")
        for edge in plan.edges[1:]:
            say(f"              {edge.url}/v1")
        say(f"  API docs    {plan.edge_url}/api/docs")
        if plan.dashboard_url is not None:
            say(f"  dashboard   {plan.dashboard_url}")
        say(f"  API key     {self._key}  (kept in {folder.shown}/api-key)")
        if self._providers.simulated:
            say(f"  simulated   {', '.join(self._providers.simulated)}")
        if real:
            say(f"  real        {', '.join(real)}")
        if plan.demo is not None:
            say(
                f"  demo        chats, faults and A/B tests go on all the time; see {folder.shown}/logs/demo.log"
            )
        say(f"  logs        {folder.shown}/logs\n\nTry it:\n")
        say(
            f'  curl {plan.edge_url}/v1/chat/completions -H "Authorization: Bearer $(cat {key_file})" \\\n'
            "    -H 'Content-Type: application/json' \\\n"
            """    -d '{"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]}'\n"""
        )
        fairlead = command()
        say(f"See how it is with `{fairlead} status{at}`; stop with Ctrl-C or `{fairlead} down{at}`.\n")

    async def _stop(self, supervisor: Supervisor, hurry: asyncio.Event) -> None:
        self._terminal.begin("Fairlead is stopping; Ctrl-C again to hurry")
        for name, kinds in STOP_ORDER:
            if any(part.spec.kind in kinds for part in supervisor.parts):
                await supervisor.stop(kinds, hurry)
                self._terminal.progress(name, "stopped")
        self._terminal.say(f"Fairlead has stopped after {self._terminal.elapsed_s:.1f} s")


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do ``work`` to its end (True), or give it up when ``stop`` is set.

    Raises:
        FairleadError: the first one of ``work``.
    """
    task, waiting = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
    if task.cancelled():
        return False
    if (error := task.exception()) is not None:
        raise _first(error)
    return True


def _first(error: BaseException) -> BaseException:
    """What a person is to read of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        ours = [each for each in error.exceptions if isinstance(each, FairleadError)]
        error = (ours or error.exceptions)[0]
    return error


def _entry(part: Part) -> ProcessEntry:
    spec: ProcessSpec = part.spec
    return ProcessEntry(
        name=spec.name,
        kind=spec.kind.value,
        pid=part.pid,
        url=spec.url,
        ready_path=spec.ready_path,
        restarts=part.restarts,
        started_at=part.started_at.isoformat(timespec="milliseconds"),
        log=str(part.log),
    )
