"""``fairlead down``: tells a run to stop and waits until it has."""

import os
import signal
import time

from fairlead.data_dir import DataDir
from fairlead.errors import BadInput, FairleadError

TIMEOUT_S = 120.0
POLL_S = 0.1


def down(folder: DataDir) -> int:
    """Stop the run that holds ``folder``; 0.

    Raises:
        BadInput: nothing runs there; FairleadError: it does not stop.
    """
    pid = folder.holder()
    if pid is None:
        raise BadInput(f"nothing runs in {folder.shown}; name the folder of a run with --data-dir")
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise BadInput(
            f"the run in {folder.shown} (pid {pid}) belongs to another user; stop it as that user"
        ) from error
    began = time.monotonic()
    while folder.holder() == pid:
        if time.monotonic() - began > TIMEOUT_S:
            raise FairleadError(
                f"the run in {folder.shown} (pid {pid}) has not stopped after {TIMEOUT_S:.0f} s;"
                f" look at {folder.shown}/logs, or end it with `kill -9 {pid}` (its processes end with it)"
            )
        time.sleep(POLL_S)  # no child of ours: its end can only be asked for
    print(f"Fairlead in {folder.shown} has stopped.")
    return 0
