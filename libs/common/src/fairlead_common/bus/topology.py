"""Every stream, durable consumer and key-value bucket, as one table, applied by one idempotent step.

Services bind to what this table declares and create nothing themselves: a misspelt durable fails at start instead of
silently reading from nowhere, and the services need no right to change the topology.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from nats.aio.client import Client

NANOSECONDS: Final = 1_000_000_000
DAY_S: Final = 86_400


class TopologyError(Exception):
    """JetStream refused a part of the topology; the message names it."""


@dataclass(frozen=True)
class Stream:
    """A JetStream stream. ``max_age_s`` 0 = no limit."""

    name: str
    subjects: tuple[str, ...]
    description: str
    retention: str = "limits"
    max_age_s: int = 7 * DAY_S
    max_bytes: int = 1024**3
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Durable:
    """A durable pull consumer; replicas that share it share its work.

    ``ack_wait_s`` is how long a handler may take before the message goes to another replica.
    """

    name: str
    stream: str
    filter_subject: str
    ack_wait_s: float = 30.0
    max_ack_pending: int = 1000
    deliver_policy: str = "all"

    @property
    def service(self) -> str:
        """Whose it is: a durable is named after the service that consumes it."""
        return self.name.partition("-")[0]


@dataclass(frozen=True)
class Bucket:
    """A key-value bucket, history 1. Everything in it can be rebuilt by its owner from Postgres or from events."""

    name: str
    description: str


STREAMS: Final = (
    Stream("STATUS", ("provider.status.>",), "provider status: changes and heartbeats, from health"),
    Stream("CALLS", ("calls.completed.>",), "what became of every call, in frames", max_bytes=8 * 1024**3),
    Stream(
        "DRIFT", ("provider.drift.>",), "what is new on vendors' wires, from the edges", max_age_s=90 * DAY_S
    ),
    Stream("PERFORMANCE", ("provider.performance.>",), "measured performance, from comparison"),
    Stream("FAILOVER", ("failover.switched.>", "failover.recovered.>"), "switches and recoveries"),
    Stream("ALERTS", ("alerts.>",), "alerts for people", max_age_s=90 * DAY_S),
    Stream(
        "PROBES",
        ("probes.schedule.>", "probes.due.>"),
        "recurring probe schedules and their ticks",
        max_age_s=0,
        options={"allow_msg_schedules": True, "allow_msg_ttl": True, "allow_rollup_hdrs": True},
    ),
    Stream(
        "ABTEST_JOBS", ("abtest.jobs.>",), "one job per prompt and arm", retention="workqueue", max_age_s=0
    ),
    Stream("ABTEST_RESULTS", ("abtest.results.>",), "results of A/B test jobs", max_age_s=30 * DAY_S),
    Stream("REPORTS", ("reports.published.>",), "reports, from comparison", max_age_s=90 * DAY_S),
    Stream("DLQ", ("dlq.>",), "messages a handler gave up on", max_age_s=30 * DAY_S),
)

HEALTH_CALLS: Final = Durable("health-calls", "CALLS", "calls.completed.>")
HEALTH_PROBES: Final = Durable("health-probes", "PROBES", "probes.due.>", ack_wait_s=5)
"""Whoever probes says every now and then that it is still at it; when it dies, another one is soon asked."""
HEALTH_DRIFT: Final = Durable("health-drift", "DRIFT", "provider.drift.>")
HEALTH_ALERTS: Final = Durable("health-alerts", "ALERTS", "alerts.>", max_ack_pending=1, deliver_policy="new")
"""One at a time, so that an alert's transitions are queued for delivery in their order."""
COMPARISON_CALLS: Final = Durable(
    "comparison-calls", "CALLS", "calls.completed.>", ack_wait_s=60, max_ack_pending=5000
)
COMPARISON_RESULTS: Final = Durable("comparison-results", "ABTEST_RESULTS", "abtest.results.>")
ROUTING_RESULTS: Final = Durable("routing-results", "ABTEST_RESULTS", "abtest.results.>")
ABTEST_JOBS: Final = Durable(
    "abtest-jobs", "ABTEST_JOBS", "abtest.jobs.>", ack_wait_s=30, max_ack_pending=256
)

DURABLES: Final = (
    HEALTH_CALLS,
    HEALTH_PROBES,
    HEALTH_DRIFT,
    HEALTH_ALERTS,
    COMPARISON_CALLS,
    COMPARISON_RESULTS,
    ROUTING_RESULTS,
    ABTEST_JOBS,
)

BUCKETS: Final = (
    Bucket("provider-status", "state of each provider, from health; key: provider"),
    Bucket("routes", "compiled route tables, from routing; key: workspace id"),
    Bucket("quality", "scores of answers by model and task, from routing; key: workspace id"),
    Bucket("predictor", "learned qualities by kind of prompt, from routing; key: workspace id"),
    Bucket("spend", "what each workspace has spent this day and month, from comparison; key: workspace id"),
    Bucket("failover", "failover policies, overrides and the fleet's breakers, from failover"),
    Bucket("performance", "measured performance, from comparison; key: provider"),
    Bucket("catalog", "models, mappings and prices, from the edge; key: models"),
    Bucket("access", "workspaces and hashed API keys, from the edge; key: keys"),
    Bucket("budgets", "what workspaces may spend, from the edge; key: workspaces"),
    Bucket("alerts-active", "alerts that are firing now, from health; key: fingerprint"),
    Bucket("alerting", "alert rules in force, from health; key: rules"),
    Bucket("leases", "who owns which single-owner job now; key: job"),
)


def stream_config(stream: Stream, replicas: int) -> dict[str, Any]:
    """The stream as the JetStream API wants it (durations in nanoseconds)."""
    return {
        "name": stream.name,
        "description": stream.description,
        "subjects": list(stream.subjects),
        "retention": stream.retention,
        "max_age": stream.max_age_s * NANOSECONDS,
        "max_bytes": stream.max_bytes,
        "max_msgs": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "duplicate_window": 120 * NANOSECONDS,
        "allow_direct": True,
        **stream.options,
    }


def consumer_config(durable: Durable) -> dict[str, Any]:
    """The consumer as the JetStream API wants it: explicit acks, unlimited deliveries (the handler decides)."""
    return {
        "durable_name": durable.name,
        "name": durable.name,
        "filter_subject": durable.filter_subject,
        "ack_policy": "explicit",
        "ack_wait": int(durable.ack_wait_s * NANOSECONDS),
        "max_ack_pending": durable.max_ack_pending,
        "max_deliver": -1,
        "deliver_policy": durable.deliver_policy,
        "replay_policy": "instant",
    }


def bucket_config(bucket: Bucket, replicas: int) -> dict[str, Any]:
    """The stream behind a key-value bucket, as the NATS KV convention defines it."""
    return {
        "name": f"KV_{bucket.name}",
        "description": bucket.description,
        "subjects": [f"$KV.{bucket.name}.>"],
        "retention": "limits",
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msg_size": -1,
        "storage": "file",
        "discard": "new",
        "num_replicas": replicas,
        "duplicate_window": 120 * NANOSECONDS,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
    }


async def apply(client: Client, replicas: int = 1) -> None:
    """Create or update every stream, bucket and consumer; safe to run at any time, by several at once.

    Args:
        replicas: copies of each stream: 1 on one node, 3 on a cluster.

    Raises:
        TopologyError: JetStream refused something.
    """
    for stream in STREAMS:
        await _put_stream(client, stream_config(stream, replicas))
    for bucket in BUCKETS:
        await _put_stream(client, bucket_config(bucket, replicas))
    for durable in DURABLES:
        request = {"stream_name": durable.stream, "config": consumer_config(durable), "action": ""}
        await _api(
            client, f"CONSUMER.CREATE.{durable.stream}.{durable.name}.{durable.filter_subject}", request
        )


async def _put_stream(client: Client, config: dict[str, Any]) -> None:
    name = config["name"]
    found = await _ask(client, f"STREAM.INFO.{name}", {})
    verb = "CREATE" if "error" in found else "UPDATE"
    await _api(client, f"STREAM.{verb}.{name}", config)


async def _ask(client: Client, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    reply = await client.request(f"$JS.API.{operation}", json.dumps(request).encode(), timeout=10)
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


async def _api(client: Client, operation: str, request: dict[str, Any]) -> None:
    answer = await _ask(client, operation, request)
    if error := answer.get("error"):
        raise TopologyError(f"JetStream refused {operation}: {error.get('description', error)}")
