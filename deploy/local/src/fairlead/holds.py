"""Keeping a supervised process down: while it is held, the supervisor does not start it again after it has ended.

A hold is a file in the folder of the run, so that another process can put it there and take it away.
"""

from fairlead.data_dir import DataDir


def hold(folder: DataDir, process: str) -> None:
    """From now on ``process`` stays down once it has ended; ``release`` lets it start again."""
    folder.holds.mkdir(mode=0o700, exist_ok=True)
    (folder.holds / process).touch(mode=0o600)


def release(folder: DataDir, process: str) -> None:
    """Let ``process`` be started again; nothing when it was not held."""
    (folder.holds / process).unlink(missing_ok=True)


def release_all(folder: DataDir) -> None:
    """Forget every hold, also those that an earlier run has left."""
    for each in folder.holds.glob("*"):
        each.unlink(missing_ok=True)


def is_held(folder: DataDir, process: str) -> bool:
    """True while ``process`` must not be started again."""
    return (folder.holds / process).exists()
