"""The folder of a run: where everything lies, the lock that only one run holds, and the secrets made once.

::

    api-key        the key of the edge, for people            run.json     where everything is, while it runs
    secrets.json   passwords of NATS and Postgres             lock         held by `fairlead up`; contains its pid
    providers.yaml the providers the services are given       logs/        one file per process
    nats/ postgres/ services/                                 data
"""

import fcntl
import hashlib
import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from fairlead_common.access import new_key

from fairlead.errors import BadInput

SOCKET_PATH_LIMIT = 100
"""Bytes of a unix socket's path that every system allows (Linux: 107, macOS: 103)."""
LOCK_TRIES = 10
LOCK_PAUSE_S = 0.05


@dataclass(frozen=True)
class DataDir:
    """Paths below one folder. ``shown`` is the folder as the user wrote it."""

    path: Path
    shown: str

    @classmethod
    def of(cls, given: Path) -> "DataDir":
        """The folder a user named; it need not exist."""
        return cls(given.expanduser().absolute(), str(given))

    @property
    def run_file(self) -> Path:
        """Where everything is, while it runs."""
        return self.path / "run.json"

    @property
    def processes_file(self) -> Path:
        """Which processes belong to this folder, for the start after a crash."""
        return self.path / "processes.json"

    @property
    def lock_file(self) -> Path:
        """Held by ``fairlead up``."""
        return self.path / "lock"

    @property
    def key_file(self) -> Path:
        """The API key of the edge."""
        return self.path / "api-key"

    @property
    def secrets_file(self) -> Path:
        """Passwords of NATS and Postgres."""
        return self.path / "secrets.json"

    @property
    def providers_file(self) -> Path:
        """The providers as the services are given them."""
        return self.path / "providers.yaml"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.path / "logs"

    @property
    def nats(self) -> Path:
        """Configuration and JetStream's files."""
        return self.path / "nats"

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.path / "postgres"

    @property
    def holds(self) -> Path:
        """A file per process that must not be started again; see ``fairlead.holds``."""
        return self.path / "holds"

    @property
    def sockets(self) -> Path:
        """Folder of the Postgres socket: in here, or somewhere short when this path is too long for a socket."""
        inside = self.path / "sockets"
        if len(os.fsencode(inside / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"fairlead-{os.geteuid()}-{digest}"

    def private(self, process: str) -> Path:
        """Folder of one service process: disk snapshots, spools."""
        return self.path / "services" / process

    def make(self) -> None:
        """Create the folder and those below.

        Raises:
            BadInput: it cannot be made or written to.
        """
        try:
            for folder in (self.path, self.logs, self.nats, self.path / "services"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise BadInput(
                f"the data folder {self.shown} cannot be written to ({error.strerror}: {error.filename});"
                " name another one with --data-dir"
            ) from error

    def require_free(self) -> None:
        """Refuse a folder that another run holds; changes nothing.

        Raises:
            BadInput: another run holds it.
        """
        if self.holder() is not None:
            raise self._held()

    def _held(self) -> BadInput:
        return BadInput(
            f"the data folder {self.shown} is held by another run (pid {self._lock_pid()}); stop that one"
            f" with `fairlead down --data-dir {shlex.quote(self.shown)}`, or name another folder with --data-dir"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder.

        Raises:
            BadInput: another run holds it.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _lock(descriptor):
                raise self._held()
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
            os.truncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """Process id of the run that holds the lock; None: nobody does."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._lock_pid()
        finally:
            os.close(descriptor)
        return None

    def _lock_pid(self) -> int | None:
        text = self.lock_file.read_text(encoding="ascii").strip()
        return int(text) if text.isdigit() else None


def _lock(descriptor: int) -> bool:
    """Take the lock. Whoever only looks holds it for a moment, so try a little longer than that."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(LOCK_PAUSE_S)
        else:
            return True
    return False


def write_private(path: Path, text: str) -> None:
    """Replace a file's content in one step; only its owner may read it."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def api_key(folder: DataDir) -> str:
    """The key of this folder, made at the first call."""
    if not folder.key_file.exists() or not (key := folder.key_file.read_text(encoding="ascii").strip()):
        key = new_key()
        write_private(folder.key_file, key + "\n")
    folder.key_file.chmod(0o600)
    return key


def passwords(folder: DataDir, names: Sequence[str]) -> dict[str, str]:
    """A password for each name, made at the first call that names it.

    Raises:
        BadInput: the file of secrets is damaged, or gone while the database is there.
    """
    if folder.postgres.exists() and not folder.secrets_file.exists():
        raise BadInput(
            f"{folder.secrets_file} is missing, and with it the passwords of the database beside it;"
            " restore it from a copy, or start with another --data-dir"
        )
    found: dict[str, str] = {}
    if folder.secrets_file.exists():
        try:
            found = json.loads(folder.secrets_file.read_text(encoding="ascii"))
        except ValueError as error:
            raise BadInput(
                f"{folder.secrets_file} is damaged ({error}); restore it from a copy, or start with another --data-dir"
            ) from error
    if missing := [name for name in names if name not in found]:
        found |= {name: secrets.token_urlsafe(24) for name in missing}
        write_private(folder.secrets_file, json.dumps(found, indent=1) + "\n")
    return found
