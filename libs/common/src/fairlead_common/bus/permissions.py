"""Who may do what on the bus: one user per service, with the least it needs, as data and as a NATS configuration.

A role says what a service does in the words of the topology (publishes, hears, consumes, owns, follows, asks); the
subjects, those of the JetStream API included, follow from it. ``python -m fairlead_common.bus.permissions`` prints
``deploy/nats/accounts.conf``. It connects to nothing and keeps no secret.

What permissions cannot say: a user that may create a consumer on a stream chooses where it delivers, so a service that
follows a bucket could copy that bucket's values to any subject. Only followers of harmless buckets are many.
"""

import json
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from fairlead_common.bus.topology import (
    ABTEST_JOBS,
    COMPARISON_CALLS,
    COMPARISON_RESULTS,
    DURABLES,
    HEALTH_ALERTS,
    HEALTH_CALLS,
    HEALTH_DRIFT,
    HEALTH_PROBES,
    ROUTING_RESULTS,
    STREAMS,
    Durable,
)

ACCOUNT: Final = "FAIRLEAD"
READY_STREAM: Final = STREAMS[-1].name
"""What a service asks for at its start, to see that the topology is there."""

CALLS: Final = "calls.completed.>"
STATUS: Final = "provider.status.>"
DRIFT: Final = "provider.drift.>"
PERFORMANCE: Final = "provider.performance.>"
SWITCHED: Final = "failover.switched.>"
RECOVERED: Final = "failover.recovered.>"
ALERTS: Final = "alerts.>"
JOBS: Final = "abtest.jobs.>"
RESULTS: Final = "abtest.results.>"
REPORTS: Final = "reports.published.>"
SCHEDULES: Final = "probes.schedule.>"


@dataclass(frozen=True)
class Role:
    """What the process that connects as user ``name`` does on the bus."""

    name: str
    description: str
    publishes: tuple[str, ...] = ()
    """Subjects of the events it owns."""
    hears: tuple[str, ...] = ()
    """Events it also hears outside of JetStream, or that people watch."""
    consumes: tuple[Durable, ...] = ()
    replays: tuple[str, ...] = ()
    """Streams it may read with consumers of its own."""
    owns: tuple[str, ...] = ()
    """Buckets it writes, reads back and lists."""
    follows: tuple[str, ...] = ()
    """Buckets it reads and watches."""
    asks: tuple[str, ...] = ()
    """Services whose operations it calls."""
    requests: tuple[str, ...] = ()
    """Single operations it calls."""
    serves: bool = True
    """Answers ``rpc.<name>.<operation>`` and competes for the leases ``<name>.<job>``."""
    purges: tuple[str, ...] = ()
    """Streams it may remove messages from."""


ROLES: Final = (
    Role(
        "edge",
        "serves callers from snapshots, reports calls, publishes access, budgets and catalog",
        publishes=(CALLS, DRIFT),
        hears=(STATUS, ALERTS),
        replays=("STATUS", "ALERTS"),
        owns=("access", "budgets", "catalog"),
        follows=(
            "access",
            "catalog",
            "routes",
            "failover",
            "provider-status",
            "performance",
            "quality",
            "predictor",
            "spend",
        ),
        asks=("health", "failover", "routing", "comparison", "abtest"),
    ),
    Role(
        "health",
        "probes, judges and alerts",
        publishes=(STATUS, ALERTS, SCHEDULES, CALLS),
        hears=(CALLS, SWITCHED),
        consumes=(HEALTH_CALLS, HEALTH_PROBES, HEALTH_DRIFT, HEALTH_ALERTS),
        replays=("CALLS", "PROBES", "STATUS", "ALERTS", "FAILOVER"),
        owns=("provider-status", "alerts-active", "alerting"),
        follows=("provider-status", "alerts-active", "catalog", "routes", "failover"),
        purges=("PROBES",),
    ),
    Role(
        "failover",
        "decides the fleet's gates, and tries out who may be well again",
        publishes=(SWITCHED, RECOVERED, ALERTS, CALLS),
        hears=(CALLS, STATUS),
        replays=("CALLS", "STATUS"),
        owns=("failover",),
        follows=("provider-status", "failover", "catalog"),
        asks=("failover", "comparison"),
    ),
    Role(
        "routing",
        "keeps the rules and the scores of answers, publishes the route tables, the qualities and the learned ones",
        hears=(STATUS, PERFORMANCE, CALLS),
        consumes=(ROUTING_RESULTS,),
        owns=("routes", "quality", "predictor"),
        follows=(
            "provider-status",
            "performance",
            "routes",
            "catalog",
            "quality",
            "failover",
            "budgets",
            "spend",
        ),
        asks=("comparison",),
        requests=("rpc.failover.versions",),
    ),
    Role(
        "comparison",
        "turns calls and test results into figures",
        publishes=(PERFORMANCE, REPORTS),
        hears=(SWITCHED, RECOVERED),
        consumes=(COMPARISON_CALLS, COMPARISON_RESULTS),
        owns=("performance", "spend"),
    ),
    Role(
        "abtest",
        "runs A/B tests",
        publishes=(JOBS, RESULTS, CALLS),
        hears=(RESULTS,),
        consumes=(ABTEST_JOBS,),
        follows=("provider-status", "catalog"),
        asks=("comparison",),
    ),
    Role(
        "dashboard",
        "shows; changes nothing",
        hears=(STATUS, PERFORMANCE, SWITCHED, RECOVERED, ALERTS, RESULTS, REPORTS, CALLS),
        replays=("STATUS", "PERFORMANCE", "FAILOVER", "ALERTS", "REPORTS"),
        follows=("provider-status", "routes", "failover", "performance", "catalog", "alerts-active"),
        serves=False,
    ),
    Role(
        "ops",
        "people and their tools: alerts, states, dead letters; where a request would go",
        hears=(STATUS, PERFORMANCE, SWITCHED, RECOVERED, ALERTS, REPORTS, DRIFT, "dlq.>"),
        replays=("STATUS", "FAILOVER", "ALERTS", "REPORTS", "DRIFT", "DLQ"),
        requests=("rpc.routing.decide",),
        serves=False,
    ),
)


@dataclass(frozen=True)
class Permissions:
    """What a user may publish and subscribe to; everything else is denied."""

    user: str
    description: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    deny: tuple[str, ...] = ()
    """May not publish these, whatever ``publish`` says."""
    answers: bool = False
    """May reply once to each request it receives."""

    def rules(self) -> dict[str, Any]:
        """As NATS's configuration has them under ``permissions``."""
        publish: dict[str, list[str]] = {"allow": list(self.publish)}
        if self.deny:
            publish["deny"] = list(self.deny)
        found: dict[str, Any] = {"publish": publish, "subscribe": {"allow": list(self.subscribe)}}
        if self.answers:
            found["allow_responses"] = True
        return found


def inbox(service: str) -> str:
    """Prefix of the reply subjects of a service: nobody else may listen there.

    With the default prefix ``_INBOX`` every user hears every answer, the hashed API keys included.
    """
    return f"_INBOX.{service}"


def permissions(role: Role) -> Permissions:
    """The subjects a role needs, those of the JetStream API and of the key-value buckets included."""
    publish = [*role.publishes, "$JS.API.INFO", f"$JS.API.STREAM.INFO.{READY_STREAM}"]
    subscribe = [f"{inbox(role.name)}.>", *role.hears]
    for durable in role.consumes:
        publish += _consuming(durable)
    deny = [subject for stream in role.replays for subject in _foreign(stream, role.consumes)]
    for stream in role.replays:
        publish += _replaying(stream)
    for bucket in role.owns:
        publish += [f"$KV.{bucket}.>", *_getting(bucket), *_watching(bucket)]
    for bucket in role.follows:
        publish += [*_getting(bucket), *_watching(bucket)]
    publish += [*role.requests, *(f"rpc.{service}.*" for service in role.asks)]
    publish += [f"$JS.API.STREAM.PURGE.{stream}" for stream in role.purges]
    if role.serves:
        publish += [f"rpc.{role.name}.*.changed", *_getting("leases", f"{role.name}.>")]
        publish += [f"$KV.leases.{role.name}.>"]
        subscribe += [f"rpc.{role.name}.>"]
    return Permissions(
        role.name, role.description, _once(publish), _once(subscribe), _once(deny), answers=role.serves
    )


def _consuming(durable: Durable) -> list[str]:
    """Bind to a durable that is there, fetch, acknowledge, and give up to the dead letters."""
    where = f"{durable.stream}.{durable.name}"
    return [
        f"$JS.API.CONSUMER.INFO.{where}",
        f"$JS.API.CONSUMER.MSG.NEXT.{where}",
        f"$JS.ACK.{where}.>",
        f"dlq.{durable.filter_subject}",
    ]


def _getting(bucket: str, keys: str = ">") -> list[str]:
    return [f"$JS.API.STREAM.INFO.KV_{bucket}", f"$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.{keys}"]


def _watching(bucket: str) -> list[str]:
    """An unnamed, ordered consumer, with its flow control."""
    return [
        f"$JS.API.CONSUMER.CREATE.KV_{bucket}",
        f"$JS.API.CONSUMER.INFO.KV_{bucket}.>",
        f"$JS.FC.KV_{bucket}.>",
    ]


def _replaying(stream: str) -> list[str]:
    """Consumers of one's own on a stream; where there are durables too, only such that acknowledge nothing."""
    reading = [
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.>",
        f"$JS.FC.{stream}.>",
    ]
    if _durables(stream):
        return reading
    return [*reading, f"$JS.API.CONSUMER.DELETE.{stream}.>", f"$JS.ACK.{stream}.>"]


def _foreign(stream: str, own: tuple[Durable, ...]) -> list[str]:
    """Changing a durable is for setup; fetching from it takes messages away from the service that owns it."""
    denied = []
    for each in _durables(stream):
        denied += [f"$JS.API.CONSUMER.CREATE.{stream}.{each.name}{rest}" for rest in ("", ".>")]
        if each not in own:
            denied.append(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{each.name}")
    return denied


def _durables(stream: str) -> list[Durable]:
    return [each for each in DURABLES if each.stream == stream]


def _once(subjects: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subjects))


SETUP: Final = Permissions(
    "setup",
    "applies the topology before the services start",
    publish=(
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.CREATE.*",
        "$JS.API.STREAM.UPDATE.*",
        *(f"$JS.API.CONSUMER.CREATE.{each.stream}.{each.name}.{each.filter_subject}" for each in DURABLES),
    ),
    subscribe=(f"{inbox('setup')}.>",),
)

PERMISSIONS: Final = (*(permissions(role) for role in ROLES), SETUP)
USERS: Final = tuple(each.user for each in PERMISSIONS)

Quote = Callable[[str], str]
"""Name of a user to its password, as it stands in the configuration."""


def password_variable(user: str) -> str:
    """The environment variable that carries a user's password, on the server and in compose."""
    return f"FAIRLEAD_NATS_{user.upper()}_PASSWORD"


def from_environment(user: str) -> str:
    """The server itself reads the password from its environment."""
    return f"${password_variable(user)}"


def accounts(password: Quote = from_environment) -> str:
    """The ``accounts`` block of a NATS server: one account for all of Fairlead, one user per role, and ``SYS``.

    Args:
        password: gives each user's password as NATS configuration: a reference, or a quoted string.
    """
    users = "".join(_user(each, password(each.user)) for each in PERMISSIONS)
    return (
        "accounts {\n"
        f"  {ACCOUNT} {{\n"
        "    jetstream: enabled\n"
        f"    users: [\n{users}    ]\n"
        "  }\n"
        "  SYS {\n"
        f"    users: [ {{ user: admin, password: {password('admin')} }} ]\n"
        "  }\n"
        "}\n"
        "system_account: SYS\n"
    )


def _user(each: Permissions, password: str) -> str:
    rules = textwrap.indent(json.dumps(each.rules(), indent=2), "        ").lstrip()
    return (
        f"      # {each.description}\n"
        f"      {{ user: {each.user}, password: {password}\n"
        f"        permissions: {rules} }}\n"
    )


HEADER: Final = """\
# One user per service, each with the least it needs. Generated: change fairlead_common.bus.permissions, then run
#   python -m fairlead_common.bus.permissions > deploy/nats/accounts.conf
# Passwords come from the server's environment. Letters and digits, beginning with a letter: the server parses the value.
"""

if __name__ == "__main__":
    sys.stdout.write(HEADER + accounts())
