"""The bus as an AsyncAPI 3 document: every event, snapshot and operation, with who sends it and who receives it.

Made from the event types, the topology, the permissions and the operations, so that it cannot say anything else than the
code. ``python -m fairlead_common.asyncapi`` prints ``docs/asyncapi.yaml``; it connects to nothing.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fairlead_common import operations
from fairlead_common.access import AccessSnapshot
from fairlead_common.bus.permissions import ROLES
from fairlead_common.bus.rpc import Operation
from fairlead_common.bus.topology import BUCKETS, STREAMS, Stream
from fairlead_common.events.abtest import RunTestJob, TestResultRecorded
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.comparison import (
    ProviderPerformance,
    ProviderPerformancePublished,
    ReportPublished,
)
from fairlead_common.events.edge import WireDriftSeen
from fairlead_common.events.event import Event
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished
from fairlead_common.operations.alert_rules import Rules
from fairlead_common.snapshots.budgets import BudgetsSnapshot
from fairlead_common.snapshots.drills import LiveDrill
from fairlead_common.snapshots.failover import FleetSnapshot, PolicySnapshot
from fairlead_common.snapshots.predictor import PredictorSnapshot
from fairlead_common.snapshots.quality import QualitySnapshot
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_common.snapshots.spend import SpendSnapshot

VERSION: Final = "0.1.0"
SCHEMAS: Final = "#/components/schemas/{model}"

LOOKS_LIKE_A_VALUE: Final = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])

ADDRESSES: Final[dict[type[Event], str]] = {
    ProviderStatusPublished: "provider.status.{provider}",
    CallsCompleted: "calls.completed.{source}",
    WireDriftSeen: "provider.drift.{provider}",
    ProviderPerformancePublished: "provider.performance.{provider}",
    FailoverSwitched: "failover.switched.{workspace}",
    FailoverRecovered: "failover.recovered.{workspace}",
    AlertRaised: "alerts.{severity}.{provider}.{name}",
    RunTestJob: "abtest.jobs.{test}",
    TestResultRecorded: "abtest.results.{test}",
    ReportPublished: "reports.published.{period}",
}
"""Subject of each event; what stands in braces is one token of it."""

VALUES: Final[dict[tuple[str, str], type[BaseModel] | None]] = {
    ("provider-status", "{provider}"): ProviderStatus,
    ("routes", "{workspace}"): RoutesSnapshot,
    ("quality", "{workspace}"): QualitySnapshot,
    ("predictor", "{workspace}"): PredictorSnapshot,
    ("spend", "{workspace}"): SpendSnapshot,
    ("failover", "policy.{workspace}"): PolicySnapshot,
    ("failover", "fleet"): FleetSnapshot,
    ("failover", "drill.{id}"): LiveDrill,
    ("performance", "{provider}"): ProviderPerformance,
    ("catalog", "models"): None,
    ("access", "keys"): AccessSnapshot,
    ("budgets", "workspaces"): BudgetsSnapshot,
    ("alerts-active", "{fingerprint}"): AlertRaised,
    ("alerting", "rules"): Rules,
    ("leases", "{job}"): None,
}
"""Bucket and key to the model of the value; None = known to its owner alone."""

Json = dict[str, Any]


def all_operations() -> list[Operation[Any, Any]]:
    """Every operation of every service, by subject."""
    modules = [
        importlib.import_module(f"{operations.__name__}.{module.name}")
        for module in pkgutil.iter_modules(operations.__path__)
    ]
    found = {
        value.subject: value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Operation)
    }
    return [found[subject] for subject in sorted(found)]


def document() -> Json:
    """The whole document."""
    asked = all_operations()
    models = [*ADDRESSES, *(value for value in VALUES.values() if value is not None)]
    for operation in asked:
        models += [operation.request, operation.reply]
    references, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template=SCHEMAS
    )
    payloads = {model: references[model, "validation"] for model in models}
    found = _Document(payloads)
    for event, address in ADDRESSES.items():
        found.add_event(event, address)
    for (bucket, key), model in VALUES.items():
        found.add_value(bucket, key, model)
    for operation in asked:
        found.add_operation(operation)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fairlead's bus",
            "version": VERSION,
            "description": "Events, snapshots and operations on NATS, generated by `python -m fairlead_common.asyncapi`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "nats:4222", "protocol": "nats"}},
        "channels": found.channels,
        "operations": found.operations,
        "components": {"messages": found.messages, "schemas": definitions.get("$defs", {})},
    }


class _Document:
    """Channels, messages and operations as they gather."""

    def __init__(self, payloads: dict[type[BaseModel], Json]) -> None:
        self._payloads = payloads
        self.channels: Json = {}
        self.messages: Json = {}
        self.operations: Json = {}

    def add_event(self, event: type[Event], address: str) -> None:
        """One event type, who publishes it and who is allowed to hear it."""
        name, stream = event.__name__, _stream_of(address)
        self._channel(
            name, address, {name: self._message(name, event)}, **{"x-jetstream-stream": stream.name}
        )
        for role in ROLES:
            if any(_covers(subject, address) for subject in role.publishes):
                self._add(f"{role.name}.publishes.{name}", "send", name)
            durables = [each.name for each in role.consumes if _covers(each.filter_subject, address)]
            if durables:
                self._add(f"{role.name}.consumes.{name}", "receive", name, **{"x-durable": durables[0]})
            elif any(_covers(subject, address) for subject in role.hears):
                self._add(f"{role.name}.hears.{name}", "receive", name)

    def add_value(self, bucket: str, key: str, model: type[BaseModel] | None) -> None:
        """The values of one key of a bucket, its owner and its followers."""
        name = f"{bucket}.{re.sub('[{}]', '', key)}"
        description = next(each.description for each in BUCKETS if each.name == bucket)
        message = f"{bucket}.{model.__name__}" if model is not None else name
        self._channel(
            name,
            f"$KV.{bucket}.{key}",
            {message: self._message(message, model)},
            description=description,
            **{"x-key-value-bucket": bucket},
        )
        for role in ROLES:
            if bucket in role.owns or (bucket == "leases" and role.serves):
                self._add(f"{role.name}.puts.{name}", "send", name)
            if bucket in role.follows:
                self._add(f"{role.name}.follows.{name}", "receive", name)

    def add_operation(self, operation: Operation[Any, Any]) -> None:
        """One operation, from the point of view of the service that answers."""
        name = f"{operation.service}.{operation.name}"
        reply = f"{name}.reply"
        self._channel(
            name, operation.subject, {f"{name}.request": self._message(f"{name}.request", operation.request)}
        )
        self._channel(reply, None, {reply: self._reply(reply, operation.reply)})
        self.operations[name] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "reply": {
                "address": {"location": "$message.header#/reply"},
                "channel": {"$ref": f"#/channels/{reply}"},
            },
            "x-queue-group": operation.service,
            "x-timeout-s": operation.timeout_s,
        }

    def _channel(self, name: str, address: str | None, messages: Json, **rest: Any) -> None:
        found: Json = {"address": address, **rest, "messages": messages}
        if address is not None and (parameters := re.findall(r"{(\w+)}", address)):
            found["parameters"] = {parameter: {} for parameter in parameters}
        self.channels[name] = found

    def _message(self, name: str, model: type[BaseModel] | None) -> Json:
        found: Json = {"name": name}
        if model is not None:
            found["payload"] = self._payloads[model]
            if (text := inspect.getdoc(model)) is not None:
                found["summary"] = text.partition("\n\n")[0].replace("\n", " ")
        self.messages[name] = found
        return {"$ref": f"#/components/messages/{name}"}

    def _reply(self, name: str, model: type[BaseModel]) -> Json:
        refusal = {
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "code": {"type": "string"},
                "message": {"type": "string"},
            },
            "required": ["status", "code", "message"],
        }
        envelope = {
            "oneOf": [
                {"type": "object", "properties": {"ok": self._payloads[model]}, "required": ["ok"]},
                {"type": "object", "properties": {"error": refusal}, "required": ["error"]},
            ]
        }
        self.messages[name] = {"name": name, "payload": envelope}
        return {"$ref": f"#/components/messages/{name}"}

    def _add(self, operation: str, action: str, channel: str, **rest: Any) -> None:
        self.operations[operation] = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, **rest}


def _stream_of(address: str) -> Stream:
    return next(each for each in STREAMS if any(_covers(subject, address) for subject in each.subjects))


def _covers(pattern: str, address: str) -> bool:
    """Whether a subject pattern that ends in ``>`` takes in everything that ``address`` stands for."""
    return pattern.endswith(".>") and address.startswith(pattern.removesuffix(">"))


def to_yaml(value: Any, indent: int = 0) -> str:
    """``value`` as block YAML; scalars are JSON, which YAML contains."""
    return "\n".join(_lines(value, indent)) + "\n"


def _lines(value: Any, indent: int) -> Iterator[str]:
    space = "  " * indent
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _entry(f"{space}{_key(key)}:", each, indent)
    elif isinstance(value, list) and value:
        for each in value:
            yield from _entry(f"{space}-", each, indent)
    else:
        yield space + json.dumps(value, ensure_ascii=False)


def _key(text: str) -> str:
    plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", text) and text.lower() not in LOOKS_LIKE_A_VALUE
    return text if plain else json.dumps(text)


def _entry(head: str, value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield head
        yield from _lines(value, indent + 1)
    else:
        yield f"{head} {json.dumps(value, ensure_ascii=False)}"


if __name__ == "__main__":
    sys.stdout.write(to_yaml(document()))
