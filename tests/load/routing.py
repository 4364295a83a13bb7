"""How long it takes until every edge decides by a changed rule, and to ask for a decision: ``python -m tests.load.routing``.

A real NATS and Postgres, the routing service as a process, three followers with connections of their own, as edges have
them, that compile each table as edges do. Each round replaces a rule, of a table of a hundred, and takes the time from
the request until each follower has compiled the new table. Then ``rpc.routing.decide`` is asked, one request after the
other: of the hundred rules none applies, and the default one ranks the members of ``auto``. Nothing but waiting is
measured, so the load of the machine is printed beside the figures.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import orjson
import uvloop
from fairlead_common.bus.connection import connect
from fairlead_common.bus.rpc import RpcClient, RpcError
from fairlead_common.decisions.table import compile_table
from fairlead_common.ids import utc_now
from fairlead_common.operations import routing as ops
from fairlead_common.operations.routing_decide import DECIDE, DecideQuery, Features
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.catalog.workspaces import ALL
from nats.aio.client import Client

from tests.load.failover import EDGES, quantile, stack

RULES = 100
PROVIDERS = ("openai", "anthropic", "google", "mistral", "cohere")
UNTIMED = 200


class Watch:
    """What an edge follows, and when it had each version first."""

    def __init__(self) -> None:
        self.had: dict[int, float] = {}
        self.news = asyncio.Event()
        self.follower = SnapshotFollower("routes", _version, on_change=self._changed)

    def _changed(self, key: str) -> None:
        self.had.setdefault(self.follower[key], time.perf_counter())
        self.news.set()

    async def until(self, version: int) -> float:
        """Time at which a table of this version or a later one was there, by ``time.perf_counter``."""
        while not (found := [at for each, at in self.had.items() if each >= version]):
            self.news.clear()
            await self.news.wait()
        return min(found)


def _version(data: bytes) -> int:
    return compile_table(RoutesSnapshot.model_validate_json(data)).version


def rule(number: int, tokens: int) -> ops.RuleIn:
    """One of many that differ."""
    conditions: dict[str, object] = {"when": f"request.tokens > {tokens} && request.user == 'user-{number}'"}
    return ops.RuleIn(name=f"rule {number}", strategy="cost", priority=number, conditions=conditions)


class Figures(NamedTuple):
    """Milliseconds."""

    answered: list[float]
    each: list[float]
    """Until each edge has it."""
    last: list[float]
    """Until the last one has it."""
    decided: list[float]


async def measured(url: str, rounds: int, asks: int) -> Figures:
    """On a running stack."""
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
        rpc = RpcClient(clients[-1])
        made = [
            await rpc.call(ops.CREATE, ops.CreateRule(workspace_id=1, rule=rule(number, 10)))
            for number in range(RULES)
        ]
        await asyncio.gather(*(watch.until(RULES) for watch in watches))
        answered, each, last = [], [], []
        for turn in range(rounds):
            one = made[turn % RULES]
            change = ops.ReplaceRule(workspace_id=1, rule_id=one.id, rule=rule(turn % RULES, turn + 20))
            began = time.perf_counter()
            version = (await rpc.call(ops.REPLACE, change)).version
            answered.append((time.perf_counter() - began) * 1000)
            seen = await asyncio.gather(*(watch.until(version) for watch in watches))
            each += [(at - began) * 1000 for at in seen]
            last.append((max(seen) - began) * 1000)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        catalog = Catalog(built_in(utc_now()), PROVIDERS)
        await SnapshotPublisher(clients[-1], "catalog").put(ALL, orjson.dumps(catalog.to_snapshot()))
        return Figures(answered, each, last, [await _decide(rpc) for _ in range(UNTIMED + asks)][UNTIMED:])


async def _decide(rpc: RpcClient) -> float:
    """Milliseconds until a decision is there; again while the service does not know the catalog."""
    query = DecideQuery(workspace_id=1, request=Features(model="auto", prompt="How do ships stay moored?"))
    while True:
        began = time.perf_counter()
        try:
            await rpc.call(DECIDE, query)
        except RpcError:
            await asyncio.sleep(0.05)
            continue
        return (time.perf_counter() - began) * 1000


async def run(folder: Path, rounds: int, asks: int) -> Figures:
    """Start everything, and measure."""

    def told(nats_url: str, dsn: str) -> dict[str, str]:
        return {"FAIRLEAD_NATS_URL": nats_url, "FAIRLEAD_POSTGRES_DSN": dsn}

    async with stack(folder, "routing", told) as url:
        return await measured(url, rounds, asks)


def main(rounds: int, asks: int) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="flro"))
    folder.chmod(0o755)  # Postgres runs as another user
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as services run
            found = runner.run(run(folder, rounds, asks))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = (
        ("a change is answered", found.answered),
        ("one edge has it", found.each),
        (f"all {EDGES} edges have it", found.last),
        ("a decision is asked", found.decided),
    )
    for name, values in rows:
        p50, p99 = statistics.median(values), quantile(values, 0.99)
        print(f"  {name:<21} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   max {max(values):6.2f} ms")  # noqa: T201
    print(f"  load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--asks", type=int, default=3000)
    given = parser.parse_args()
    main(given.rounds, given.asks)
