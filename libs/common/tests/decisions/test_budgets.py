"""Budgets: what is left, the pace, and that decisions turn to what is cheap as they run down."""

from datetime import UTC, datetime

import pytest
from fairlead_common.decisions.budgets import DAY_S, Limits, Spent, budget_of, day_of, month_of
from fairlead_common.decisions.plan import Budget, FleetView, Plan, RouteRequest
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 17, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
USD = st.floats(0, 1e6)


def test_without_limits_there_is_no_budget() -> None:
    assert budget_of(Limits(), Spent(5.0, 5.0), NOON) is None


def test_half_of_the_day_and_half_of_the_money() -> None:
    found = budget_of(Limits(daily_usd=10.0), Spent(5.0, 80.0), NOON)
    assert found == Budget(5.0, 0.5, 1.0, MIDNIGHT)
    assert not found.spent


def test_the_tighter_limit_counts_and_the_later_renewal_of_those_that_are_spent() -> None:
    found = budget_of(Limits(10.0, 100.0), Spent(2.0, 99.0), NOON)
    assert found is not None
    assert found.remaining_usd == 1.0
    assert found.remaining_share == pytest.approx(0.01)
    assert found.pace == pytest.approx(0.01 / (14.5 / 30))
    both = budget_of(Limits(10.0, 100.0), Spent(12.0, 100.0), NOON)
    assert both is not None
    assert (both.spent, both.remaining_usd, both.pace, both.renews_at) == (True, 0.0, 0.0, DECEMBER)
    one = budget_of(Limits(10.0, 100.0), Spent(10.0, 50.0), NOON)
    assert one is not None
    assert one.renews_at == MIDNIGHT


@given(USD, USD, st.floats(0.01, 1e6), st.floats(0, 4e9))
def test_what_is_left_is_never_negative_and_more_spending_never_leaves_more(
    spent: float, more: float, limit: float, now: float
) -> None:
    one = budget_of(Limits(limit, limit), Spent(spent, spent), now)
    other = budget_of(Limits(limit, limit), Spent(spent + more, spent + more), now)
    assert one is not None
    assert other is not None
    assert 0 <= other.remaining_usd <= one.remaining_usd
    assert 0 <= other.remaining_share <= one.remaining_share <= 1
    assert 0 <= other.pace <= one.pace
    assert one.renews_at > now


@given(st.floats(0, 4e9))
def test_a_moment_lies_in_its_day_and_month(now: float) -> None:
    day = day_of(now)
    begin, end = month_of(day)
    assert day * DAY_S <= now < (day + 1) * DAY_S
    assert begin <= now < end


GOOD = Candidate(Target("x", "good"), True, input_price=1e-5, output_price=5e-5, quality=0.95)
CHEAP = Candidate(Target("y", "cheap"), True, input_price=1e-7, output_price=5e-7, quality=0.5)
REQUEST = RouteRequest("auto", input_tokens=1000)
MEASURED = {each.target: Measured(100, 0.0, 800.0, 1500.0, 300.0) for each in (GOOD, CHEAP)}
WEIGHTS = {"quality": 0.8, "cost": 0.2}


def first(table: CompiledTable, budget: Budget | None) -> Target:
    view = FleetView(measured=MEASURED, budget=budget)
    found = make_plan(table, None, REQUEST, lambda name: (GOOD, CHEAP), view, 0.0, 0.5)
    assert isinstance(found, Plan)
    return found.steps[0].target


def table_of(strategy: str, **conditions: object) -> CompiledTable:
    rule = RuleSnapshot(rule_id=1, name="r", strategy=strategy, priority=1, conditions=conditions)
    return compile_table(RoutesSnapshot(workspace_id=1, version=1, rules=(rule,)))


def test_balanced_turns_to_what_is_cheap_as_the_money_runs_down_too_fast() -> None:
    table = table_of("balanced", weights=WEIGHTS)
    paced = [first(table, Budget(1.0, 0.5, pace)) for pace in (2.0, 1.0, 0.9, 0.3, 0.1)]
    assert paced == [GOOD.target, GOOD.target, GOOD.target, CHEAP.target, CHEAP.target]
    assert first(table, None) == GOOD.target
    assert first(table_of("quality"), Budget(1.0, 0.1, 0.1)) == GOOD.target


@given(st.floats(0, 2), st.floats(0, 2))
def test_a_slower_pace_never_makes_the_dear_one_win(pace: float, other: float) -> None:
    table = table_of("balanced", weights=WEIGHTS)
    slow, fast = (first(table, Budget(1.0, 0.5, each)) for each in sorted((pace, other)))
    assert (slow, fast) != (GOOD.target, CHEAP.target)


@pytest.mark.parametrize(
    "strategy", ["quality", "latency", "balanced", "weighted", "round_robin", "least_load"]
)
def test_with_a_spent_budget_the_cheapest_of_the_rule_is_taken(strategy: str) -> None:
    assert first(table_of(strategy), Budget(0.0, 0.0, 0.0)) == CHEAP.target
    only = table_of(strategy, providers=["x"])
    assert first(only, Budget(0.0, 0.0, 0.0)) == GOOD.target


def test_conditions_see_the_budget() -> None:
    table = table_of(
        "quality", when="budget.remaining_share < 0.2 || budget.remaining_usd < 1.0", providers=["y"]
    )
    assert first(table, Budget(50.0, 0.1, 1.0)) == CHEAP.target
    assert first(table, Budget(0.5, 0.9, 1.0)) == CHEAP.target
    assert first(table, Budget(50.0, 0.5, 1.0)) == GOOD.target
    assert first(table, None) == GOOD.target
