"""The configuration of the embedded NATS server."""

import json
from pathlib import Path

from fairlead.embedded import nats
from fairlead.plan import NatsNode, account_names
from fairlead_common.bus.permissions import PERMISSIONS

PASSWORDS = {name: f"password-of-{name}" for name in account_names()}


def test_every_user_has_a_password_and_the_permissions_of_its_role() -> None:
    users = {each["user"]: each for each in nats.users(PASSWORDS)}
    assert set(users) == {"admin", *(each.user for each in PERMISSIONS)}
    for each in PERMISSIONS:
        found = users[each.user]
        assert found["password"] == f"password-of-nats.{each.user}"
        assert found["permissions"] == each.rules()
        assert found["permissions"]["publish"]["allow"]
    assert "permissions" not in users["admin"]


def test_the_server_syncs_before_it_acknowledges_and_listens_on_loopback_alone(tmp_path: Path) -> None:
    node = NatsNode("nats", 4000, 4001, 4002, tmp_path)
    found = json.loads(nats.configuration(node, [node], PASSWORDS))
    assert "cluster" not in found
    assert found["jetstream"]["sync_interval"] == "always"
    assert found["jetstream"]["store_dir"] == str(tmp_path / "jetstream")
    assert (found["listen"], found["http"]) == ("127.0.0.1:4000", "127.0.0.1:4001")
    assert found["max_payload"] == 8 * 1024 * 1024


def test_a_node_of_a_cluster_knows_the_others_and_they_join_with_a_password(tmp_path: Path) -> None:
    nodes = [NatsNode(f"n{number}", number, number + 10, number + 20, tmp_path) for number in (1, 2, 3)]
    found = json.loads(nats.configuration(nodes[1], nodes, PASSWORDS))
    assert found["server_name"] == "n2"
    assert found["cluster"]["listen"] == "127.0.0.1:22"
    assert found["cluster"]["routes"] == [
        f"nats://route:password-of-nats.route@127.0.0.1:{port}" for port in (21, 23)
    ]
    assert found["cluster"]["authorization"] == {"user": "route", "password": "password-of-nats.route"}
