"""Past calls under other rules: what is decided again, what is expected of it, and what cannot be told."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from fairlead_common.decisions.budgets import Limits, Spent
from fairlead_common.decisions.conditions import compile_conditions
from fairlead_common.decisions.plan import FleetView, NoCapacity, RouteRequest
from fairlead_common.decisions.policies import compile_policy
from fairlead_common.decisions.quality import QualityTable, Scores
from fairlead_common.decisions.record import record_of
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.calls import Considered, Decision, LeftOut
from fairlead_common.ids import new_id
from fairlead_common.operations.calls import DecidedCall
from fairlead_common.operations.failover import ConfigVersion, PolicyRuleIn
from fairlead_common.operations.routing_replay import WhatIf
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Entry
from fairlead_models.catalog.pricing import Pricing
from fairlead_routing.domain import bootstrap
from fairlead_routing.domain.analytics import Then, analytics
from fairlead_routing.domain.purse import Purse
from fairlead_routing.domain.replay import Knowledge, Replayed, replay
from fairlead_routing.domain.what_if import what_if
from fairlead_routing.history import policies_of

START = datetime(2026, 11, 24, tzinfo=UTC)
DEAR, CHEAP = Target("openai", "dear"), Target("google", "cheap")


def entry(target: Target, usd_per_mtok: float, quality: float) -> Entry:
    pricing = Pricing(input_usd_per_mtok=usd_per_mtok, output_usd_per_mtok=usd_per_mtok)
    return Entry(
        provider=target.provider, model=target.model, classes=("pair",), quality=quality, pricing=pricing
    )


CATALOG = Catalog([entry(DEAR, 10.0, 0.9), entry(CHEAP, 1.0, 0.6)], ["openai", "google"])
MEASURED = {
    DEAR: Measured(calls=50, error_rate=0.02, latency_p50_ms=900.0, ttft_p50_ms=200.0),
    CHEAP: Measured(calls=50, error_rate=0.1, latency_p50_ms=300.0, ttft_p50_ms=90.0),
}
KNOWN = Knowledge(CATALOG, MEASURED)


def table(*rules: tuple[str, dict[str, Any]], version: int = 1) -> CompiledTable:
    found = tuple(
        RuleSnapshot(rule_id=i, name=f"rule {i}", strategy=strategy, priority=i, conditions=conditions)
        for i, (strategy, conditions) in enumerate(rules, 1)
    )
    return compile_table(RoutesSnapshot(workspace_id=1, version=version, rules=found))


QUALITY, COST = table(("quality", {})), table(("cost", {}))


def decided(rules: CompiledTable, request: RouteRequest, draw: float = 0.5, **values: Any) -> DecidedCall:
    """A call as an edge would have decided and recorded it."""
    plan = make_plan(rules, None, request, CATALOG.candidates, FleetView(measured=MEASURED), 0.0, draw)
    decision = Decision.model_validate(record_of(plan, request))
    target = decision.candidates[0].target if decision.candidates else "/"
    provider, _, model = target.partition("/")
    given: dict[str, Any] = {
        "call_id": new_id(),
        "started_at": START,
        "requested_model": request.requested_model,
        "stream": request.stream,
        "state": "ok",
        "provider": provider,
        "model": model,
        "rule": "rule 1",
        "table_version": 1,
        "failover": False,
        "duration_ms": 1000.0 if provider == "openai" else 400.0,
        "ttft_ms": None,
        "input_tokens": 100,
        "output_tokens": 100,
        "cost_usd": 0.002 if provider == "openai" else 0.0002,
        "decision": decision,
        **values,
    }
    return DecidedCall.model_validate(given)


ASK = RouteRequest("class:pair", input_tokens=100, max_output_tokens=100)


def replayed(call: DecidedCall, rules: CompiledTable, known: Knowledge = KNOWN) -> Replayed:
    found = replay(call, rules, known, 0)
    assert isinstance(found, Replayed)
    return found


@pytest.mark.parametrize("strategy", ["latency", "cost", "quality", "reliability", "balanced", "weighted"])
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.77])
@pytest.mark.parametrize("stream", [False, True])
def test_under_the_same_rules_the_same_is_decided_whatever_is_known_now(
    strategy: str, draw: float, stream: bool
) -> None:
    conditions = {"targets": [{"target": str(DEAR), "weight": 2}, {"target": str(CHEAP), "weight": 1}]}
    rules = table((strategy, {**conditions, "spread": 0.3, "explore": 0.05}))
    request = RouteRequest("auto", input_tokens=2000, stream=stream)
    call = decided(rules, request, draw)
    assert not replayed(call, rules).changed
    other = Knowledge(CATALOG, {DEAR: Measured(100, 0.9, 9.0), CHEAP: Measured(100, 0.0, 60_000.0)})
    assert not replayed(call, rules, other).changed


def test_who_was_out_for_the_moment_stays_out() -> None:
    call = decided(QUALITY, ASK)
    out = LeftOut(target=str(CHEAP), reason="the provider is down")
    kept = tuple(each for each in call.decision.candidates if each.target == str(DEAR))
    decision = call.decision.model_copy(update={"candidates": kept, "excluded": (out,)})
    assert replayed(call, COST).after == CHEAP
    assert replayed(call.model_copy(update={"decision": decision}), COST).after == DEAR


def test_the_workspaces_primary_provider_comes_first() -> None:
    policy = compile_policy(PolicySnapshot(workspace_id=1, version=1, primary_provider="openai"))
    known = Knowledge(CATALOG, MEASURED, policies=((-math.inf, policy),))
    assert replayed(decided(QUALITY, ASK), COST, known).after == DEAR


def version(number: int, hours: int, primary: str | None, action: str = "changed") -> ConfigVersion:
    return ConfigVersion.model_validate(
        {
            "version": number,
            "action": action,
            "changed_by": None,
            "changed_at": START + timedelta(hours=hours),
            "config": {"primary_provider": primary},
        }
    )


def test_each_call_is_decided_by_the_failover_policy_of_its_time() -> None:
    bad = version(3, 3, "openai")
    rule = PolicyRuleIn.model_construct(name="r", enabled=True, conditions={"when": "not valid ("})
    bad = bad.model_copy(update={"config": bad.config.model_copy(update={"rules": [rule]})})
    kept = [version(4, 4, None, "deleted"), bad, version(2, 2, "google"), version(1, 1, "openai")]
    known = Knowledge(CATALOG, MEASURED, policies=policies_of(1, kept))
    then = {hour: decided(COST, ASK, started_at=START + timedelta(hours=hour)) for hour in range(6)}
    first = {hour: replayed(call, QUALITY, known).after for hour, call in then.items()}
    assert first == {0: DEAR, 1: DEAR, 2: CHEAP, 3: CHEAP, 4: DEAR, 5: DEAR}


def test_what_was_judged_then_is_not_judged_again_by_the_scores_of_now() -> None:
    scores = QualityTable({DEAR: {"unknown": Scores(1000, 0.1)}, CHEAP: {"unknown": Scores(1000, 1.0)}})
    assert not replayed(decided(QUALITY, ASK), QUALITY, Knowledge(CATALOG, MEASURED, scores)).changed


def money(spent_usd: float, *, blocks: bool = False, each: float = 1.0) -> Purse:
    """A day's budget of one dollar."""
    return Purse(Limits(daily_usd=1.0, blocks=blocks), Spent(spent_usd, spent_usd), START.timestamp(), each)


def dear(count: int, **values: Any) -> list[DecidedCall]:
    """Calls an hour apart, beginning at midnight, each for a quarter of a dollar."""
    return [
        decided(QUALITY, ASK, started_at=START + timedelta(hours=i), cost_usd=0.25, **values)
        for i in range(count)
    ]


def test_a_budget_is_spent_call_by_call_and_renewed_at_midnight() -> None:
    found = what_if(dear(30), 30, QUALITY, KNOWN, money(0.5), ("by hand",))
    assert (found.replayed, found.changed, found.blocked) == (30, 24, 0)
    assert found.assumed == ["by hand"]
    blocked = what_if(dear(30), 30, QUALITY, KNOWN, money(0.5, blocks=True))
    assert (blocked.unserved, blocked.blocked, blocked.rules) == (24, 24, {"rule 1": 6})


def test_cheaper_rules_make_the_money_last_and_a_sample_counts_for_all() -> None:
    found = what_if(dear(24), 24, COST, KNOWN, money(0.5, blocks=True))
    assert (found.blocked, found.unserved) == (0, 0)
    sampled = what_if(dear(24), 240, QUALITY, KNOWN, money(0.0, blocks=True, each=10.0))
    assert sampled.blocked == 23


def test_rules_that_ask_for_the_budget_are_replayed() -> None:
    rules = table(("cost", {"when": "budget.remaining_share < 0.5"}), ("quality", {}))
    found = what_if(dear(4), 4, rules, KNOWN, money(0.0))
    assert (found.rules, found.not_replayed) == ({"rule 2": 3, "rule 1": 1}, [])
    assert what_if(dear(4), 4, rules, KNOWN).rules == {"rule 2": 4}


def test_a_call_that_the_spent_budget_had_refused_can_be_served_under_cheaper_rules() -> None:
    nobody = Decision.model_validate(record_of(NoCapacity(402, "budget_spent", "spent"), ASK))
    refused = decided(
        COST,
        ASK,
        provider=None,
        model=None,
        state="failed",
        cost_usd=None,
        decision=nobody,
        rule=None,
        input_tokens=None,
        output_tokens=None,
    )
    purse = money(0.9)
    found = what_if([refused], 1, COST, KNOWN, purse)
    assert (found.changed, found.unserved) == (1, 0)
    budget = purse.budget(START.timestamp())
    assert budget is not None
    assert budget.remaining_usd == pytest.approx(0.1 - 200 * 1e-6)


def test_what_cannot_be_replayed_says_why() -> None:
    call = decided(QUALITY, ASK)
    by_header = table(("cost", {"when": "request.headers['x-a'] == 'b'"}), ("quality", {}))
    assert replay(call, by_header, KNOWN, 0) == (
        "the rules speak of request.headers, which is not kept with a call"
    )
    behind = table(("cost", {"min_input_tokens": 50}), ("cost", {"when": "load > 3"}))
    assert replayed(call, behind).rule == "rule 1"
    unknown = call.model_copy(update={"requested_model": "gone"})
    assert "has nothing of the requested name" in str(replay(unknown, COST, KNOWN, 0))
    nobody = replayed(call, table(("cost", {"providers": ["openai"], "exclude_providers": ["openai"]})))
    assert nobody.after is None


def history(count: int = 200) -> list[DecidedCall]:
    """Half of the calls went to the dear one, which is slow; a tenth of those to the cheap one failed."""
    found = []
    for i in range(count):
        at = START + timedelta(seconds=i)
        if i % 2:
            found.append(decided(COST, ASK, started_at=at, failover=i % 20 == 1, duration_ms=380.0 + i % 41))
        else:
            found.append(decided(QUALITY, ASK, started_at=at, duration_ms=950.0 + i % 101))
    return found


def metric(found: WhatIf, name: str) -> Any:
    return next(each for each in found.metrics if each.metric == name)


def test_everything_to_the_cheap_one_saves_money_and_time_and_costs_quality_and_failures() -> None:
    found = what_if(history(), 1000, COST, KNOWN)
    assert (found.calls, found.looked_at, found.replayed, found.changed) == (1000, 200, 200, 100)
    assert found.rules == {"rule 1": 200}
    google = next(each for each in found.providers if each.name == "google")
    assert (google.before, google.after, google.difference.value) == (0.5, 1.0, 0.5)
    assert 0.4 < (google.difference.low or 0) < 0.5 < (google.difference.high or 0) < 0.6
    cost = metric(found, "cost_usd")
    assert (cost.before, cost.after) == pytest.approx((0.0011, 0.0002))
    assert cost.difference.high < 0
    time = metric(found, "latency_ms")
    assert time.difference.value == pytest.approx(-300.0, rel=0.05)
    assert time.difference.low < time.difference.value < time.difference.high < 0
    failures = metric(found, "failure_share")
    assert (failures.before, failures.after) == pytest.approx((0.05, 0.1))
    assert failures.difference.low < 0.05 < failures.difference.high
    assert metric(found, "quality").difference.value == pytest.approx(-0.15)
    assert metric(found, "ttft_ms").calls == 0
    assert what_if(history(), 1000, COST, KNOWN).metrics[1:4] == found.metrics[1:4]


def test_unchanged_rules_change_nothing_for_certain() -> None:
    calls = [decided(COST, ASK) for _ in range(30)]
    found = what_if(calls, 30, COST, KNOWN)
    assert (found.changed, found.unserved, found.not_replayed) == (0, 0, [])
    for each in found.metrics:
        assert each.difference.value in (0.0, None)
        assert each.difference.low == each.difference.high


def test_a_target_of_which_nothing_is_known_is_left_out_and_counted() -> None:
    calls = [decided(QUALITY, ASK) for _ in range(10)]
    found = metric(what_if(calls, 10, COST, Knowledge(CATALOG, {})), "latency_ms")
    assert (found.calls, found.unknown, found.difference.value) == (0, 10, None)
    fallback = metric(what_if(calls, 10, COST, KNOWN), "latency_ms")
    assert (fallback.calls, fallback.after) == (10, pytest.approx(300.0))


def test_nothing_at_all() -> None:
    found = what_if([], 0, COST, KNOWN)
    assert (found.calls, found.providers, metric(found, "cost_usd").before) == (0, [], None)
    nothing = analytics([], 0, (START, START), {}, KNOWN, None)
    assert (nothing.rules, nothing.savings, nothing.regret[0].calls) == ([], None, 0)


def test_intervals_cover_a_known_difference() -> None:
    """95 % intervals of a change whose true size is known hold it in most of 60 periods."""
    random, covered = np.random.default_rng(5), 0
    for _ in range(60):
        before = random.integers(0, 2, 150)
        outcomes = np.where(before == 0, 1000.0, 400.0) + random.normal(0, 200, 150)
        after, fallback = np.ones(150, dtype=np.int64), np.full(2, np.nan)
        told = np.ones(150, dtype=np.bool_)
        found = bootstrap.difference(outcomes, before, after, told, fallback)
        covered += found.low <= -600.0 * (before == 0).mean() <= found.high
    assert covered >= 52


def test_analytics_count_compare_and_look_back() -> None:
    calls = history()
    limits: Then = {(1, "rule 1"): compile_conditions({"max_latency_ms": 1000, "max_cost_usd": 1})}
    found = analytics(calls, 200, (START, START + timedelta(hours=1)), limits, KNOWN, DEAR)
    assert [(each.name, each.calls, each.share) for each in found.providers] == [
        ("openai", 100, 0.5),
        ("google", 100, 0.5),
    ]
    assert [(each.name, each.calls) for each in found.strategies] == [("quality", 100), ("cost", 100)]
    assert (found.fallbacks, [each.name for each in found.fallbacks_from]) == (10, [str(CHEAP)])
    late = sum(call.duration_ms > 1000 for call in calls)
    assert [(each.name, each.calls) for each in found.violations] == [("max_latency_ms", late)]
    assert found.savings is not None
    assert found.savings.saved_usd == pytest.approx(100 * 0.0018)
    cost, time, failures = found.regret
    assert (cost.calls, cost.best_share, time.best_share) == (200, 0.5, 0.5)
    assert cost.mean.value == pytest.approx(0.0009)
    assert time.mean.value == pytest.approx(300.0, rel=0.05)
    assert failures.mean.value == pytest.approx(0.05)
    assert cost.mean.low is not None
    assert cost.mean.low <= 0.0009 <= (cost.mean.high or 0)


def test_reasons_for_exclusion_count_together_whatever_their_figures() -> None:
    excluded = tuple(
        LeftOut(target="a/b", reason=f"its measured latency of {ms} ms exceeds 1000") for ms in (1200, 3400)
    )
    decision = Decision(
        draw=0.5, strategy="cost", candidates=(Considered(target=str(CHEAP), score=1),), excluded=excluded
    )
    call = decided(COST, ASK, decision=decision)
    found = analytics([call], 1, (START, START), {}, KNOWN, None)
    assert [(each.name, each.calls) for each in found.exclusions] == [
        ("its measured latency of # ms exceeds #", 2)
    ]
