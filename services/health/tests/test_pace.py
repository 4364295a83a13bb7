"""When a provider is probed, and what that may cost: tables."""

import asyncio
import math
from dataclasses import replace

import pytest
from fairlead_common.events.health import Status
from fairlead_common.snapshots.failover import FleetSnapshot, PolicyRule, PolicySnapshot
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_health.domain.budgets import Budget, Period, Spend, affordable, spent
from fairlead_health.domain.naming import named
from fairlead_health.domain.pace import Pace, doubtful, interval_s, needed
from fairlead_health.domain.status import CallSeen, Record, StatusSettings, Tick, observe
from fairlead_health.plans import Plans
from nats.aio.client import Client

from tests.support.waiting import until

NOW = 1_000_000.0
RULES = StatusSettings()
PACE = Pace(unwell_s=2, changed_s=15, changed_for_s=120, unrouted_s=600, unrouted_after_s=86_400)
LONG = 50_000.0
WELL = Record("openai", Status.HEALTHY, since=NOW - LONG, sequence=3)


@pytest.mark.parametrize(
    ("status", "age_s", "routed_s", "usual_s", "expected"),
    [
        (Status.HEALTHY, LONG, 10, 300, 300),
        (Status.DOWN, LONG, 10, 300, 2),
        (Status.DEGRADED, LONG, 10, 300, 2),
        (Status.UNKNOWN, LONG, 10, 300, 2),
        (Status.UNKNOWN, LONG, 10, 1, 1),
        (Status.HEALTHY, 119, 10, 300, 15),
        (Status.HEALTHY, 121, 10, 300, 300),
        (Status.HEALTHY, 119, 10, 10, 10),
        (Status.HEALTHY, LONG, 86_400, 300, 600),
        (Status.HEALTHY, LONG, 86_400, 3600, 3600),
        (Status.DOWN, LONG, 86_400, 300, 2),
        (Status.MAINTENANCE, LONG, 10, 300, 300),
    ],
)
def test_how_often(status: Status, age_s: float, routed_s: float, usual_s: int, expected: int) -> None:
    record = replace(WELL, status=status, since=NOW - age_s)
    assert interval_s(record, usual_s, NOW - routed_s, NOW, PACE) == expected


def test_who_is_counted_on_by_name_is_probed_as_usual_though_nothing_goes_there() -> None:
    assert interval_s(WELL, 300, NOW - 2 * 86_400, NOW, PACE, named=True) == 300


def test_who_is_counted_on_by_name() -> None:
    conditions = {
        "providers": ["a"],
        "targets": ["b/model", {"target": "c/model", "weight": 2}, "class:fast"],
        "exclude_providers": ["nobody"],
    }
    rule = RuleSnapshot(rule_id=1, name="r", strategy="cost", priority=1, conditions=conditions)
    off = PolicyRule(name="off", enabled=False, chain=("nobody",))
    on = PolicyRule(name="on", primary="f/model", chain=("g", "class:fast"))
    policies = [
        PolicySnapshot(
            workspace_id=1, version=1, primary_provider="d", fallback_providers=("e",), rules=(on, off)
        ),
        PolicySnapshot(workspace_id=2, version=1, enabled=False, fallback_providers=("nobody",)),
    ]
    assert named([RoutesSnapshot(workspace_id=1, version=1, rules=(rule,))], policies) == set("abcdefg")


async def test_rules_and_policies_are_followed_beside_what_else_their_buckets_hold(
    nats_client: Client,
) -> None:
    plans = Plans()
    following = asyncio.create_task(plans.follow(nats_client))
    rule = RuleSnapshot(rule_id=1, name="r", strategy="cost", priority=1, conditions={"providers": ["a"]})
    await SnapshotPublisher(nats_client, "routes").put(
        "1", RoutesSnapshot(workspace_id=1, version=1, rules=(rule,))
    )
    failover = SnapshotPublisher(nats_client, "failover")
    await failover.put("fleet", FleetSnapshot(version=1))
    await failover.put("policy.1", PolicySnapshot(workspace_id=1, version=1, fallback_providers=("b",)))
    await until(lambda: plans.named == {"a", "b"})
    await failover.delete("policy.1")
    await until(lambda: plans.named == {"a"})
    following.cancel()


def test_a_first_look_at_a_provider_is_no_change_of_it() -> None:
    assert interval_s(replace(WELL, since=NOW - 1, sequence=1), 300, NOW, NOW, PACE) == 300


@pytest.mark.parametrize(
    ("status", "proven_age_s", "usual_s", "expected"),
    [
        (Status.HEALTHY, 9.9, 300, False),
        (Status.HEALTHY, 10.0, 300, True),
        (Status.HEALTHY, 2.0, 2, True),
        (Status.HEALTHY, math.inf, 300, True),
        (Status.DOWN, 0.0, 300, True),
        (Status.UNKNOWN, 0.0, 300, True),
        (Status.MAINTENANCE, math.inf, 300, False),
    ],
)
def test_traffic_that_proves_a_provider_well_makes_a_probe_needless(
    status: Status, proven_age_s: float, usual_s: int, expected: bool
) -> None:
    assert needed(status, proven_age_s, usual_s) == expected


@pytest.mark.parametrize(
    ("outcomes", "source", "expected"),
    [
        ("x", "passive", True),
        ("xx", "passive", True),
        ("xxx", "passive", False),  # it is down, and probed all the time
        ("x", "active", False),
        ("x.", "passive", False),
        (".x", "passive", False),  # there is traffic: the next call tells
        ("l", "passive", False),
        ("", "passive", False),
    ],
)
def test_what_is_looked_into_at_once(outcomes: str, source: str, expected: bool) -> None:
    record = replace(WELL, last_success=NOW - 60)
    for i, outcome in enumerate(outcomes):
        ok = {".": True, "x": False, "l": None}[outcome]
        record = observe(record, CallSeen(ok, source), NOW + i * 0.3, RULES)
    now = NOW + len(outcomes) * 0.3
    record = observe(record, Tick(), now, RULES)
    assert doubtful(record, now, RULES) == expected


@pytest.mark.parametrize(
    ("daily", "monthly", "spend", "expected"),
    [
        (None, None, Spend(99, 99), None),
        (1.0, 10.0, Spend(0.99, 9.99), None),
        (1.0, 10.0, Spend(1.0, 9.0), "daily"),
        (1.0, 10.0, Spend(0.0, 10.0), "monthly"),
        (1.0, 10.0, Spend(2.0, 20.0), "monthly"),
        (0.0, None, Spend(), "daily"),
    ],
)
def test_when_a_budget_is_spent(
    daily: float | None, monthly: float | None, spend: Spend, expected: Period | None
) -> None:
    assert spent(Budget(daily, monthly), spend) == expected
    assert affordable(Budget(daily, monthly), spend) == (expected is None)


def test_who_does_not_know_what_was_spent_spends_nothing() -> None:
    assert not affordable(Budget(1.0, None), None)
    assert not affordable(Budget(None, 1.0), None)
    assert affordable(Budget(None, None), None)
