"""``fairlead drill run`` as a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
from fairlead.cli import INTERRUPTED

from tests.support.stack import wait_for


def test_a_run_that_is_told_to_end_leaves_no_process_behind(tmp_path: Path) -> None:
    words = ["drill", "run", "tls-failure", "--keep", str(tmp_path)]
    with subprocess.Popen([sys.executable, "-m", "fairlead", *words], stderr=subprocess.DEVNULL) as process:
        drill = psutil.Process(process.pid)
        wait_for(lambda: len(drill.children()) == 2)  # the simulator behind TLS, and the stack
        begun = drill.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == INTERRUPTED
    _, alive = psutil.wait_procs(begun, timeout=60)
    assert not alive
