"""The daily table on a real Postgres: replaced as a whole, the same however often and by however many it is computed."""

import asyncio
from datetime import UTC, datetime, time, timedelta

import pytest
from fairlead_common.db.database import Database
from fairlead_common.events.calls import Call
from fairlead_common.ids import utc_now
from fairlead_common.operations.comparison import HistoryQuery, Metric
from fairlead_comparison.comparer import Comparer
from fairlead_comparison.domain.observations import Observation, midnight, observe
from fairlead_comparison.domain.targets import Selection
from fairlead_comparison.store.comparisons import ComparisonStore
from fairlead_comparison.store.observations import ObservationStore
from fairlead_comparison.store.sums import SumStore

from services.comparison.tests.traffic import attempt, call, days_ago, failed

DAY = days_ago(3).date()
NOON = datetime.combine(DAY, time(12), UTC)


def of_three(at: datetime = NOON) -> list[Call]:
    calls = []
    for i in range(120):
        moment = at + timedelta(minutes=i % 30)
        calls += [
            call(attempt("openai", "gpt-5.4-mini", duration_ms=300.0 + i), at=moment),
            call(attempt("mistral", "mistral-small", duration_ms=900.0 + i), at=moment),
        ]
    return [*calls, call(failed("cohere", model="command-a"), at=at)]


async def write(database: Database, calls: list[Call]) -> None:
    found = [observe(each, "edge-1", midnight(days_ago(400)), utc_now()) for each in calls]
    await ObservationStore(database).write([each for each in found if isinstance(each, Observation)])


@pytest.fixture
def comparer(database: Database) -> Comparer:
    return Comparer(SumStore(database), ComparisonStore(database), timedelta(days=30), utc_now)


async def test_a_day_is_compared_pair_by_pair_and_metric_by_metric(
    comparer: Comparer, database: Database
) -> None:
    await write(database, of_three())
    await comparer.compute_day(DAY)
    rows = await ComparisonStore(database).history(HistoryQuery(since=DAY, until=DAY))
    assert len(rows) == 3 * len(Metric)
    found = {(row["provider1"], row["provider2"], row["metric"]): row for row in rows}
    row = found["mistral", "openai", "latency_p95"]
    assert (row["winner"], row["n1"], row["n2"], row["reason"]) == ("openai", 120, 120, None)
    assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["p_value"] <= row["adjusted_p_value"] < 0.05
    row = found["cohere", "openai", "error_rate"]
    assert (row["provider1_value"], row["provider2_value"], row["winner"]) == (1.0, 0.0, None)
    assert row["reason"] == "not enough data: cohere has 1 of at least 20 attempts"


async def test_computing_again_replaces_the_day(comparer: Comparer, database: Database) -> None:
    await write(database, of_three())
    await asyncio.gather(*(comparer.compute_day(DAY) for _ in range(4)))
    daily = ComparisonStore(database)
    first = await daily.history(HistoryQuery(metric=Metric.ERROR_RATE, provider="openai"))
    assert [row["n2"] for row in first] == [120, 120]
    await write(database, [call(failed("openai"), at=NOON) for _ in range(60)])
    await comparer.compute_day(DAY)
    again = await daily.history(HistoryQuery(metric=Metric.ERROR_RATE, provider="openai"))
    assert [row["n2"] for row in again] == [180, 180]
    await comparer.compute_day(DAY - timedelta(days=1))
    assert await daily.history(HistoryQuery(until=DAY - timedelta(days=1))) == []


async def test_today_and_yesterday_are_kept_up(comparer: Comparer, database: Database) -> None:
    await write(
        database, [*of_three(midnight(utc_now())), *of_three(midnight(utc_now() - timedelta(days=1)))]
    )
    await comparer.keep_daily()
    rows = await ComparisonStore(database).history(HistoryQuery(metric=Metric.LATENCY_P50))
    assert [(row["comparison_date"], row["provider1"]) for row in rows[::3]] == [
        (utc_now().date(), "cohere"),
        (utc_now().date() - timedelta(days=1), "cohere"),
    ]


async def test_days_of_which_minutes_are_gone_are_put_together_from_hours(
    comparer: Comparer, database: Database
) -> None:
    long_ago = days_ago(100)
    await write(database, of_three(datetime.combine(long_ago.date(), time(12), UTC)))
    async with database.copying() as connection:
        await connection.execute("DELETE FROM performance_minute")
    await comparer.compute_day(long_ago.date())
    assert len(await ComparisonStore(database).history(HistoryQuery())) == 3 * len(Metric)


async def test_a_window_before_any_traffic_is_empty_and_total(comparer: Comparer) -> None:
    window = comparer.window(NOON, 3600, ["live"])
    measured = await comparer.measure(window, list(Metric), Selection())
    assert all(not arms for arms in measured.arms.values())
    named = await comparer.measure(window, list(Metric), Selection(["openai", "mistral"]))
    assert all(arms == {"openai": None, "mistral": None} for arms in named.arms.values())


@pytest.mark.parametrize(
    ("until", "window_s", "hourly"),
    [(None, 60, False), (None, 48 * 3600, False), (None, 49 * 3600, True), (days_ago(200), 3600, True)],
)
def test_long_and_old_windows_use_hours(
    comparer: Comparer, until: datetime | None, window_s: int, hourly: bool
) -> None:
    window = comparer.window(until, window_s, ["live"])
    assert window.hourly == hourly
    assert window.since.second == 0
    assert window.since <= window.until - timedelta(seconds=window_s)
