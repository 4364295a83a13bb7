"""The configuration of the embedded NATS server."""

import json
from pathlib import Path

from fairlead.embedded import nats
from fairlead.plan import account_names
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
    found = json.loads(nats.configuration(tmp_path, 4000, 4001, PASSWORDS))
    assert found["jetstream"]["sync_interval"] == "always"
    assert found["jetstream"]["store_dir"] == str(tmp_path / "jetstream")
    assert (found["listen"], found["http"]) == ("127.0.0.1:4000", "127.0.0.1:4001")
    assert found["max_payload"] == 8 * 1024 * 1024
