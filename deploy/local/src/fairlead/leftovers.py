"""Processes of a run that was killed: noted while it runs, and ended before the next run in the same folder.

Where the kernel ties children to their parent (Linux) there are none; elsewhere this is what keeps two servers from
working on one set of files. A process is recognised by its number and the time of its start, so that another process
that has been given the number since is left alone.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from fairlead.data_dir import DataDir, write_private
from fairlead.errors import StartFailed

GONE_TIMEOUT_S = 15.0
POLL_S = 0.05


def birth(pid: int) -> str | None:
    """When a process started, as text that no other process with this number has; None: there is none."""
    if sys.platform.startswith("linux"):
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return None if fields[0] == "Z" else f"{boot} {fields[19]}"
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return found or None


def note(folder: DataDir, pids: Mapping[str, int]) -> None:
    """Write down which processes run now."""
    found = {name: {"pid": pid, "birth": birth(pid)} for name, pid in pids.items()}
    write_private(folder.processes_file, json.dumps(found, indent=1) + "\n")


def forget(folder: DataDir) -> None:
    """Everything has stopped in order."""
    folder.processes_file.unlink(missing_ok=True)


def end(folder: DataDir) -> list[str]:
    """End what an earlier run left running; the names of these processes.

    Raises:
        StartFailed: one does not end.
    """
    left = {name: pid for name, (pid, born) in _noted(folder).items() if born and birth(pid) == born}
    for pid in left.values():
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    while any(birth(pid) is not None for pid in left.values()):
        if time.monotonic() - began > GONE_TIMEOUT_S:
            raise StartFailed(f"processes of an earlier run do not end: {left}; end them, then start again")
        time.sleep(POLL_S)  # no children of ours: their end can only be asked for
    forget(folder)
    return list(left)


def _noted(folder: DataDir) -> dict[str, tuple[int, str | None]]:
    """What was written down; a damaged file says nothing."""
    try:
        found = json.loads(folder.processes_file.read_text(encoding="ascii"))
        return {name: (int(each["pid"]), each["birth"]) for name, each in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
