"""What ``fairlead up`` will run: every process with its command, environment and address. Pure: it starts nothing.

The order of starting is postgres, nats and simulators, then the setup step, then services and edges, then the demo; the
order of stopping is the reverse.
"""

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from fairlead_common.bus.permissions import USERS

from fairlead.data_dir import DataDir
from fairlead.errors import BadInput
from fairlead.options import UpOptions
from fairlead.ports import HOST
from fairlead.providers import KEY_VARIABLE, Providers

PREFIX = "FAIRLEAD_"
PASSED_ON = ("FAIRLEAD_LOG_LEVEL", "FAIRLEAD_OTLP_ENDPOINT")
"""Settings every process has and the plan does not decide: the user's own environment may set them."""
DATABASE = "fairlead"
SETUP = "setup"
ROUTE = "route"
"""The user as whom the nodes of a NATS cluster join each other."""
ADMIN = "admin"
"""The user of NATS who may do everything."""
CONTROL = 10
"""Control services stand back for the request path: one that starts takes a whole core for a second or two."""
SIMULATED_KEY = "simulated"

DEMO_LATENCY = {
    # vendor: median and 95th percentile, in seconds, of the first token; a whole answer takes twice as long
    "openai": (0.28, 0.7),
    "anthropic": (0.36, 0.8),
    "google": (0.22, 0.6),
    "mistral": (0.18, 0.5),
    "cohere": (0.25, 0.9),
}


class Kind(Enum):
    """What a process is to the supervisor."""

    NATS = "nats"
    POSTGRES = "postgres"
    SIMULATOR = "simulator"
    SETUP = "setup"
    SERVICE = "service"
    EDGE = "edge"
    DEMO = "demo"


@dataclass(frozen=True)
class ProcessSpec:
    """One process. ``url`` serves ``ready_path``; None = it is ready once it runs (Postgres is asked otherwise)."""

    name: str
    kind: Kind
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    url: str | None = None
    ready_path: str = "/readyz"
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """Sent by the kernel when the supervisor itself is killed."""
    stop_timeout_s: float = 10.0
    account: tuple[int, int] | None = None
    """User and group ids to run as; None = those of the supervisor."""
    niceness: int = 0
    """0 to 19: by how much it stands back when there are not enough processor cores for all."""


@dataclass(frozen=True)
class Service:
    """``python -m <package>``. ``niceness`` as in ``ProcessSpec``."""

    name: str
    package: str
    niceness: int = CONTROL


SERVICES = (
    Service("health", "fairlead_health"),
    Service("failover", "fairlead_failover"),
    Service("routing", "fairlead_routing"),
    Service("comparison", "fairlead_comparison"),
    Service("abtest", "fairlead_abtest"),
    Service("dashboard", "fairlead_dashboard"),
)
DASHBOARD = SERVICES[-1]
EDGE = Service("edge", "fairlead_edge", niceness=0)


@dataclass(frozen=True)
class Machine:
    """What the plan takes from the machine: programs, and the account Postgres runs as."""

    python: str
    nats_server: Path
    postgres_bin: Path
    postgres_account: tuple[int, int] | None


@dataclass(frozen=True)
class NatsNode:
    """One server of the bus: its own ports, and where its files lie."""

    name: str
    port: int
    monitoring_port: int
    cluster_port: int
    folder: Path


@dataclass(frozen=True)
class Simulator:
    """Addresses of one simulated provider."""

    url: str
    control_url: str


@dataclass(frozen=True)
class Plan:
    """Everything that will run."""

    nats: tuple[ProcessSpec, ...]
    postgres: ProcessSpec
    setup: ProcessSpec
    simulators: tuple[ProcessSpec, ...]
    services: tuple[ProcessSpec, ...]
    edges: tuple[ProcessSpec, ...]
    demo: ProcessSpec | None
    nats_nodes: tuple[NatsNode, ...]
    nats_url: str = field(repr=False)
    postgres_dsn: str = field(repr=False)
    postgres_admin_dsn: str = field(repr=False)
    simulator_urls: Mapping[str, Simulator]
    dashboard_url: str | None

    @property
    def edge_url(self) -> str:
        """Of the first edge."""
        return str(self.edges[0].url)


def account_names() -> tuple[str, ...]:
    """Whoever needs a password: the users of NATS and the roles of Postgres."""
    return (*(f"nats.{user}" for user in (ADMIN, ROUTE, *USERS)), "postgres.owner", "postgres.fairlead")


def check_settings(options: UpOptions, services: Sequence[Service]) -> None:
    """Refuse settings that nobody would read.

    Raises:
        BadInput: one is meant for a service that does not exist.
    """
    known = [EDGE.name, *(service.name for service in services)]
    for name, setting, value in options.settings:
        if name not in known:
            raise BadInput(
                f"--set {name}.{setting}={value}: there is no service '{name}'; there are {', '.join(known)}"
            )


class _Planner:
    """Holds what every process's environment is made of."""

    def __init__(
        self,
        options: UpOptions,
        folder: DataDir,
        machine: Machine,
        passwords: Mapping[str, str],
        environ: Mapping[str, str],
    ) -> None:
        self.options = options
        self.folder = folder
        self.machine = machine
        self.passwords = passwords
        self.environ = environ
        self.nats_nodes: tuple[NatsNode, ...] = ()
        self.dashboard_port = 0

    @property
    def dashboard_url(self) -> str | None:
        return f"http://{HOST}:{self.dashboard_port}" if self.dashboard_port else None

    def port_of(self, service: Service, number: int) -> int:
        """0: any."""
        return self.dashboard_port if (service, number) == (DASHBOARD, 1) else 0

    def base(self) -> dict[str, str]:
        """The user's environment without settings of ours, but for the few that every process has."""
        kept = {k: v for k, v in self.environ.items() if not k.startswith(PREFIX) or k in PASSED_ON}
        return {**kept, KEY_VARIABLE: SIMULATED_KEY, "PYTHONUNBUFFERED": "1"}

    def bare(self) -> dict[str, str]:
        """For programs that are not ours: nothing that could configure them."""
        return {k: self.environ[k] for k in ("PATH", "HOME", "TMPDIR") if k in self.environ}

    def nats_url(self, user: str) -> str:
        login = f"{user}:{self.passwords[f'nats.{user}']}"
        return ",".join(f"nats://{login}@{HOST}:{node.port}" for node in self.nats_nodes)

    def dsn(self, role: str, database: str) -> str:
        where = f"host={quote(str(self.folder.sockets), safe='')}&port=5432"
        return f"postgresql://{role}:{self.passwords[f'postgres.{role}']}@/{database}?{where}"

    def environment(self, service: str, instance: str, port: int) -> dict[str, str]:
        return {
            **self.base(),
            "FAIRLEAD_NATS_URL": self.nats_url(service),
            "FAIRLEAD_POSTGRES_DSN": self.dsn("fairlead", DATABASE),
            "FAIRLEAD_PROVIDERS_FILE": str(self.folder.providers_file),
            "FAIRLEAD_DATA_DIR": str(self.folder.private(instance)),
            "FAIRLEAD_HTTP_PORT": str(port),
            "FAIRLEAD_INSTANCE": instance,
            **({"FAIRLEAD_DASHBOARD_URL": self.dashboard_url} if self.dashboard_url else {}),
            **{
                f"{PREFIX}{setting.upper()}": value
                for name, setting, value in self.options.settings
                if name == service
            },
        }

    def process(self, service: Service, number: int, port: int, kind: Kind) -> ProcessSpec:
        name = service.name if number == 1 else f"{service.name}-{number}"
        return ProcessSpec(
            name=name,
            kind=kind,
            command=(self.machine.python, "-m", service.package),
            environment=self.environment(service.name, name, port),
            url=f"http://{HOST}:{port}",
            stop_timeout_s=30.0,
            niceness=service.niceness,
        )


def make_plan(
    options: UpOptions,
    folder: DataDir,
    providers: Providers,
    services: Sequence[Service],
    machine: Machine,
    passwords: Mapping[str, str],
    key: str,
    ports: Iterator[int],
    environ: Mapping[str, str],
) -> Plan:
    """Decide every process.

    Args:
        services: the control services that are installed.
        passwords: one for each of ``account_names``.
        key: the edge's API key, made known by the setup step.
        ports: distinct free ports.
        environ: the user's environment.

    """
    planner = _Planner(options, folder, machine, passwords, environ)
    planner.nats_nodes = _nats_nodes(options.nats_nodes, folder, ports)
    simulators = {name: (next(ports), next(ports)) for name in providers.simulated}
    if DASHBOARD in services:
        planner.dashboard_port = next(ports)
    return Plan(
        nats=tuple(_nats(planner, node) for node in planner.nats_nodes),
        postgres=_postgres(planner),
        setup=_setup(planner, key),
        simulators=tuple(
            _simulator(planner, name, position, *simulators[name])
            for position, name in enumerate(providers.simulated, 1)
        ),
        services=tuple(
            planner.process(service, number, planner.port_of(service, number) or next(ports), Kind.SERVICE)
            for service in services
            for number in range(1, options.replicas + 1)
        ),
        edges=tuple(
            planner.process(EDGE, number, (options.port if number == 1 else 0) or next(ports), Kind.EDGE)
            for number in range(1, options.edges + 1)
        ),
        demo=_demo(planner) if options.demo else None,
        nats_nodes=planner.nats_nodes,
        nats_url=planner.nats_url(ADMIN),
        postgres_dsn=planner.dsn("fairlead", DATABASE),
        postgres_admin_dsn=planner.dsn("owner", "postgres"),
        simulator_urls={
            name: Simulator(f"http://{HOST}:{port}", f"http://{HOST}:{control}")
            for name, (port, control) in simulators.items()
        },
        dashboard_url=planner.dashboard_url,
    )


def _nats_nodes(count: int, folder: DataDir, ports: Iterator[int]) -> tuple[NatsNode, ...]:
    """A cluster keeps its files apart from those of a single server: neither can read the other's."""
    names = ["nats", *(f"nats-{number}" for number in range(2, count + 1))]
    return tuple(
        NatsNode(
            name, next(ports), next(ports), next(ports), folder.nats / name if count > 1 else folder.nats
        )
        for name in names
    )


def _nats(planner: _Planner, node: NatsNode) -> ProcessSpec:
    return ProcessSpec(
        name=node.name,
        kind=Kind.NATS,
        command=(str(planner.machine.nats_server), "-c", str(node.folder / "nats.conf")),
        environment=planner.bare(),
        url=f"http://{HOST}:{node.monitoring_port}",
        ready_path="/healthz",
    )


def _postgres(planner: _Planner) -> ProcessSpec:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{planner.folder.sockets}"',
        "unix_socket_permissions": "0700",
        "max_connections": "300",
        "log_checkpoints": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    program = str(planner.machine.postgres_bin / "postgres")
    return ProcessSpec(
        name="postgres",
        kind=Kind.POSTGRES,
        command=(program, "-D", str(planner.folder.postgres), "-p", "5432", *options),
        environment=planner.bare(),
        stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, loses nothing
        death_signal=signal.SIGINT,
        stop_timeout_s=30.0,
        account=planner.machine.postgres_account,
    )


def _setup(planner: _Planner, key: str) -> ProcessSpec:
    environment = {
        **planner.base(),
        "FAIRLEAD_NATS_URL": planner.nats_url(SETUP),
        "FAIRLEAD_POSTGRES_DSN": planner.dsn("fairlead", DATABASE),
        "FAIRLEAD_BOOTSTRAP_KEY": key,
        "FAIRLEAD_STREAM_REPLICAS": str(len(planner.nats_nodes)),
    }
    command = (planner.machine.python, "-m", "fairlead_common.setup")
    return ProcessSpec(SETUP, Kind.SETUP, command, environment)


def _simulator(planner: _Planner, vendor: str, seed: int, port: int, control_port: int) -> ProcessSpec:
    words = ["--vendor", vendor, "--port", port, "--control-port", control_port, "--seed", seed]
    if planner.options.demo:
        words += ["--latency", _demo_latency(vendor)]
    return ProcessSpec(
        name=f"simulator-{vendor}",
        kind=Kind.SIMULATOR,
        command=(planner.machine.python, "-m", "fairlead_simulator", *map(str, words)),
        environment=planner.base(),
        url=f"http://{HOST}:{control_port}",
        stop_timeout_s=5.0,
    )


def _demo_latency(vendor: str) -> str:
    """Vendors that differ give a comparison something to show."""
    median, p95 = DEMO_LATENCY[vendor]
    return json.dumps(
        {
            "first_token": {"kind": "lognormal", "median_s": median, "p95_s": p95},
            "between_tokens": 0.015,
            "whole": {"kind": "lognormal", "median_s": 2 * median, "p95_s": 2 * p95},
        }
    )


def _demo(planner: _Planner) -> ProcessSpec:
    command = (planner.machine.python, "-m", "fairlead.demo", str(planner.folder.path))
    return ProcessSpec("demo", Kind.DEMO, command, planner.base(), stop_timeout_s=5.0)
