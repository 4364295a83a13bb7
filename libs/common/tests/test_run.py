"""What a container runs: a real process per case, because signals and exit codes are the point."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fairlead_common.run import UnknownService, module_of, name_replica, services

from tests.support.servers import free_port
from tests.support.waiting import until

COMMAND = [sys.executable, "-m", "fairlead_common.run"]


def environment(**settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **settings}


def checked(settings: dict[str, str]) -> int:
    return subprocess.run([*COMMAND, "check"], env=settings, check=False).returncode


def test_every_service_can_be_run() -> None:
    assert {"edge", "health", "failover", "routing", "comparison", "abtest", "simulator"} <= set(services())
    assert "common" not in services()
    assert module_of("edge") == "fairlead_edge"
    assert module_of("setup") == "fairlead_common.setup"


@pytest.mark.parametrize("name", ["", "nothing", "common", "models", "../edge"])
def test_an_unknown_service_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownService, match="there are abtest, comparison"):
        module_of(name)


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("fairlead-edge-0", "fairlead-edge-0"),
        ("node.example.com", "node-example-com"),
        ("", "replica"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_replica_is_called_as_its_host(hostname: str, expected: str) -> None:
    environ: dict[str, str] = {}
    name_replica(environ, hostname)
    assert environ == {"FAIRLEAD_INSTANCE": expected}


def test_a_given_name_stays() -> None:
    environ = {"FAIRLEAD_INSTANCE": "mine"}
    name_replica(environ, "host")
    assert environ == {"FAIRLEAD_INSTANCE": "mine"}


@pytest.mark.parametrize("arguments", [[], ["nothing"]])
def test_a_mistake_is_one_line_and_code_2(arguments: list[str]) -> None:
    found = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment(), check=False
    )
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert "edge" in found.stderr


def test_nothing_alive_is_code_1() -> None:
    settings = environment(FAIRLEAD_HTTP_PORT=str(free_port()))
    assert checked(settings) == 1


async def test_a_service_lives_in_the_process_and_ends_at_sigterm(tmp_path: Path) -> None:
    """Neither bus nor database are there: it lives, is not ready, and stops when told to."""
    port = free_port()
    settings = environment(
        FAIRLEAD_HTTP_PORT=str(port),
        FAIRLEAD_NATS_URL=f"nats://127.0.0.1:{free_port()}",
        FAIRLEAD_POSTGRES_DSN=f"postgresql://nobody@127.0.0.1:{free_port()}/none",
    )
    log = (tmp_path / "log").open("wb")
    process = await asyncio.create_subprocess_exec(*COMMAND, "routing", env=settings, stderr=log)
    try:
        await until(lambda: checked(settings) == 0)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 503
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        log.close()
