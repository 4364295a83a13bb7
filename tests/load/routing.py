"""How long it takes until every edge decides by a changed rule: ``python -m tests.load.routing [--rounds N]``.

A real NATS and Postgres, the routing service as a process, three followers with connections of their own, as edges have
them, that compile each table as edges do. Each round replaces a rule, of a table of a hundred, and takes the time from
the request until each follower has compiled the new table. Nothing but waiting is measured, so the load of the machine
is printed beside the figures.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from fairlead_common.bus.connection import connect
from fairlead_common.bus.rpc import RpcClient
from fairlead_common.decisions.table import compile_table
from fairlead_common.operations import routing as ops
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.routes import RoutesSnapshot
from nats.aio.client import Client

from tests.load.failover import EDGES, quantile, stack

RULES = 100


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


async def measured(url: str, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """(until the answer, until each edge has it, until the last one has it), in milliseconds."""
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
        return answered, each, last


async def run(folder: Path, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Start everything, and measure."""

    def told(nats_url: str, dsn: str) -> dict[str, str]:
        return {"FAIRLEAD_NATS_URL": nats_url, "FAIRLEAD_POSTGRES_DSN": dsn}

    async with stack(folder, "routing", told) as url:
        return await measured(url, rounds)


def main(rounds: int) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="flro"))
    folder.chmod(0o755)  # Postgres runs as another user
    try:
        answered, each, last = asyncio.run(run(folder, rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = (("it is answered", answered), ("one edge has it", each), (f"all {EDGES} edges have it", last))
    for name, values in rows:
        p50, p99 = statistics.median(values), quantile(values, 0.99)
        print(f"  {name:<20} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   max {max(values):6.1f} ms")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    main(parser.parse_args().rounds)
