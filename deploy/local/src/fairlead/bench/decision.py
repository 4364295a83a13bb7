"""`fairlead bench decision`: what one routing decision costs, on one core, alone and asked through NATS.

Processor time is what one decision takes of a core; the clock on the wall has in it what other programs took meanwhile.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop
from fairlead_common.bus.connection import CONNECT_OPTIONS, connect
from fairlead_common.bus.rpc import RpcClient, answer
from fairlead_common.decisions.plan import FleetView, Plan, RouteRequest
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.strategies import SCORES
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate
from fairlead_common.operations.routing_decide import DECIDE, DecideQuery, Features
from fairlead_routing.decide_api import DecideApi, Situation
from faststream.nats import NatsBroker

from fairlead.bench import scenario
from fairlead.embedded.nats import program
from fairlead.errors import BadInput, StartFailed
from fairlead.ports import HOST, free_ports
from fairlead.terminal import Terminal

RULES: Final = 100
MANY_RULES: Final = 1000
CANDIDATES: Final = 50
WARM: Final = 500
"""Decisions before the first that counts: caches fill, and the branch predictor learns."""
ASKED: Final = 2000
PROMPTS: Final = 1000
PROMPT_CHARACTERS: Final = (300, 4000)
"""Of longer prompts, only the first 4,000 are looked at."""


class Spread(NamedTuple):
    """Median and 99th percentile, in microseconds."""

    p50_us: float
    p99_us: float


class Decider:
    """Decides about the requests of the scenario, one after the other, over and over."""

    def __init__(self, strategy: str, seed: int) -> None:
        self.candidates = scenario.candidates(CANDIDATES, seed)
        self._view: FleetView = scenario.view(self.candidates, seed)
        self._table: CompiledTable = scenario.table(RULES, strategy, self.candidates)
        self._named = {str(each.target): (each,) for each in self.candidates}
        self.requests = scenario.requests(4096, seed)

    @property
    def situation(self) -> Situation:
        """What the decisions go by."""
        return Situation(self._table, None, self._resolve, self._view, None)

    def decide(self, request: RouteRequest, draw: float) -> Plan:
        """One decision."""
        found = make_plan(
            self._table, None, request, self._resolve, self._view, scenario.NOW, draw, stand_ins=False
        )
        if not isinstance(found, Plan):
            raise TypeError(f"the scenario is wrong: {found.message}")
        return found

    def _resolve(self, name: str) -> Sequence[Candidate]:
        return self._named.get(name, self.candidates)

    def timed(self, decisions: int, clock: Callable[[], int]) -> Spread:
        """How long so many decisions took, by ``clock`` (nanoseconds)."""
        took = []
        for number in range(WARM + decisions):
            request, draw = self.requests[number % len(self.requests)]
            began = clock()
            self.decide(request, draw)
            took.append(clock() - began)
        return _spread(took[WARM:], 1e3)


def bench_decision(decisions: int, growth: int, seed: int, json_file: Path | None) -> int:
    """Print the figures; write them to ``json_file``.

    Args:
        decisions: measured for each strategy and clock.
        growth: decisions over which the growth of memory is measured.

    Raises:
        BadInput: ``json_file`` cannot be written.
        StartFailed: the NATS server cannot be started.
    """
    terminal = Terminal()
    terminal.say(
        f"{RULES} rules, all looked at, the last one decides among {CANDIDATES} candidates; seed {seed}"
    )
    terminal.say(f"  {'strategy':<14}{'processor p50':>15}{'p99, us':>10}{'wall p50':>12}{'p99, us':>10}")
    results: dict[str, Any] = {"rules": RULES, "candidates": CANDIDATES, "strategies": {}}
    for strategy in SCORES:
        decider = Decider(strategy, seed)
        own = decider.timed(decisions, time.thread_time_ns)
        wall = decider.timed(decisions, time.perf_counter_ns)
        terminal.say(
            f"  {strategy:<14}{own.p50_us:>15.1f}{own.p99_us:>10.1f}{wall.p50_us:>12.1f}{wall.p99_us:>10.1f}"
        )
        results["strategies"][strategy] = {"processor": own._asdict(), "wall": wall._asdict()}
    results["clusters"] = {}
    for characters in PROMPT_CHARACTERS:
        cluster = _cluster(characters, seed)
        results["clusters"][characters] = cluster._asdict()
        terminal.say(
            f"cluster of a prompt of {characters:,} characters, only where a learned predictor counts:"
            f" p50 {cluster.p50_us:.0f} us, p99 {cluster.p99_us:.0f} us of processor time"
        )
    results["compile_ms"] = _compile_ms(seed)
    terminal.say(f"compile of {MANY_RULES:,} rules: {results['compile_ms']:.0f} ms of processor time")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as services run
        asked = runner.run(_asked(Decider("balanced", seed)))
    results["asked_through_nats"] = asked._asdict()
    terminal.say(
        f"asked through NATS, balanced: p50 {asked.p50_us / 1e3:.2f} ms, p99 {asked.p99_us / 1e3:.2f} ms"
    )
    blocks, kilobytes = _growth(Decider("balanced", seed), growth)
    results["growth"] = {"decisions": growth, "blocks": blocks, "kilobytes": kilobytes}
    terminal.say(
        f"growth over {growth:,} decisions: {blocks:+,} allocated blocks, {kilobytes:+,} kB resident"
    )
    if json_file is not None:
        try:
            json_file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write '{json_file}': {error.strerror}") from error
    return 0


def _spread(took_ns: Sequence[int], divisor: float) -> Spread:
    ordered = sorted(took_ns)
    return Spread(ordered[len(ordered) // 2] / divisor, ordered[int(0.99 * len(ordered))] / divisor)


def _cluster(characters: int, seed: int) -> Spread:
    """What it takes to tell the cluster of a prompt, which a decision does at most once for a request."""
    table = scenario.learned(scenario.candidates(CANDIDATES, seed), seed)
    took = []
    for prompt in scenario.prompts(WARM + PROMPTS, characters, seed):
        began = time.thread_time_ns()
        table.cluster_of(prompt)
        took.append(time.thread_time_ns() - began)
    return _spread(took[WARM:], 1e3)


def _compile_ms(seed: int) -> float:
    raw = scenario.snapshot(MANY_RULES, "balanced", scenario.candidates(CANDIDATES, seed))
    began = time.thread_time_ns()
    compile_table(raw)
    return (time.thread_time_ns() - began) / 1e6


def _growth(decider: Decider, decisions: int) -> tuple[int, int]:
    """(allocated blocks, kilobytes resident) more after so many decisions than before."""
    decider.timed(len(decider.requests), time.thread_time_ns)
    before = _memory()
    for number in range(decisions):
        decider.decide(*decider.requests[number % len(decider.requests)])
    after = _memory()
    return after[0] - before[0], after[1] - before[1]


def _memory() -> tuple[int, int]:
    gc.collect()
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    resident = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
    return sys.getallocatedblocks(), resident


async def _asked(decider: Decider) -> Spread:
    """Over a NATS server on this machine; who asks and who decides share this process."""
    port = next(free_ports())
    server = await asyncio.create_subprocess_exec(
        program(), "-a", HOST, "-p", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listens(port)
        return await _asking(decider, f"nats://{HOST}:{port}")
    finally:
        server.terminate()
        await server.wait()


async def _asking(decider: Decider, url: str) -> Spread:
    """The operation ``routing.decide`` as the routing service answers it."""
    broker = NatsBroker(url, logger=None, **CONNECT_OPTIONS)
    answer(broker, DECIDE, DecideApi(lambda _: decider.situation, lambda: scenario.NOW).decide)
    await broker.start()
    client = await connect(url, "fairlead-bench")
    rpc, took = RpcClient(client), []
    for number in range(WARM + ASKED):
        query = _query(decider.requests[number % len(decider.requests)][0])
        began = time.perf_counter_ns()
        await rpc.call(DECIDE, query)
        took.append(time.perf_counter_ns() - began)
    await client.close()
    await broker.stop()
    return _spread(took[WARM:], 1e3)


def _query(request: RouteRequest) -> DecideQuery:
    features = Features(
        model=request.requested_model,
        input_tokens=request.input_tokens,
        max_output_tokens=request.max_output_tokens,
        stream=request.stream,
        metadata=dict(request.metadata),
        user=request.user,
    )
    return DecideQuery(workspace_id=request.workspace_id, request=features)


async def _listens(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise StartFailed("the NATS server of the benchmark did not listen within 5 s")
