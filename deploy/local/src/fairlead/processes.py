"""Starting operating-system processes that cannot outlive the one that started them, and waiting for their ends."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fairlead.plan import ProcessSpec

PR_SET_PDEATHSIG = 1
GROUP_PAUSE_S = 0.1


def spawn(spec: ProcessSpec, log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to ``log``.

    Where the kernel can do it (Linux), the process gets ``spec.death_signal`` when this one dies, however it dies. It
    stands back by ``spec.niceness`` within its session; see ``stand_back`` for the rest of the machine.

    Raises:
        OSError: the program cannot be started.
    """
    user, group = spec.account or (None, None)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(
            spec.command,
            env=dict(spec.environment),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops everything in order
            user=user,
            group=group,
            extra_groups=None if spec.account is None else [],
            preexec_fn=_first(dying_with(os.getpid(), spec.death_signal), spec.niceness),
        )
    finally:
        os.close(descriptor)


def _first(arm: Callable[[], None] | None, niceness: int) -> Callable[[], None] | None:
    """What a new process does first: threads inherit the niceness of the one that starts them."""
    if niceness == 0:
        return arm

    def both() -> None:
        os.nice(niceness)
        if arm is not None:
            arm()

    return both


async def stand_back(pid: int, niceness: int) -> None:
    """Let a session stand back for all others of the machine; ``pid`` leads it.

    Linux shares the cores among sessions first (sched(7), "the autogroup feature"), so the niceness of a process alone
    counts for nothing against other sessions. Where there are no such groups, it counts, and this does nothing.
    """
    while not _group_stands_back(pid, niceness):  # noqa: ASYNC110 - the kernel tells nobody when it may be said
        await asyncio.sleep(GROUP_PAUSE_S)


def _group_stands_back(pid: int, niceness: int) -> bool:
    """False: not yet. Who is not root may say it ten times a second."""
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")
    except BlockingIOError:
        return False
    except OSError:  # no such feature, or the process has ended
        pass
    return True


def dying_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    """What a new process does first, so that it gets ``number`` when ``parent`` dies; None: this system cannot."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it died before this was armed
            os.kill(os.getpid(), signal.SIGKILL)

    return arm


class Children:
    """Tells when children end. One per event loop; it needs no thread and does not poll."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[subprocess.Popen[bytes], asyncio.Future[int]]] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._look)

    async def ended(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[process.pid] = (process, future)
        self._look()
        return await future

    def _look(self) -> None:
        for pid, (process, future) in tuple(self._waiting.items()):
            if (status := process.poll()) is not None:
                del self._waiting[pid]
                if not future.done():
                    future.set_result(status)


def end_now(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` for a process that has not ended, and for everything in its session."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ending(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
