"""Real NATS servers with the accounts of ``fairlead_common.bus.permissions``."""

import asyncio
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import nats
from fairlead_common.bus.connection import connect
from fairlead_common.bus.permissions import READY_STREAM, USERS, inbox, password_variable
from nats.aio.client import Client

from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy" / "nats"
SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"
START_S = 30


def password(user: str) -> str:
    """A password for tests."""
    return f"pw{user}"


def passwords() -> dict[str, str]:
    """The environment that the configuration files read passwords from."""
    return {password_variable(user): password(user) for user in (*USERS, "admin")}


class Node:
    """One nats-server process with a file of ``deploy/nats``, its addresses replaced by free ports of loopback."""

    def __init__(self, file: str, folder: Path, name: str, environment: Mapping[str, str] = {}) -> None:
        self.port = free_port()
        self.monitoring = free_port()
        self.cluster = free_port()
        self.advertise = False
        self.log = folder / f"{name}.log"
        self.environment = {**passwords(), "NATS_SERVER_NAME": name, **environment}
        self.environment["NATS_STORE_DIR"] = str(folder / name / "data")
        self._file = folder / name / file
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, user: str) -> str:
        """Where ``user`` connects."""
        return f"nats://{user}:{password(user)}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process."""
        self._file.parent.mkdir()
        for path in CONFIGURATION.glob("*.conf"):
            (self._file.parent / path.name).write_text(self._here(path.read_text()))
        command = [str(SERVER), "-c", str(self._file), "-l", str(self.log)]
        self._process = subprocess.Popen(command, env=self.environment)

    def _here(self, text: str) -> str:
        for port, ours in ((4222, self.port), (8222, self.monitoring), (6222, self.cluster)):
            text = text.replace(f'"0.0.0.0:{port}"', f'"127.0.0.1:{ours}"')
        return text.replace("no_advertise: true", "no_advertise: false") if self.advertise else text

    async def ready(self) -> None:
        """Wait until JetStream answers the user ``setup``."""
        async with asyncio.timeout(START_S):
            while not await self._answers():
                if self._process is None or self._process.poll() is not None:
                    raise RuntimeError("nats-server ended at its start; its words are above")
                await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        try:
            client = await connect(
                self.url("setup"), "test", allow_reconnect=False, inbox_prefix=inbox("setup"), error_cb=_quiet
            )
        except (OSError, nats.errors.Error):
            return False
        try:
            reply = await client.request("$JS.API.STREAM.INFO.NONE", b"", timeout=1)
        except nats.errors.Error:
            return False
        else:
            return b"stream not found" in reply.data
        finally:
            await client.close()

    def violations(self) -> list[str]:
        """What the server has denied to its users so far."""
        return [line for line in self.log.read_text().splitlines() if "Violation" in line]

    def refused(self) -> list[str]:
        """Who could not come in."""
        return [line for line in self.log.read_text().splitlines() if "authentication error" in line]

    def stop(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def _quiet(_: Exception) -> None:
    return None


class User:
    """A connection as one of the users, which remembers what the server denied."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.denied: list[str] = []
        self.client: Client

    async def connect(self, node: Node) -> "User":
        """Connect to ``node``."""
        self.client = await connect(
            node.url(self.name), self.name, inbox_prefix=inbox(self.name), error_cb=self._note
        )
        return self

    async def _note(self, error: Exception) -> None:
        self.denied.append(str(error))

    async def may_publish(self, subject: str) -> bool:
        """Publish something there; False when the server denied it."""
        return await self._try(self.client.publish, subject)

    async def may_subscribe(self, subject: str) -> bool:
        """Subscribe there; False when the server denied it."""
        return await self._try(self.client.subscribe, subject)

    async def _try(self, action: object, subject: str) -> bool:
        before = len(self.denied)
        await action(subject)  # type: ignore[operator]
        # Not a flush, whose ping overtakes what waits to be written; everybody may ask this.
        await self.client.request(f"$JS.API.STREAM.INFO.{READY_STREAM}", b"", timeout=5)
        return len(self.denied) == before
