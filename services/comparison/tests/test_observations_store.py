"""Writing calls on a real Postgres: each once, sums included, partitions where they are needed."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fairlead_common.db.database import Database
from fairlead_common.events.calls import Call, CallKind, Decision
from fairlead_common.ids import utc_now
from fairlead_common.operations import calls as call_ops
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_comparison.api import CallsApi
from fairlead_comparison.domain.observations import Observation, midnight, observe, sums_of
from fairlead_comparison.domain.sums import Sums, total
from fairlead_comparison.housekeeping import Housekeeping
from fairlead_comparison.settings import ComparisonSettings
from fairlead_comparison.store.observations import DAY, ObservationStore
from fairlead_comparison.store.rescues import RescueStore
from fairlead_comparison.store.results import ResultStore
from fairlead_comparison.store.spend import SpendStore
from fairlead_comparison.store.sums import ALL_IN_ONE, SumStore, Window
from sqlalchemy import text

from services.comparison.tests.traffic import attempt, call, days_ago, failed, now

EVER = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def observed(calls: Sequence[Call]) -> list[Observation]:
    found = [observe(each, "edge-1", midnight(days_ago(400)), datetime.now(UTC)) for each in calls]
    assert all(isinstance(each, Observation) for each in found)
    return [each for each in found if isinstance(each, Observation)]


async def scalar(database: Database, query: str) -> Any:
    async with database.transaction() as session:
        return (await (await session.connection()).execute(text(query))).scalar_one()


async def partitions(database: Database) -> set[str]:
    found = await scalar(
        database,
        "SELECT string_agg(c.relname, ' ') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = 'call_observation'",
    )
    return set((found or "").split())


async def whole(database: Database, *, hourly: bool) -> dict[tuple[str, str], Sums]:
    parts = await SumStore(database).parts(EVER._replace(hourly=hourly), ALL_IN_ONE)
    return {(part.provider, part.model): part.sums for part in parts}


@pytest.fixture
def store(database: Database) -> ObservationStore:
    return ObservationStore(database)


async def test_a_decision_is_kept_unless_no_edge_can_have_made_it(store: ObservationStore) -> None:
    odd = Decision(strategy="a\0b", metadata={"k": "\\u0000"})
    huge = Decision(metadata={"k": "x" * 50_000})
    calls = [call(decision=odd), call(decision=huge), call()]
    assert await store.write(observed(calls)) == (3, 3)
    rows = [await store.call(1, UUID(each.call_id)) for each in calls]
    kept = [row and row["decision"] for row in rows]
    assert kept == [{"strategy": "a\ufffdb", "metadata": {"k": "\\ufffd"}}, None, None]
    assert await store.call(2, UUID(calls[0].call_id)) is None


async def test_routed_calls_are_read_page_by_page_and_one_in_so_many(
    store: ObservationStore, database: Database
) -> None:
    decision = Decision(strategy="cost")
    start = now()
    calls = [call(decision=decision, at=start + timedelta(seconds=i // 2)) for i in range(40)]
    others = [call(), call(decision=decision, workspace_id=2), call(decision=decision, kind=CallKind.PROBE)]
    await store.write(observed([*calls, *others]))
    api = CallsApi(store, ResultStore(database), RescueStore(database), SpendStore(database))
    query = call_ops.DecisionsQuery(workspace_id=1, since=start, until=start + timedelta(seconds=15), limit=7)
    seen: list[str] = []
    while True:
        page = await api.decisions(query)
        assert page.total == (30 if query.after is None else None)
        seen += [each.call_id for each in page.calls]
        if page.next is None:
            break
        query = query.model_copy(update={"after": page.next, "since": page.calls[-1].started_at})
    assert sorted(seen) == sorted(each.call_id for each in calls[:30])
    assert len(seen) == 30
    third = call_ops.DecisionsQuery(workspace_id=1, since=start, until=start + timedelta(days=1), one_in=3)
    some = [each.call_id for each in (await api.decisions(third)).calls]
    assert 0 < len(some) < 40
    assert some == [each.call_id for each in (await api.decisions(third)).calls]


async def test_calls_attempts_and_sums_are_written_once(store: ObservationStore, database: Database) -> None:
    calls = [
        call(failed(), attempt("anthropic", "claude-haiku-4-5", offset_ms=25.0, cost_usd=0.25))
        for _ in range(3)
    ]
    assert await store.write(observed(calls)) == (3, 6)
    assert await store.write(observed(calls)) == (0, 0)
    assert await store.write(observed([*calls, call(), *calls])) == (1, 1)
    assert await scalar(database, "SELECT count(*) FROM call_observation") == 4
    assert await scalar(database, "SELECT count(*) FROM attempt_observation") == 7
    for hourly in (False, True):
        found = await whole(database, hourly=hourly)
        assert {target: (sums.attempts, sums.failures) for target, sums in found.items()} == {
            ("openai", "gpt-5.4-mini"): (4, 3),
            ("anthropic", "claude-haiku-4-5"): (3, 0),
        }


async def test_sums_in_the_database_are_those_of_all_calls(
    store: ObservationStore, database: Database
) -> None:
    calls = observed(
        [
            call(
                attempt(duration_ms=50.0 * i + 1, ttft_ms=10.0 * i + 1, output_tokens=7 * i, cost_usd=i / 64),
                at=now() - timedelta(minutes=i),
            )
            for i in range(40)
        ]
    )
    for start in range(0, 40, 3):
        await store.write(calls[start : start + 3])
    expected = total(sums_of(calls).values())
    for hourly in (False, True):
        assert (await whole(database, hourly=hourly))["openai", "gpt-5.4-mini"] == expected


async def test_the_same_calls_from_many_replicas_at_once_count_once(database: Database) -> None:
    calls = observed([call(failed(), attempt("anthropic", "claude-haiku-4-5")) for _ in range(200)])
    orders = [calls, calls[::-1], calls[100:] + calls[:100], calls[::2] + calls[1::2]]
    written = await asyncio.gather(*(ObservationStore(database).write(order) for order in orders))
    assert sum(each.calls for each in written) == 200
    assert await scalar(database, "SELECT count(*) FROM attempt_observation") == 400
    assert (await whole(database, hourly=False))["openai", "gpt-5.4-mini"].attempts == 200


async def test_a_write_that_fails_leaves_nothing_behind(store: ObservationStore, database: Database) -> None:
    await store.write(observed([call()]))
    async with database.copying() as connection:
        await connection.execute("ALTER TABLE performance_hour ADD CONSTRAINT broken CHECK (attempts < 2)")
    again = observed([call()])
    with pytest.raises(asyncpg.CheckViolationError):
        await store.write(again)
    assert await scalar(database, "SELECT count(*) FROM call_observation") == 1
    async with database.copying() as connection:
        await connection.execute("ALTER TABLE performance_hour DROP CONSTRAINT broken")
    assert await store.write(again) == (1, 1)


async def test_late_and_early_calls_get_their_partitions(store: ObservationStore, database: Database) -> None:
    early = utc_now() + timedelta(hours=20)
    await store.write(observed([call(at=days_ago(20)), call(at=early), call()]))
    expected = {f"call_observation_{at:%Y%m%d}" for at in (days_ago(20), early, now())}
    assert await partitions(database) == expected
    await ObservationStore(database).write(observed([call(at=days_ago(20))]))
    assert await partitions(database) == expected


async def test_a_partition_that_vanished_is_made_again(store: ObservationStore, database: Database) -> None:
    await store.write(observed([call()]))
    async with database.copying() as connection:
        for table in ("call_observation", "attempt_observation"):
            await connection.execute(f"DROP TABLE {table}_{now():%Y%m%d}")
    again = observed([call()])
    with pytest.raises(asyncpg.PostgresError):
        await store.write(again)
    assert await store.write(again) == (1, 1)


async def test_housekeeping_makes_days_ahead_and_drops_old_ones(
    store: ObservationStore, database: Database
) -> None:
    settings = ComparisonSettings(retention_days=10)
    house = Housekeeping(store, settings, utc_now)
    await store.write(observed([call(at=days_ago(each)) for each in (12, 11, 10, 9)]))
    await house.keep()
    today = midnight(utc_now())
    kept = {today - 10 * DAY, today - 9 * DAY, *(today + i * DAY for i in range(-1, 4))}
    assert await partitions(database) == {f"call_observation_{day:%Y%m%d}" for day in kept}
    assert await scalar(database, "SELECT count(*) FROM call_observation") == 2
    await house.keep()
    assert len(await partitions(database)) == len(kept)


async def test_housekeeping_waits_for_readers_of_an_old_day(
    store: ObservationStore, database: Database
) -> None:
    await store.write(observed([call(at=days_ago(40))]))
    house = Housekeeping(store, ComparisonSettings(), utc_now)
    async with database.copying() as reader:
        await reader.fetch(f"SELECT * FROM call_observation_{days_ago(40):%Y%m%d}")
        await house.keep()
        assert f"call_observation_{days_ago(40):%Y%m%d}" in await partitions(database)
    await house.keep()
    assert f"call_observation_{days_ago(40):%Y%m%d}" not in await partitions(database)


async def test_old_minutes_go_and_hours_stay(store: ObservationStore, database: Database) -> None:
    await store.write(observed([call(at=days_ago(40)), call()]))
    await Housekeeping(store, ComparisonSettings(), utc_now).keep()
    assert (await whole(database, hourly=False))["openai", "gpt-5.4-mini"].attempts == 1
    assert (await whole(database, hourly=True))["openai", "gpt-5.4-mini"].attempts == 2


async def test_windows_take_what_is_inside_of_the_kinds_asked_for(
    store: ObservationStore, database: Database
) -> None:
    base = midnight(days_ago(2)) + timedelta(hours=12)
    minutes = [base - timedelta(minutes=1), base, base + timedelta(minutes=9), base + timedelta(minutes=10)]
    await store.write(observed([call(at=at) for at in minutes]))
    await store.write(observed([call(at=base, kind=CallKind.PROBE), call(at=base, kind=CallKind.ABTEST)]))
    sums = SumStore(database)
    window = Window(base, base + timedelta(minutes=10))
    parts = await sums.parts(window, 300)
    assert [(part.at, part.sums.attempts) for part in parts] == [(base, 1), (base + timedelta(minutes=5), 1)]
    mixed = await sums.parts(window._replace(kinds=("live", "probe")), ALL_IN_ONE)
    assert total(part.sums for part in mixed).attempts == 3
    assert await sums.extent(window) == (base, base + timedelta(minutes=9))
    assert await sums.extent(window._replace(kinds=("drill",))) is None
    assert parts[0].sums.latency.total() == 1
    assert not (await sums.parts(window, 300, sketches=()))[0].sums.latency


async def test_what_failover_did_is_told_by_who_was_meant_first(
    store: ObservationStore, database: Database
) -> None:
    """Ten calls begin at openai: seven served at once, two rescued after 20 ms, one failed everywhere; one caller left.

    Two more were for openai and went elsewhere from the start; one of them was served only by the second there.
    """
    elsewhere = Decision(strategy="balanced", instead_of="openai/gpt-5.4-mini")
    saved = attempt("anthropic", "claude-haiku-4-5", offset_ms=21.0, cost_usd=0.5)
    calls = [
        *(call() for _ in range(7)),
        call(failed(cost_usd=0.25), saved),
        call(failed(), saved),
        call(failed(), failed("anthropic")),
        call(failed(error=ErrorClass.CALLER_GONE), state=CallState.ABORTED),
        call(attempt("google")),
        call(attempt("google"), decision=elsewhere),
        call(failed("google"), saved, decision=elsewhere),
        call(kind=CallKind.PROBE),
        call(workspace_id=2),
        call(at=days_ago(2)),
    ]
    await store.write(observed(calls))
    found = await RescueStore(database).rescues(1, now() - timedelta(hours=1), now() + timedelta(hours=1))
    google, openai = (call_ops.Rescue.model_validate(dict(row)) for row in found)
    assert (openai.provider, openai.calls, openai.served) == ("openai", 12, 11)
    assert (openai.served_first, openai.led_elsewhere) == (7, 2)
    assert (openai.failed_first, openai.rescued) == (3, 2)
    assert (openai.added_p50_ms, openai.added_p99_ms) == (21.0, 21.0)
    assert (openai.extra_cost_usd, openai.unpriced_attempts) == (0.25, 2)
    assert (google.calls, google.rescued, google.added_p50_ms, google.extra_cost_usd) == (1, 0, None, None)
    assert (google.served_first, google.led_elsewhere, google.failed_first) == (1, 0, 0)
