"""Writing calls on a real Postgres: each once, sums included, partitions where they are needed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from fairlead_common.db.database import Database
from fairlead_common.events.calls import Call
from fairlead_comparison.domain.observations import Observation, midnight, observe
from fairlead_comparison.store.observations import ObservationStore
from fairlead_comparison.store.sums import ALL_IN_ONE, SumStore, Window
from sqlalchemy import text

from services.comparison.tests.traffic import attempt, call, days_ago, failed, now


def observed(calls: Sequence[Call]) -> list[Observation]:
    found = [observe(each, "edge-1", midnight(days_ago(30)), datetime.now(UTC)) for each in calls]
    assert all(isinstance(each, Observation) for each in found)
    return [each for each in found if isinstance(each, Observation)]


async def count(database: Database, table: str) -> int:
    async with database.transaction() as session:
        return int(
            (await (await session.connection()).execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
        )


@pytest.fixture
def store(database: Database) -> ObservationStore:
    return ObservationStore(database)


async def test_calls_attempts_and_sums_are_written_once(store: ObservationStore, database: Database) -> None:
    calls = [
        call(failed(), attempt("anthropic", "claude-haiku-4-5", offset_ms=25.0, cost_usd=0.25))
        for _ in range(3)
    ]
    assert await store.write(observed(calls)) == (3, 6)
    assert await store.write(observed(calls)) == (0, 0)
    assert await store.write(observed([*calls, call()])) == (1, 1)
    assert (await count(database, "call_observation"), await count(database, "attempt_observation")) == (4, 7)
    parts = await SumStore(database).parts(Window(days_ago(1), now() + timedelta(days=1)), ALL_IN_ONE)
    assert {(part.provider, part.sums.attempts, part.sums.failures) for part in parts} == {
        ("openai", 4, 3),
        ("anthropic", 3, 0),
    }
