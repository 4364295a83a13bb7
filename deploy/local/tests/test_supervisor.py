"""Keeping processes running, on small real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead.data_dir import DataDir
from fairlead.errors import BadInput, StartFailed
from fairlead.holds import hold, release
from fairlead.plan import Kind, ProcessSpec
from fairlead.processes import spawn
from fairlead.supervisor import Backoff, Supervisor
from fairlead.terminal import Terminal

from tests.support.stack import alive, wait_for
from tests.support.waiting import until

SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = """
import sys
from pathlib import Path
from fairlead.plan import Kind, ProcessSpec
from fairlead.processes import spawn
spec = ProcessSpec("child", Kind.SERVICE, (sys.executable, "-c", "import time; time.sleep(600)"), {})
print(spawn(spec, Path(sys.argv[1])).pid, flush=True)
sys.stdin.read()
"""


def python(
    code: str, name: str = "part", kind: Kind = Kind.SERVICE, stop_timeout_s: float = 10
) -> ProcessSpec:
    return ProcessSpec(name, kind, (sys.executable, "-c", code), {}, stop_timeout_s=stop_timeout_s)


@pytest.fixture
def folder(tmp_path: Path) -> DataDir:
    found = DataDir.of(tmp_path)
    found.make()
    return found


async def serves(spec: ProcessSpec) -> str | None:
    return None


async def never(spec: ProcessSpec) -> str | None:
    return "it never serves"


@pytest.fixture
async def supervisor(folder: DataDir) -> Supervisor:
    return Supervisor(folder, Terminal(), serves, lambda: None)


def test_pauses_double_up_to_a_bound_and_begin_anew_after_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.after(1) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff.after(61) == 0.2
    assert backoff.after(59) == 0.4


async def test_a_killed_process_is_started_again_and_reported(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    part = supervisor.start(python("print('my last words', flush=True);" + SLEEP))
    await until(lambda: part.pid is not None and part.log.read_text() != "")
    first = part.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: part.pid not in (None, first))
    await supervisor.stop([Kind.SERVICE], asyncio.Event())
    printed = capsys.readouterr().out
    assert (
        'part ended (killed by SIGKILL); its last log line: "my last words"; starting it again in 0.2 s'
        in printed
    )
    assert part.restarts == 1


async def test_a_process_that_is_held_stays_down_until_it_is_released(
    supervisor: Supervisor, folder: DataDir
) -> None:
    part = supervisor.start(python(SLEEP))
    await until(lambda: part.pid is not None)
    hold(folder, "part")
    os.kill(part.pid or 0, signal.SIGKILL)
    await until(lambda: part.restarts == 1 and part.pid is None)
    other = supervisor.start(python("raise SystemExit(1)", "other"))
    await until(lambda: other.restarts >= 2)
    assert part.pid is None, "the other one was started again meanwhile"
    release(folder, "part")
    await until(lambda: part.pid is not None)
    await supervisor.stop([Kind.SERVICE], asyncio.Event())


async def test_stopping_leaves_nothing(supervisor: Supervisor) -> None:
    parts = [supervisor.start(python(SLEEP, name)) for name in ("a", "b")]
    await until(lambda: all(part.pid for part in parts))
    pids = [part.pid or 0 for part in parts]
    await supervisor.stop([Kind.SERVICE], asyncio.Event())
    assert not any(map(alive, pids))


async def test_one_kind_is_stopped_at_a_time(supervisor: Supervisor) -> None:
    edge = supervisor.start(python(SLEEP, "edge", Kind.EDGE))
    nats = supervisor.start(python(SLEEP, "nats", Kind.NATS))
    await until(lambda: bool(edge.pid and nats.pid))
    await supervisor.stop([Kind.EDGE], asyncio.Event())
    assert edge.pid is None
    assert nats.pid is not None
    await supervisor.stop([Kind.NATS], asyncio.Event())


async def test_a_process_that_does_not_listen_is_killed_after_its_time(supervisor: Supervisor) -> None:
    part = supervisor.start(python(DEAF, stop_timeout_s=0.1))
    await until(lambda: part.log.exists() and "deaf" in part.log.read_text())
    pid = part.pid or 0
    await supervisor.stop([Kind.SERVICE], asyncio.Event())
    assert not alive(pid)


async def test_a_hurry_ends_the_waiting(supervisor: Supervisor) -> None:
    part = supervisor.start(python(DEAF, stop_timeout_s=600))
    await until(lambda: part.log.exists() and "deaf" in part.log.read_text())
    hurry = asyncio.Event()
    hurry.set()
    await supervisor.stop([Kind.SERVICE], hurry)
    assert part.pid is None


async def test_a_process_between_two_lives_is_not_started_again_once_stopped(supervisor: Supervisor) -> None:
    part = supervisor.start(python("raise SystemExit(1)"))
    await until(lambda: part.restarts >= 1)
    await supervisor.stop([Kind.SERVICE], asyncio.Event())
    assert part.pid is None
    assert part.keeper is not None
    assert part.keeper.done()


@pytest.mark.parametrize(
    ("status", "error", "restarts"), [(2, BadInput, 0), (1, StartFailed, 3)], ids=["bad settings", "crashes"]
)
async def test_waiting_gives_up_at_once_on_bad_settings_and_later_on_crashes(
    folder: DataDir, status: int, error: type[Exception], restarts: int
) -> None:
    supervisor = Supervisor(folder, Terminal(), never, lambda: None)
    spec = python(f"import sys; sys.stderr.write('no good'); sys.exit({status})")
    part = supervisor.start(spec)
    with pytest.raises(error, match=rf"part ended \(exit status {status}\); its last log line: \"no good\""):
        await supervisor.ready(part)
    assert part.restarts == restarts
    await supervisor.stop([Kind.SERVICE], asyncio.Event())


async def test_a_program_that_cannot_be_started_says_so(supervisor: Supervisor) -> None:
    part = supervisor.start(ProcessSpec("part", Kind.SERVICE, ("/no/such/program",), {}))
    await until(lambda: part.failed is not None)
    assert part.failed is not None
    assert "part cannot be started: [Errno 2] No such file or directory" in part.failed
    await supervisor.stop([Kind.SERVICE], asyncio.Event())


async def test_a_step_that_fails_is_named_with_what_it_said(supervisor: Supervisor) -> None:
    await supervisor.run_once(python("print('fine')"))
    with pytest.raises(StartFailed, match=r"part ended \(exit status 3\); its last log line: \"not so\""):
        await supervisor.run_once(python("print('not so', flush=True); raise SystemExit(3)"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can tie a child to its parent")
def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "child.log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    wait_for(lambda: not alive(child))


def group_of(pid: int | None) -> str:
    """How the kernel shares the cores with the session of ``pid``; a kernel without such groups looks at processes."""
    try:
        return Path(f"/proc/{pid}/autogroup").read_text()
    except FileNotFoundError:
        return "nice 7"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shares the cores among sessions")
async def test_a_process_stands_back_alone_and_as_a_session(supervisor: Supervisor) -> None:
    part = supervisor.start(replace(python(SLEEP), niceness=7))
    await until(lambda: part.pid is not None)
    assert part.pid is not None
    assert os.getpriority(os.PRIO_PROCESS, part.pid) == 7
    await until(lambda: "nice 7" in group_of(part.pid))
    await supervisor.stop([Kind.SERVICE], asyncio.Event())


def test_output_goes_to_a_private_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    spawn(python("print('hello')"), log).wait()
    assert log.read_text() == "hello\n"
    assert log.stat().st_mode & 0o077 == 0
