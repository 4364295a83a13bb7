"""The AsyncAPI document: equal to the committed file, whole, and true to the events, the topology and the laws."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead_common.asyncapi import ADDRESSES, VALUES, all_operations, document, to_yaml
from fairlead_common.bus.topology import BUCKETS, DURABLES
from fairlead_common.events.event import Event

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs" / "asyncapi.yaml"
GOLDEN = ROOT / "tests" / "contract" / "golden"


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return document()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref":
                yield each
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_committed_file_is_the_document(found: dict[str, Any]) -> None:
    assert COMMITTED.read_text() == to_yaml(found), (
        "run: python -m fairlead_common.asyncapi > docs/asyncapi.yaml"
    )


def test_the_yaml_means_the_document(found: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(found)) == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"a": {}, "b": [], "c": None, "d": True, "on": 1.5},
        {"list": [{"a": 1, "b": [1, "x"]}, [], ["deep", ["er"]]]},
        {"text": 'two\nlines, "quotes": # and é', "$ref": "#/x", "1": "no"},
    ],
)
def test_any_value_survives_the_yaml(value: Any) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


def test_every_reference_leads_somewhere(found: dict[str, Any]) -> None:
    for reference in references(found):
        place: Any = found
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_every_event_has_its_address() -> None:
    ours = {each for each in Event.__subclasses__() if each.__module__.startswith("fairlead_common.")}
    assert set(ADDRESSES) == ours
    for event, address in ADDRESSES.items():
        assert address.startswith(f"{event.subject_prefix}.")


@pytest.mark.parametrize("event", ADDRESSES, ids=lambda event: event.__name__)
def test_the_address_is_the_subject_of_the_golden_event(event: type[Event]) -> None:
    golden = json.loads((GOLDEN / f"{event.__name__}.json").read_text())
    pattern = re.sub(r"\\{\w+\\}", "[^.]+", re.escape(ADDRESSES[event]))
    assert re.fullmatch(pattern, golden["subject"])


def test_every_bucket_is_there() -> None:
    assert {bucket for bucket, _ in VALUES} == {bucket.name for bucket in BUCKETS}


def test_every_operation_is_there(found: dict[str, Any]) -> None:
    assert len(all_operations()) > 30
    for operation in all_operations():
        name = f"{operation.service}.{operation.name}"
        assert found["channels"][name]["address"] == operation.subject
        assert found["operations"][name]["reply"]["channel"]["$ref"] == f"#/channels/{name}.reply"


def test_every_durable_of_an_event_is_named(found: dict[str, Any]) -> None:
    named = {each["x-durable"] for each in found["operations"].values() if "x-durable" in each}
    ticks = {"health-probes"}  # of JetStream's schedules, which carry no event
    assert named == {durable.name for durable in DURABLES} - ticks


def test_the_owners_publish(found: dict[str, Any]) -> None:
    senders = {
        name.split(".")[0]
        for name, each in found["operations"].items()
        if each["action"] == "send" and name.endswith(".publishes.CallsCompleted")
    }
    assert senders == {"edge", "health", "abtest", "failover"}
