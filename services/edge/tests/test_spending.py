"""What an edge takes a workspace to have spent: each call once, whoever counts it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from fairlead_common.snapshots.spend import SpendSnapshot
from fairlead_edge.spending import Spending
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AT = NOW.timestamp()


def recorded(day_usd: float, month_usd: float, until: float = 0.0, day: date | None = None) -> SpendSnapshot:
    return SpendSnapshot(
        workspace_id=1,
        day=day or NOW.date(),
        day_usd=day_usd,
        month_usd=month_usd,
        counted={"edge-1": until, "edge-2": AT + 100},
    )


def settle(spending: Spending, call_id: str, usd: float | None, seconds: float = 0.0) -> float:
    """A whole call; the Unix time of its end."""
    ended_at = NOW + timedelta(seconds=seconds)
    spending.reserve(call_id, 1, 0.5)
    spending.settle(call_id, ended_at - timedelta(seconds=1), ended_at, usd)
    return ended_at.timestamp()


def test_a_call_counts_at_its_estimate_while_it_runs_and_at_its_cost_afterwards() -> None:
    spending = Spending("edge-1")
    spending.reserve("a", 1, 0.5)
    spending.reserve("a", 1, 0.5)
    assert spending.spent(1, AT) == (0.5, 0.5)
    for _ in range(2):
        spending.settle("a", NOW, NOW, 0.2)
        assert spending.spent(1, AT).today_usd == pytest.approx(0.2)
        assert spending.spent(1, AT).month_usd == pytest.approx(0.2)
    assert spending.spent(2, AT) == (0.0, 0.0)


def test_a_call_of_unknown_cost_or_that_was_not_reserved_counts_nothing() -> None:
    spending = Spending("edge-1")
    settle(spending, "a", None)
    spending.settle("b", NOW, NOW, 3.0)
    assert spending.spent(1, AT) == (0.0, 0.0)


def test_what_the_record_contains_is_not_counted_twice() -> None:
    spending = Spending("edge-1")
    first = settle(spending, "a", 1.0)
    settle(spending, "b", 2.0, 5)
    spending.record([recorded(10.0, 20.0)])
    assert spending.spent(1, AT) == (13.0, 23.0)
    spending.record([recorded(11.0, 21.0, first)])
    assert spending.spent(1, AT) == (13.0, 23.0)
    spending.record([recorded(13.0, 23.0, AT + 5)])
    assert spending.spent(1, AT) == (13.0, 23.0)


def test_a_new_day_and_a_new_month_begin_with_nothing() -> None:
    spending = Spending("edge-1")
    settle(spending, "a", 1.0)
    spending.record([recorded(10.0, 20.0)])
    tomorrow = (NOW + timedelta(days=1)).timestamp()
    assert spending.spent(1, tomorrow) == (0.0, 0.0)
    spending.record([recorded(10.0, 20.0, day=date(2026, 11, 29))])
    assert spending.spent(1, AT) == (1.0, 21.0)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 100)), max_size=30), st.integers(0, 30))
def test_record_and_own_calls_together_are_always_everything(
    calls: list[tuple[float, float]], counted: int
) -> None:
    spending = Spending("edge-1")
    ordered = sorted(calls, key=lambda each: each[1])
    ends = [settle(spending, str(i), usd, seconds) for i, (usd, seconds) in enumerate(ordered)]
    upto = ends[:counted][-1] if ends[:counted] else 0.0
    part = sum(usd for (usd, _), end in zip(ordered, ends, strict=True) if end <= upto)
    spending.record([recorded(part, part, upto)])
    total = sum(usd for usd, _ in ordered)
    assert total - 1e-6 <= spending.spent(1, AT).today_usd
    spending.record([recorded(total, total, AT + 200)])
    assert spending.spent(1, AT).today_usd == pytest.approx(total)
