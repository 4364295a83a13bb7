"""``python -m tests.load.health``: what health costs, and how fast it tells, each figure beside its objective.

Health is a process of its own on a real bus and database; providers, bus, database and this program share the other cores.
The load average is printed with the figures: on a machine that others use as well, the processor time says more than
the time of day. The overhead of probes is worked out on a virtual clock, from the same functions that decide when to probe.
"""

import argparse
import asyncio
import csv
import math
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
import yaml
from fairlead_common.bus.connection import connect
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.reading import read_last
from fairlead_common.bus.topology import apply
from fairlead_common.db.upgrade import upgrade
from fairlead_common.events.calls import Attempt, Call, CallsCompleted
from fairlead_common.events.health import ProviderStatusPublished, Status
from fairlead_common.ids import new_id, stamp, utc_now
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_health.domain.pace import Pace, interval_s, needed
from fairlead_health.domain.status import CallSeen, Record, StatusSettings, Tick, observe
from fairlead_health.measuring import PROBE_OUTPUT_TOKENS
from fairlead_models.prices import cost_usd, list_price
from fairlead_models.unified import Usage
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.load.processes import cpu_seconds, upstream
from tests.support.processes import service_process
from tests.support.servers import NatsServer, postgres
from tests.support.waiting import until

TRACE = (
    Path(__file__).parents[2]
    / ".."
    / "shared"
    / "data"
    / "azure_llm_2023"
    / "AzureLLMInferenceTrace_code.csv"
)
MODEL = "gpt-5.4-mini"
KEY = "BENCH_PROVIDER_KEY"
TARGETS, INTERVAL_S = 500, 60
OUTCOMES, PER_FRAME = 50_000, 50
SUBSCRIBERS, CHANGES = 20, 200
IDLE_PROVIDERS = 4
PROBE_INPUT_TOKENS = 14
NO_SCHEDULED_PROBES = {"FAIRLEAD_PROBE_INTERVAL_S": "86400", "FAIRLEAD_PROBE_INTERVAL_UNWELL_S": "86400"}


@dataclass
class Bench:
    """Servers, and how to run health on them."""

    client: Client
    environment: dict[str, str]
    folder: Path

    def providers(self, count: int, url: str) -> None:
        """Health is to know so many providers, all at ``url``."""
        rows = [
            {
                "name": f"p{i}",
                "wire": "openai-native",
                "base_url": f"{url}/v1",
                "api_key": f"${{{KEY}}}",
                "models": [MODEL],
            }
            for i in range(count)
        ]
        (self.folder / "providers.yaml").write_text(yaml.safe_dump({"providers": rows}))

    @asynccontextmanager
    async def health(self, **settings: str) -> AsyncIterator[int]:
        """Its process id, once it is ready."""
        told = {**self.environment, **settings}
        async with service_process("health", told, self.folder / "health.log") as found:
            if found.process is None:
                raise RuntimeError("health has not started")
            yield found.process.pid

    async def lag(self) -> int:
        """Frames that health has not counted into its windows yet."""
        found = await self.client.jetstream().consumer_info("CALLS", "health-calls")
        return (found.num_pending or 0) + (found.num_ack_pending or 0)


@asynccontextmanager
async def bench(folder: Path, dsn: str) -> AsyncIterator[Bench]:
    """On a fresh bus."""
    nats = NatsServer(folder)
    nats.start()
    try:
        await nats.ready()
        client = await connect(nats.url, "bench")
        await apply(client)
        yield Bench(
            client,
            {
                KEY: "key",
                "FAIRLEAD_NATS_URL": nats.url,
                "FAIRLEAD_POSTGRES_DSN": dsn,
                "FAIRLEAD_PROVIDERS_FILE": str(folder / "providers.yaml"),
                "FAIRLEAD_LOG_LEVEL": "ERROR",
            },
            folder,
        )
        await client.close()
    finally:
        nats.kill()


def frame(count: int, provider: str, error: ErrorClass | None = None) -> CallsCompleted:
    """So many calls that have just ended."""
    now = utc_now()
    attempt = Attempt(
        provider=provider,
        model=MODEL,
        offset_ms=0,
        duration_ms=0,
        ttft_ms=50,
        error_class=error,
        cost_usd=0.001,
    )
    calls = [
        Call(
            call_id=new_id(),
            requested_model=MODEL,
            started_at=now,
            state=CallState.FAILED if error else CallState.OK,
            status=502 if error else 200,
            duration_ms=0,
            attempts=(attempt.model_copy(update={"duration_ms": 100.0 + i}) if error is None else attempt,),
        )
        for i in range(count)
    ]
    return CallsCompleted(**stamp(now), source="bench", calls=tuple(calls))


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return math.nan


async def reached(condition: Callable[[], Coroutine[Any, Any, bool]], timeout_s: float) -> None:
    """Wait for it. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.02)


async def passed(seconds: float) -> None:
    """Wait until so much time has passed."""
    ends_at = time.perf_counter() + seconds
    await until(lambda: time.perf_counter() >= ends_at, seconds + 60)


async def targets(found: Bench, seconds: float) -> str:
    """What it costs to watch many providers."""
    async with upstream(None) as url:
        found.providers(TARGETS, url)
        async with found.health(FAIRLEAD_PROBE_INTERVAL_S=str(INTERVAL_S)) as pid:

            async def settled() -> bool:
                found_now = await read_last(found.client, "PROBES", "probes.schedule.>")
                every = [(each.headers or {})["Nats-Schedule"] for each in found_now]
                return every == [f"@every {INTERVAL_S}s"] * TARGETS

            await reached(settled, 300)  # the start, when all are looked at every 2 s, is another matter
            await passed(INTERVAL_S / 2)
            before, began = cpu_seconds(pid), time.perf_counter()
            await passed(seconds)
            share = (cpu_seconds(pid) - before) / (time.perf_counter() - began)
            return (
                f"{TARGETS} targets at {INTERVAL_S} s: {share:.1%} of a core (objective < 5 %),"
                f" {resident_mb(pid):.0f} MB resident (objective < 150 MB), over {seconds:g} s"
            )


async def outcomes(found: Bench, seconds: float) -> str:
    """How many outcomes one process folds into windows and states."""
    del seconds
    found.providers(1, "http://127.0.0.1:9")
    publisher = JetStreamPublisher(found.client.jetstream())
    async with found.health(**NO_SCHEDULED_PROBES) as pid:
        before, began = cpu_seconds(pid), time.perf_counter()
        for _ in range(OUTCOMES // PER_FRAME):
            await publisher.publish(frame(PER_FRAME, "p0"))

        async def folded() -> bool:
            return await found.lag() == 0

        await reached(folded, 300)
        wall_s, cpu_s = time.perf_counter() - began, cpu_seconds(pid) - before
        return (
            f"{OUTCOMES} outcomes in frames of {PER_FRAME}: {OUTCOMES / cpu_s:,.0f} per second of processor time"
            f" (objective 5,000), {OUTCOMES / wall_s:,.0f} per second of time, publishing included"
        )


async def propagation(found: Bench, seconds: float) -> str:
    """From the outcome that decides to every subscriber."""
    del seconds
    found.providers(1, "http://127.0.0.1:9")
    url, publisher = found.environment["FAIRLEAD_NATS_URL"], JetStreamPublisher(found.client.jetstream())
    waits: list[float] = []
    sent_at, seen = 0.0, asyncio.Semaphore(0)

    async def hear(message: Msg) -> None:
        if ProviderStatusPublished.model_validate_json(message.data).changed:
            waits.append((time.perf_counter() - sent_at) * 1000)
            seen.release()

    clients = [await connect(url, f"subscriber-{i}") for i in range(SUBSCRIBERS)]
    for client in clients:
        await client.subscribe("provider.status.>", cb=hear)
        await client.flush()
    at_once = StatusSettings(
        failures_to_down=1, failing_s=0, successes_to_healthy=1, well_s=0, flap_window_s=0.001
    ).model_dump_json()
    async with found.health(**NO_SCHEDULED_PROBES, FAIRLEAD_STATUS=at_once):
        for i in range(CHANGES):
            sent_at = time.perf_counter()
            await publisher.publish(frame(1, "p0", ErrorClass.SERVER_ERROR if i % 2 else None))
            for _ in clients:
                await asyncio.wait_for(seen.acquire(), 60)
            if i == 0:
                waits.clear()  # the holder of the lease had to be found
    for client in clients:
        await client.close()
    waits.sort()
    p50, p99 = (waits[math.floor(q * (len(waits) - 1))] for q in (0.5, 0.99))
    return (
        f"{CHANGES} changes at {SUBSCRIBERS} subscribers, from publishing the outcome: p50 {p50:.1f} ms,"
        f" p99 {p99:.1f} ms (objective p99 < 100 ms), worst {waits[-1]:.1f} ms"
    )


async def overhead(found: Bench, seconds: float) -> str:
    """Probes beside the recorded traffic: one provider serves it, the others stand by and are probed on schedule."""
    del found, seconds
    if not TRACE.exists():
        return f"overhead of probes: {TRACE} is absent"
    price = list_price("openai", MODEL, utc_now())
    arrivals: list[float] = []
    spend = 0.0
    with TRACE.open(newline="") as file:
        for row in csv.DictReader(file):
            arrivals.append(datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC).timestamp())
            used = Usage(int(row["ContextTokens"]), int(row["GeneratedTokens"]))
            spend += cost_usd(used, price) or 0.0
    arrivals.sort()
    probes = [_probes(arrivals, routed=i == 0) for i in range(1 + IDLE_PROVIDERS)]
    cost = sum(probes) * (cost_usd(Usage(PROBE_INPUT_TOKENS, PROBE_OUTPUT_TOKENS), price) or 0.0)
    return (
        f"{len(arrivals)} calls in {(arrivals[-1] - arrivals[0]) / 60:.0f} minutes at 1 of {1 + IDLE_PROVIDERS}"
        f" providers: {probes[0]} probes of it, {sum(probes[1:])} of the others: {sum(probes) / len(arrivals):.2%} of the"
        f" calls and {cost / spend:.4%} of the spend (objective < 1 % of each)"
    )


def _probes(arrivals: list[float], *, routed: bool) -> int:
    """How many probes go out to a provider with that traffic, or without any, by the defaults."""
    usual_s, rules, pace = 240, StatusSettings(), Pace()
    record = observe(Record("p", since=arrivals[0]), CallSeen(True, "active"), arrivals[0], rules)
    due_at, probes, following = arrivals[0], 0, 0
    last_answer = -math.inf
    while due_at < arrivals[-1]:
        while routed and following < len(arrivals) and arrivals[following] <= due_at:
            last_answer = arrivals[following]
            record = observe(record, CallSeen(True, "passive"), last_answer, rules)
            following += 1
        record = observe(record, Tick(), due_at, rules)
        if needed(record.status, due_at - last_answer, usual_s):
            probes += 1
            record = observe(record, CallSeen(True, "active"), due_at, rules)
        routed_at = last_answer if routed else arrivals[0]
        due_at += interval_s(record, usual_s, routed_at, due_at, pace)
    if record.status is not Status.HEALTHY:
        raise RuntimeError("a provider that only answers is not healthy")
    return probes


PARTS = {"overhead": overhead, "propagation": propagation, "outcomes": outcomes, "targets": targets}


async def main(parts: list[str], seconds: float) -> None:
    """Measure and print."""
    for name in parts:
        with postgres() as dsn, tempfile.TemporaryDirectory(prefix="flh") as folder:
            await upgrade(dsn)
            async with bench(Path(folder), dsn) as found:
                line = await PARTS[name](found, seconds)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        print(f"{line}; load average {load} on {os.cpu_count()} cores", flush=True)  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=[*PARTS], help="may be given several times; all by default"
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="how long targets are watched")
    given = parser.parse_args(sys.argv[1:])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(given.only or list(PARTS), given.seconds))
