"""The processes of the benchmark: edge, upstream, NATS, nginx, each on its core, ended by their pid."""

import asyncio
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from fairlead_common.bus.connection import connect
from fairlead_common.bus.topology import apply
from fairlead_common.decisions.conditions import compile_conditions
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot, Strategy
from fairlead_models.providers import BUILT_IN, ProviderSpec

from tests.support.edge import KEYS, process_environment, put_snapshot
from tests.support.servers import NatsServer, free_port

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
RULES = (
    RuleSnapshot(
        rule_id=1,
        name="drafts",
        strategy=Strategy.COST,
        priority=1,
        conditions={"metadata": {"tier": "draft"}},
    ),
    RuleSnapshot(
        rule_id=2, name="pictures", strategy=Strategy.QUALITY, priority=2, conditions={"needs": ["vision"]}
    ),
    RuleSnapshot(
        rule_id=3,
        name="the rest",
        strategy=Strategy.BALANCED,
        priority=3,
        conditions={"models": ["*"], "max_cost_usd": 5},
    ),
)


def pin(pid: int, core: int | None) -> None:
    """Bind a process, all of its threads so far included, to a core; None = leave it."""
    if core is None:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


@contextmanager
def process(command: list[str], core: int | None, env: dict[str, str] | None = None) -> Iterator[int]:
    """A child process, pinned; gives its pid."""
    child = subprocess.Popen(command, env=env)
    try:
        pin(child.pid, core)
        yield child.pid
    finally:
        child.terminate()
        child.wait()


async def answers(url: str) -> None:
    """Wait until ``url`` answers anything."""
    async with asyncio.timeout(60):
        while True:
            try:
                await asyncio.to_thread(urllib.request.urlopen, url, timeout=5)
            except urllib.error.HTTPError:
                return
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return


@asynccontextmanager
async def upstream(core: int | None) -> AsyncIterator[str]:
    """The provider; gives its base URL."""
    port = free_port()
    with process([sys.executable, "-m", "tests.load.upstream", str(port)], core):
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield url


@asynccontextmanager
async def nats(folder: Path, core: int | None) -> AsyncIterator[str]:
    """A NATS server with the topology, keys and rules; gives its URL."""
    server = NatsServer(folder)
    server.start()
    try:
        await server.ready()
        pin(server.pid, core)
        client = await connect(server.url, "bench")
        await apply(client)
        for rule in RULES:
            compile_conditions(rule.conditions)
        await SnapshotPublisher(client, "access").put("keys", KEYS)
        await SnapshotPublisher(client, "routes").put("1", routes())
        await client.close()
        yield server.url
    finally:
        server.kill()


def routes() -> RoutesSnapshot:
    """The rules of the benchmark; the last of them decides."""
    return RoutesSnapshot(workspace_id=1, version=1, rules=RULES)


@asynccontextmanager
async def edge(
    folder: Path, provider_url: str, nats_url: str, core: int | None
) -> AsyncIterator[tuple[str, int]]:
    """An edge as it runs in production, with five providers, all played by one; gives its base URL and its pid."""
    put_snapshot(folder, "access", {"keys": KEYS})
    put_snapshot(folder, "routes", {"1": routes()})
    port = free_port()
    specs = tuple(
        ProviderSpec(name, wire, provider_url, "sk-test") for name, (wire, _, _) in BUILT_IN.items()
    )
    environment = process_environment(folder, port, specs) | {"FAIRLEAD_NATS_URL": nats_url}
    with process([sys.executable, "-m", "fairlead_edge"], core, environment) as pid:
        url = f"http://127.0.0.1:{port}"
        await answers(f"{url}/livez")
        pin(pid, core)
        yield url, pid


@asynccontextmanager
async def nginx(folder: Path, provider_url: str, core: int | None) -> AsyncIterator[tuple[str, int] | None]:
    """nginx as a bare reverse proxy, with one worker; None when it is not installed."""
    binary = shutil.which("nginx")
    if binary is None:
        yield None
        return
    port, pid_file = free_port(), folder / "nginx.pid"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {pid_file};\nerror_log {folder}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{\naccess_log off;\nkeepalive_requests 100000000;\n{temporary}"
        f"upstream provider {{ server {provider_url.removeprefix('http://')}; keepalive 64;"
        " keepalive_requests 100000000; }\n"
        f"server {{ listen 127.0.0.1:{port};\nlocation / {{ proxy_pass http://provider; proxy_http_version 1.1;"
        ' proxy_set_header Connection ""; proxy_buffering off; } }\n}\n'
    )
    with process([binary, "-c", str(config), "-p", str(folder)], core) as pid:
        url = f"http://127.0.0.1:{port}"
        await answers(url)
        yield url, pid
