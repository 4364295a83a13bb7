"""The benchmark itself works: a short run prints every figure, and every request's outcome reaches the bus."""

import asyncio
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_a_quick_run_measures_everything_and_loses_no_outcome(tmp_path: Path) -> None:
    found = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.load.bench", "--quick", "--json", str(found)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    printed = output.decode()
    for part in (
        "requests/s, 4 connections",
        "latency added p50, ms",
        "first token added",
        "tokens/s",
        "cores",
    ):
        assert part in printed
    body = json.loads(found.read_text())
    assert body["figures"].keys() >= {"direct", "edge"}
    assert all(value > 0 for value in body["figures"]["edge"]["requests_per_s"])
    assert body["outcomes"] == body["sent"] > 100
