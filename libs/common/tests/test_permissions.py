"""The table of permissions agrees with the topology and with who owns which event."""

import pytest
from fairlead_common.bus.permissions import (
    PERMISSIONS,
    ROLES,
    USERS,
    Permissions,
    accounts,
    inbox,
    password_variable,
)
from fairlead_common.bus.topology import BUCKETS, DURABLES, STREAMS, Durable


def matches(pattern: str, subject: str) -> bool:
    """NATS's rule: ``*`` is one token, ``>`` is the rest."""
    wanted, found = pattern.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(found) > position
        if position >= len(found) or token not in ("*", found[position]):
            return False
    return len(wanted) == len(found)


def publishers(subject: str) -> set[str]:
    """Users that may publish there."""
    return {
        each.user
        for each in PERMISSIONS
        if any(matches(allowed, subject) for allowed in each.publish)
        and not any(matches(denied, subject) for denied in each.deny)
    }


def test_each_user_is_there_once() -> None:
    assert len(USERS) == len(set(USERS))
    assert len({password_variable(user) for user in USERS}) == len(USERS)


@pytest.mark.parametrize(
    ("subject", "owners"),
    [
        ("provider.status.openai", {"health"}),
        ("calls.completed.edge-1", {"edge", "abtest", "failover", "health"}),
        ("provider.performance.openai", {"comparison"}),
        ("failover.switched.1", {"failover"}),
        ("failover.recovered.1", {"failover"}),
        ("alerts.critical.openai.down", {"health", "failover"}),
        ("probes.schedule.openai", {"health"}),
        ("probes.due.openai", set()),  # JetStream's own ticks
        ("abtest.jobs.7", {"abtest"}),
        ("abtest.results.7", {"abtest"}),
        ("reports.published.daily", {"comparison"}),
        ("dlq.calls.completed.edge-1", {"health", "comparison"}),
        ("dlq.abtest.jobs.7", {"abtest"}),
        ("dlq.probes.due.openai", {"health"}),
        ("rpc.routing.decide", {"edge", "ops"}),
        ("rpc.routing.create", {"edge"}),
    ],
)
def test_only_the_owner_publishes(subject: str, owners: set[str]) -> None:
    assert publishers(subject) == owners


@pytest.mark.parametrize(
    ("bucket", "owner"),
    [
        ("provider-status", "health"),
        ("alerts-active", "health"),
        ("failover", "failover"),
        ("routes", "routing"),
        ("performance", "comparison"),
        ("catalog", "edge"),
        ("access", "edge"),
        ("budgets", "edge"),
    ],
)
def test_only_the_owner_writes_a_bucket(bucket: str, owner: str) -> None:
    assert publishers(f"$KV.{bucket}.key") == {owner}


def test_every_bucket_has_an_owner() -> None:
    owned = [bucket for role in ROLES for bucket in role.owns]
    assert sorted([*owned, "leases"]) == sorted(bucket.name for bucket in BUCKETS)


def test_a_lease_belongs_to_its_service() -> None:
    assert publishers("$KV.leases.health.aggregator") == {"health"}
    assert publishers("$KV.leases.edge.snapshots") == {"edge"}


def test_every_durable_has_one_consumer() -> None:
    consumed = [durable for role in ROLES for durable in role.consumes]
    assert sorted(each.name for each in consumed) == sorted(each.name for each in DURABLES)


def test_every_stream_has_somebody_who_fills_it() -> None:
    prefixes = {subject.removesuffix(">") for stream in STREAMS for subject in stream.subjects}
    allowed = [subject for each in PERMISSIONS for subject in each.publish]
    unfilled = {prefix for prefix in prefixes if not any(each.startswith(prefix) for each in allowed)}
    assert unfilled == {"probes.due."}  # JetStream itself


@pytest.mark.parametrize("durable", DURABLES, ids=lambda each: each.name)
def test_nobody_else_touches_a_durable(durable: Durable) -> None:
    where, owner = f"{durable.stream}.{durable.name}", durable.name.partition("-")[0]
    assert publishers(f"$JS.API.CONSUMER.MSG.NEXT.{where}") == {owner}
    assert publishers(f"$JS.ACK.{where}.1.2.3.4.5") == {owner}
    assert publishers(f"$JS.API.CONSUMER.DELETE.{where}") == set()
    assert publishers(f"$JS.API.CONSUMER.CREATE.{where}.{durable.filter_subject}") == {"setup"}


def test_only_setup_changes_the_topology() -> None:
    for verb in ("CREATE", "UPDATE", "DELETE"):
        assert publishers(f"$JS.API.STREAM.{verb}.CALLS") <= {"setup"}
    assert publishers("$JS.API.CONSUMER.CREATE.CALLS.health-calls.calls.completed.>") == {"setup"}
    assert publishers("$JS.API.STREAM.PURGE.PROBES") == {"health"}
    assert publishers("$JS.API.STREAM.PURGE.CALLS") == set()


@pytest.mark.parametrize("each", PERMISSIONS, ids=lambda each: each.user)
def test_nobody_hears_the_answers_of_another(each: Permissions) -> None:
    inboxes = [subject for subject in each.subscribe if subject.startswith(("_INBOX", "*", ">"))]
    assert inboxes == [f"{inbox(each.user)}.>"]
    assert not [subject for subject in each.publish if subject.startswith(("_INBOX", "*", ">"))]


def test_keys_are_read_by_the_edge_alone() -> None:
    assert publishers("$JS.API.DIRECT.GET.KV_access.$KV.access.keys") == {"edge"}
    assert publishers("$JS.API.CONSUMER.CREATE.KV_access") == {"edge"}


def test_the_configuration_holds_what_it_is_given() -> None:
    text = accounts(lambda user: f'"secret of {user}"')
    for user in (*USERS, "admin"):
        assert f'user: {user}, password: "secret of {user}"' in text
