"""``fairlead up`` as its users meet it: real processes, killed and stopped, started again, and told nonsense.

The tests of this module share one run of their own and follow one another: those that end the run come last.
"""

import asyncio
import json
import shlex
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from fairlead.up import installed_services
from fairlead_models.providers import BUILT_IN

from tests.support.stack import Stack, alive, http, wait_for

MODELS = {
    "openai": "openai/gpt-5.4-mini",
    "anthropic": "anthropic/claude-haiku-4-5",
    "google": "google/gemini-2.5-flash",
    "mistral": "mistral/mistral-small-2603",
    "cohere": "cohere/command-r7b-12-2024",
}
SERVICES = [service.name for service in installed_services()]
SIMULATORS = [f"simulator-{vendor}" for vendor in BUILT_IN]
CALL_IDS: list[str] = []
"""Of every chat that was answered here; each must be in Postgres exactly once."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    found = Stack(tmp_path_factory.mktemp("up"), "--edges", "2")
    found.start()
    yield found
    found.stop()


def chat(stack: Stack, model: str = "auto", *, edge: int = 0, stream: bool = False) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}], "stream": stream}
    url = f"{stack.run['edge_urls'][edge]}/v1/chat/completions"
    answer = httpx.post(url, json=body, headers=stack.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    CALL_IDS.append(answer.headers["x-request-id"])
    return answer


def recorded(stack: Stack) -> list[str]:
    """Which of the calls are in Postgres, as often as they are there."""

    async def read() -> list[str]:
        connection = await asyncpg.connect(stack.postgres_dsn)
        try:
            query = "SELECT call_id FROM call_observation WHERE call_id = ANY($1::uuid[])"
            return [str(row["call_id"]) for row in await connection.fetch(query, CALL_IDS)]
        finally:
            await connection.close()

    return asyncio.run(read())


def the_loop_goes_on(stack: Stack) -> None:
    """Every service answers, and what a caller does now reaches Postgres."""
    for path in ("health", "failover", "routing/rules", "ab-test", "models"):
        wait_for(lambda path=path: stack.api("GET", f"/api/providers/{path}")[0] == 200)  # type: ignore[misc]
    call_id = chat(stack).headers["x-request-id"]
    wait_for(lambda: call_id in recorded(stack))


def every_call_is_recorded_once(stack: Stack) -> None:
    """What a killed consumer had in its hands is delivered again when the bus stops waiting for it (60 s)."""
    wait_for(lambda: set(recorded(stack)) == set(CALL_IDS), timeout_s=100)
    assert sorted(recorded(stack)) == sorted(CALL_IDS)


def processes() -> list[str]:
    """Process ids of everything that runs on this machine."""
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: str) -> str:
    """Empty for a process that has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


# while it runs


@pytest.mark.parametrize("vendor", list(BUILT_IN))
def test_a_model_of_every_provider_answers_whole_and_streamed(stack: Stack, vendor: str) -> None:
    whole = chat(stack, MODELS[vendor])
    assert whole.headers["x-fairlead-provider"] == vendor
    assert whole.json()["choices"][0]["message"]["content"]
    streamed = chat(stack, MODELS[vendor], stream=True)
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    deltas = [json.loads(line)["choices"] for line in lines[:-1]]
    assert "".join(choices[0]["delta"].get("content") or "" for choices in deltas if choices)


def test_every_process_is_ready_and_known_by_its_pid(stack: Stack) -> None:
    processes = stack.processes()
    assert set(processes) == {"nats", "postgres", *SIMULATORS, *SERVICES, "edge", "edge-2"}
    assert all(map(alive, stack.pids()))
    for each in processes.values():
        assert each["restarts"] == 0
        if each["url"] is not None:
            assert http("GET", each["url"] + each["ready_path"])[0] == 200


def test_what_holds_secrets_is_private(stack: Stack) -> None:
    names = ("run.json", "api-key", "secrets.json", "nats/nats.conf", "providers.yaml")
    for name in names:
        assert stat.S_IMODE((stack.data_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.data_dir.stat().st_mode) & 0o066 == 0


def test_the_curl_line_it_prints_works(stack: Stack) -> None:
    begin = stack.output.index("curl ")
    command = stack.output[begin : stack.output.index("\n\n", begin)]
    found = subprocess.run(
        ["bash", "-c", command.replace("curl ", "curl --silent ", 1)],
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout)["choices"][0]["message"]["content"]


def test_postgres_and_nats_are_closed_to_strangers(stack: Stack) -> None:
    async def ask(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        await connection.close()

    wrong = stack.postgres_dsn.replace("postgresql://fairlead:", "postgresql://fairlead:x")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(ask(wrong))
    host, port = stack.nats_url.rpartition("@")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"Authorization Violation" in said


def test_status_shows_every_process_and_no_password(stack: Stack) -> None:
    found = stack.run_command("status")
    assert found.returncode == 0, found.stdout + found.stderr
    total = len(stack.processes())
    assert f"{total} of {total} processes ready" in found.stdout
    as_json = stack.run_command("status", "--json")
    body = json.loads(as_json.stdout)
    assert body["ready"]
    assert {each["name"]: each["pid"] for each in body["processes"]} == {
        name: each["pid"] for name, each in stack.processes().items()
    }
    secrets = json.loads((stack.data_dir / "secrets.json").read_text()).values()
    assert not [secret for secret in secrets if secret in as_json.stdout + found.stdout]


def test_a_fault_moves_traffic_until_it_is_cleared(stack: Stack) -> None:
    switched = stack.run_command("fault", "cohere", "down", "--for", "300")
    assert (switched.returncode, switched.stdout) == (
        0,
        "cohere: connections are accepted and closed without an answer, for 300 s.\n",
    )
    assert "cohere     down (" in stack.run_command("fault", "list").stdout
    assert "fault: cohere down (" in stack.run_command("status").stdout
    assert chat(stack, MODELS["cohere"]).headers["x-fairlead-provider"] != "cohere"
    assert stack.run_command("fault", "clear", "cohere").returncode == 0
    assert stack.simulator("cohere", "GET", "/_sim/state")["faults"] == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["opnai", "stall"], "'opnai' is no provider of this run"),
        (["openai", "stal"], "unknown fault 'stal'; known are refuse, down"),
        (["openai", "stall", "--with", "nope=1"], "openai: unknown option 'nope'; known are"),
        (["openai"], "expected `fault PROVIDER KIND`"),
    ],
)
def test_an_impossible_fault_is_one_line_and_exit_code_2(
    stack: Stack, words: list[str], message: str
) -> None:
    found = stack.run_command("fault", *words)
    assert found.returncode == 2
    assert found.stderr.startswith("fairlead: ")
    assert found.stderr.count("\n") == 1
    assert message in found.stderr


# killing


def test_killed_nats_and_postgres_come_back_with_what_they_held(stack: Stack) -> None:
    before = stack.run
    for name in ("nats", "postgres"):
        stack.kill_process(name)
        chat(stack)
        stack.wait_back(name, restarts=1)
        the_loop_goes_on(stack)
    assert (stack.run["nats_url"], stack.run["postgres_dsn"]) == (before["nats_url"], before["postgres_dsn"])


def test_killed_simulators_come_back_on_their_ports(stack: Stack) -> None:
    before = stack.run["simulators"]
    for name in SIMULATORS:
        stack.kill_process(name)
    for name in SIMULATORS:
        stack.wait_back(name, restarts=1)
    assert stack.run["simulators"] == before
    for vendor, model in MODELS.items():
        wait_for(lambda m=model, v=vendor: chat(stack, m).headers["x-fairlead-provider"] == v)  # type: ignore[misc]


def test_killed_services_come_back_and_no_caller_notices(stack: Stack) -> None:
    for name in SERVICES:
        stack.kill_process(name)
        chat(stack)
    for name in SERVICES:
        stack.wait_back(name, restarts=1)
    the_loop_goes_on(stack)


def test_a_killed_edge_comes_back_while_the_other_serves(stack: Stack) -> None:
    urls = stack.run["edge_urls"]
    for position, name in enumerate(("edge", "edge-2")):
        chat(stack, edge=position)
        stack.kill_process(name)
        chat(stack, edge=1 - position)
        stack.wait_back(name, restarts=1)
        chat(stack, edge=position)
    assert stack.run["edge_urls"] == urls
    the_loop_goes_on(stack)


def test_each_crash_was_told_in_one_line_with_status_and_last_words(stack: Stack) -> None:
    for name in ("nats", "postgres", *SIMULATORS, *SERVICES, "edge", "edge-2"):
        assert f"  {name} ended (killed by SIGKILL)" in stack.output
        assert f"  {name} is back after " in stack.output


# other runs beside it


def test_a_second_run_in_the_same_folder_is_refused(stack: Stack) -> None:
    found = stack.run_command("up", "--port", "0")
    assert found.returncode == 2
    assert f"is held by another run (pid {stack.run['pid']}); stop that one with" in found.stderr
    assert (found.stdout, found.stderr.count("\n")) == ("", 1)
    assert all(map(alive, stack.pids()))


def test_a_port_in_use_is_refused_before_anything_is_made(stack: Stack, tmp_path: Path) -> None:
    port = stack.edge_url.rpartition(":")[2]
    other = Stack(tmp_path)
    found = other.run_command("up", "--port", port)
    assert found.returncode == 2
    assert found.stderr.startswith(f"fairlead: port {port} of 127.0.0.1 cannot be had")
    assert not other.data_dir.exists()


def test_bad_settings_of_a_service_end_the_start_and_leave_nothing_running(tmp_path: Path) -> None:
    other = Stack(tmp_path)
    found = other.run_command("up", "--port", "0", "--set", "edge.drain_s=soon")
    assert found.returncode == 2
    assert "FAIRLEAD_DRAIN_S: Input should be a valid number" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not [pid for pid in processes() if str(tmp_path) in command_line(pid)]
    assert other.run_command("status").returncode == 2


# ending


def test_a_killed_supervisor_leaves_nothing_running_and_the_next_run_finds_everything(stack: Stack) -> None:
    key, pids = stack.key, stack.pids()
    rule = {"name": "kept", "strategy": "cost", "priority": 7}
    assert stack.api("POST", "/api/providers/routing/rules", rule)[0] == 201
    every_call_is_recorded_once(stack)
    stack.kill()
    wait_for(lambda: not any(map(alive, pids)))
    assert stack.run_command("status").returncode == 2
    stack.start()
    assert stack.key == key
    every_call_is_recorded_once(stack)
    wait_for(lambda: stack.api("GET", "/api/providers/routing/rules")[0] == 200)
    rules = stack.api("GET", "/api/providers/routing/rules")[1]["rules"]
    assert "kept" in [each["name"] for each in rules]
    chat(stack)


def test_down_stops_everything_in_order_and_leaves_no_process(stack: Stack) -> None:
    pids = stack.pids()
    found = stack.run_command("down")
    assert (found.returncode, found.stderr) == (0, "")
    assert stack.process is not None
    assert stack.process.wait(30) == 0
    assert not [pid for pid in pids if alive(pid)]
    assert not (stack.data_dir / "run.json").exists()
    ending = stack.output[stack.output.rindex("Fairlead is stopping") :]
    order = [line.split()[2] for line in ending.splitlines() if line.endswith("stopped")]
    assert order == ["edges", "services", "simulators", "nats", "postgres"]
    for name in SERVICES:
        log = (stack.data_dir / "logs" / f"{name}.log").read_text()
        assert "Traceback" not in log.rpartition(f"{name} is up")[2], shlex.quote(name)
