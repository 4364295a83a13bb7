"""``python -m tests.load.bench``: what the edge costs, measured at the client, beside calls that do without it.

The edge has a core to itself and everything on: keys, rules, journal, outcomes to NATS, metrics, tracing as configured
by default. Upstream, NATS and load generator share the other core. Rounds are interleaved, so that a noisy moment
meets all alike; figures are medians of the rounds, with the lowest and the highest. On a machine that others use as
well, the processor time per request says more than the throughput.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from fairlead_common.bus.connection import connect

from tests.load.client import Target, Times, alternating, sustained
from tests.load.processes import cpu_seconds, edge, nats, nginx, pin, upstream
from tests.support.edge import CALLER

CHAT = "/v1/chat/completions"
MODEL = "openai/gpt-5.4-mini"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    connections: int
    requests: int
    """At one connection, per target and round."""


@dataclass
class Subject:
    """One of those that are compared."""

    target: Target
    pid: int | None = None
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """One round's value of a figure."""
        self.figures.setdefault(name, []).append(value)


ROWS: tuple[tuple[str, str, str], ...] = (
    ("requests_per_s", "requests/s, {connections} connections", "{:,.0f}"),
    ("cpu_us", "processor time per request, us", "{:,.0f}"),
    ("p50_ms", "latency p50, 1 connection, ms", "{:.3f}"),
    ("p95_ms", "latency p95, 1 connection, ms", "{:.3f}"),
    ("p99_ms", "latency p99, 1 connection, ms", "{:.3f}"),
    ("added_p50_ms", "latency added p50, ms", "{:.3f}"),
    ("added_p95_ms", "latency added p95, ms", "{:.3f}"),
    ("added_p99_ms", "latency added p99, ms", "{:.3f}"),
    ("first_token_p50_ms", "first token p50, 1 connection, ms", "{:.3f}"),
    ("first_token_added_p50_ms", "first token added p50, ms", "{:.3f}"),
    ("tokens_per_s", "tokens/s streamed, {connections} connections", "{:,.0f}"),
    ("token_cpu_us", "processor time per token, us", "{:,.1f}"),
)


async def measure(subjects: list[Subject], plan: Plan) -> None:
    """All rounds; results are noted in ``subjects``, of which the first is called directly."""
    for number in range(plan.rounds):
        order = subjects if number % 2 == 0 else subjects[::-1]
        for subject in order:
            await _throughput(subject, plan)
        for subject in order:
            await _streams(subject, plan)
        await _latency(subjects, plan)
        await _first_tokens(subjects, plan)


async def _throughput(subject: Subject, plan: Plan) -> None:
    gc.collect()
    before = cpu_seconds(subject.pid) if subject.pid else 0.0
    load = await sustained(subject.target, plan.connections, plan.seconds)
    subject.note("requests_per_s", load.answers / load.seconds)
    if subject.pid:
        used = cpu_seconds(subject.pid) - before
        subject.note("cpu_us", used * 1e6 / (load.answers + plan.connections))


async def _streams(subject: Subject, plan: Plan) -> None:
    gc.collect()
    before = cpu_seconds(subject.pid) if subject.pid else 0.0
    load = await sustained(subject.target, plan.connections, plan.seconds, stream=True)
    subject.note("tokens_per_s", load.tokens / load.seconds)
    if subject.pid:
        used = cpu_seconds(subject.pid) - before
        subject.note("token_cpu_us", used * 1e6 / load.tokens)


async def _latency(subjects: list[Subject], plan: Plan) -> None:
    gc.collect()
    found = await alternating([subject.target for subject in subjects], plan.requests)
    direct = found[subjects[0].target.name]
    for subject in subjects:
        mine = found[subject.target.name]
        _quantiles(subject, "", [each.total_s for each in mine])
        if subject is not subjects[0]:
            added = [each.total_s - other.total_s for each, other in zip(mine, direct, strict=True)]
            _quantiles(subject, "added_", added)


async def _first_tokens(subjects: list[Subject], plan: Plan) -> None:
    gc.collect()
    found = await alternating([subject.target for subject in subjects], plan.requests // 4 or 1, stream=True)
    direct = found[subjects[0].target.name]
    for subject in subjects:
        mine = found[subject.target.name]
        subject.note("first_token_p50_ms", _median_ms(mine, lambda each, _: each.first_token_s, direct))
        if subject is not subjects[0]:
            added = _median_ms(mine, lambda each, other: each.first_token_s - other.first_token_s, direct)
            subject.note("first_token_added_p50_ms", added)


def _median_ms(
    mine: Sequence[Times], value: Callable[[Times, Times], float], direct: Sequence[Times]
) -> float:
    return 1000 * statistics.median(value(*pair) for pair in zip(mine, direct, strict=True))


def _quantiles(subject: Subject, prefix: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        subject.note(f"{prefix}{name}_ms", 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))])


async def run(plan: Plan, folder: Path) -> tuple[list[Subject], int]:
    """Start everything, measure, and count the outcomes that reached the bus."""
    cores = sorted(os.sched_getaffinity(0))
    near, far = (cores[0], cores[-1]) if len(cores) > 1 else (None, None)
    pin(os.getpid(), far)
    async with (
        upstream(far) as provider_url,
        nats(folder / "nats", far) as nats_url,
        edge(folder / "edge", provider_url, nats_url, near) as (edge_url, edge_pid),
        nginx(folder / "nginx", provider_url, near) as proxy,
    ):
        subjects = [
            Subject(Target("direct", provider_url + CHAT, MODEL, CALLER)),
            Subject(Target("edge", edge_url + CHAT, MODEL, CALLER), edge_pid),
        ]
        if proxy is not None:
            subjects.append(Subject(Target("nginx", proxy[0] + CHAT, MODEL, CALLER), proxy[1]))
        gc.freeze()
        gc.disable()
        try:
            await measure(subjects, plan)
        finally:
            gc.enable()
        return subjects, await _outcomes(nats_url)


async def _outcomes(nats_url: str) -> int:
    """Calls in the frames on the bus, once the edge has sent all of them."""
    client = await connect(nats_url, "bench-count")
    try:
        jetstream = client.jetstream()
        counted, last = 0, 0
        quiet = 0
        while quiet < 10:
            newest = (await jetstream.stream_info("CALLS")).state.last_seq
            quiet = quiet + 1 if newest == last else 0
            for number in range(last + 1, newest + 1):
                message = await jetstream.get_msg("CALLS", seq=number)
                counted += (message.data or b"").count(b'{"call_id":')
            last = newest
            await asyncio.sleep(0.1)
        return counted
    finally:
        await client.close()


def facts() -> dict[str, Any]:
    """Of the machine and the code."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def table(subjects: list[Subject], plan: Plan) -> str:
    """Median (lowest to highest) of every figure."""
    titles = ["", *(subject.target.name for subject in subjects)]
    lines = [titles]
    for name, title, form in ROWS:
        if any(name in subject.figures for subject in subjects):
            cells = [_cell(subject.figures.get(name), form) for subject in subjects]
            lines.append([title.format(connections=plan.connections), *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(values: list[float] | None, form: str) -> str:
    if not values:
        return "-"
    middle = form.format(statistics.median(values))
    return f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def options(argv: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each period of full load")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--requests", type=int, default=1500, help="at one connection, per round")
    parser.add_argument("--json", type=Path, help="also write all figures of all rounds to this file")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work?")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measure and print."""
    given = options(argv)
    plan = Plan(given.rounds, given.seconds, given.connections, given.requests)
    if given.quick:
        plan = Plan(1, 0.3, 4, 50)
    known = facts()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench") as folder:
        for name in ("nats", "edge", "nginx"):
            (Path(folder) / name).mkdir()
        subjects, outcomes = uvloop.run(run(plan, Path(folder)))
    sys.stdout.write(" | ".join(f"{name} {value}" for name, value in known.items()) + "\n")
    sys.stdout.write(
        f"{plan.rounds} interleaved rounds of {plan.seconds:g} s; median (lowest to highest) of the rounds\n\n"
    )
    sent = next(subject.target.sent for subject in subjects if subject.target.name == "edge")
    sys.stdout.write(table(subjects, plan) + "\n\n")
    sys.stdout.write(f"{sent:,} requests were sent to the edge; {outcomes:,} outcomes are on the bus\n")
    if given.json is not None:
        figures = {subject.target.name: subject.figures for subject in subjects}
        found = {"facts": known, "plan": vars(plan), "figures": figures, "sent": sent, "outcomes": outcomes}
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
