"""``python -m fairlead_common.setup``: database schema and bus topology, before any service starts. Safe to run again."""

import asyncio
import os
import sys
import time
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import SecretStr

from fairlead_common.access import ensure_bootstrap_key
from fairlead_common.bus.connection import connect
from fairlead_common.bus.permissions import inbox
from fairlead_common.bus.topology import TopologyError, apply
from fairlead_common.db.upgrade import upgrade
from fairlead_common.settings import Settings, SettingsError

FORMING_S: Final = 60.0
"""How long a cluster may take until all of its nodes are there."""
AGAIN_S: Final = 0.2


class SetupSettings(Settings):
    """What the one-shot needs beside the common settings."""

    stream_replicas: int = 1
    """Copies of each stream and bucket: 1 on a single server, 3 on a cluster."""
    bootstrap_key: SecretStr | None = None
    """An API key of workspace 1 that must exist afterwards; only its hash is stored."""


async def main(settings: SetupSettings) -> None:
    """Do both, then make the bootstrap key known."""
    if settings.postgres_dsn is None:
        raise SettingsError(
            "FAIRLEAD_POSTGRES_DSN is not set; expected postgresql://user:password@host:port/database"
        )
    dsn = settings.postgres_dsn.get_secret_value()
    await upgrade(dsn)
    url = settings.nats_url.get_secret_value()
    client = await connect(url, "fairlead-setup", allow_reconnect=False, inbox_prefix=inbox("setup"))
    try:
        await _apply(client, settings.stream_replicas)
    finally:
        await client.close()
    if settings.bootstrap_key is not None:
        await ensure_bootstrap_key(dsn, settings.bootstrap_key.get_secret_value())


async def _apply(client: Client, replicas: int) -> None:
    """A cluster that has just been formed refuses until every node has joined."""
    end = time.monotonic() + FORMING_S
    while True:
        try:
            await apply(client, replicas)
        except (TopologyError, NatsError):
            if replicas == 1 or time.monotonic() > end:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            return


if __name__ == "__main__":
    try:
        asyncio.run(main(SetupSettings.from_env(os.environ)))
    except SettingsError as error:
        sys.exit(f"fairlead setup: {error}")
