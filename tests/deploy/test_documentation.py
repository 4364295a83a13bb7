"""What the operations manual and the values of the official NATS chart name is there, and says the same everywhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_common.bus.permissions import USERS
from fairlead_common.bus.topology import STREAMS

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "operations" / "deployment.md"
GB = 1024**3


def test_every_file_it_names_is_there() -> None:
    text = MANUAL.read_text()
    paths = set(re.findall(r"(?<![\w./-])(?:deploy|docs)/[\w./-]+[\w]", text))
    linked = {(MANUAL.parent / path).resolve() for path in re.findall(r"\]\(([^)#]+)\)", text)}
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [str(path) for path in linked if not path.exists()] == []


def test_the_secret_it_makes_has_every_service() -> None:
    made = set(re.findall(r"--from-literal=(\w+)=\"nats://(?=\1:)", MANUAL.read_text()))
    assert made == set(USERS) - {"ops"}


def test_the_values_it_names_exist() -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/fairlead/values.yaml").read_text())
    for path in re.findall(
        r"`((?:services|nats|telemetry|setup|networkPolicy|providers)\.[\w.<>]+)", MANUAL.read_text()
    ):
        place: Any = values
        for part in path.split("."):
            if place is values["services"] or part == "<name>":
                place = {**values["defaults"], **(values["services"].get(part) or {})}
            elif "settings" in path and part not in place:
                break
            else:
                assert part in place, path
                place = place[part]


@pytest.fixture
def chart() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy/nats/helm-values.yaml").read_text())
    return found


def test_the_chart_of_nats_is_told_what_the_plain_servers_are(chart: dict[str, Any]) -> None:
    server = (ROOT / "deploy/nats/server.conf").read_text()
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["nats"]
    assert compose["image"] == f"nats:{chart['container']['image']['tag']}"
    assert chart["config"]["jetstream"]["merge"]["sync_interval"] == "always"
    assert "sync_interval: always" in server
    (payload,) = re.findall(r"^max_payload: (\S+)$", server, re.MULTILINE)
    assert chart["config"]["merge"]["max_payload"] == f"<< {payload} >>"
    assert chart["config"]["merge"]["00$include"] == "accounts.conf"


def test_all_streams_fit_on_the_disk(chart: dict[str, Any]) -> None:
    bounds = sum(stream.max_bytes for stream in STREAMS)
    (room,) = re.findall(r"max_file_store: (\d+)GB", (ROOT / "deploy/nats/server.conf").read_text())
    assert bounds <= int(room) * GB
    store = chart["config"]["jetstream"]["fileStore"]
    assert bounds <= int(store["maxSize"].removesuffix("Gi")) * GB
    assert int(store["maxSize"].removesuffix("Gi")) < int(store["pvc"]["size"].removesuffix("Gi"))
