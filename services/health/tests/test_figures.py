"""The figures that rules ask for, read from windows that real frames were counted into."""

from datetime import UTC, datetime, timedelta

import pytest
from fairlead_common.db.database import Database
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.ids import stamp
from fairlead_common.outcomes import ErrorClass
from fairlead_health.domain.figures import Count, Wanted
from fairlead_health.figures import FigureStore, Measurements
from fairlead_health.rules import built_in
from fairlead_health.windows import WindowStore

from services.health.tests.running import attempt, call

MINUTE = 60.0
WANTED = Wanted(frozenset(("5m", "1h", "6h")), frozenset((("5m", 0.5), ("7d", 0.95))))


async def count(database: Database) -> None:
    """Ten calls of 100 ms two minutes ago, two failures and a limit; twenty of 400 ms half an hour ago; one of another."""
    calls = [call(attempt("openai"), age_s=2 * MINUTE) for _ in range(10)]
    calls += [call(attempt("openai", ErrorClass.SERVER_ERROR), age_s=2 * MINUTE) for _ in range(2)]
    calls += [call(attempt("openai", ErrorClass.RATE_LIMITED), age_s=2 * MINUTE)]
    calls += [call(attempt("openai", duration_ms=400.0), age_s=30 * MINUTE) for _ in range(20)]
    calls += [call(attempt("gone"), age_s=2 * MINUTE)]
    await WindowStore(database).add([CallsCompleted(**stamp(), source="edge-1", calls=tuple(calls))])


async def test_counts_leave_limits_out_and_quantiles_are_within_one_per_cent(database: Database) -> None:
    await count(database)
    found = await FigureStore(database).figures(WANTED, ("openai", "idle"), datetime.now(UTC))
    openai = found["openai"]
    assert openai.counts == {"5m": Count(12, 2), "1h": Count(32, 2), "6h": Count(32, 2)}
    median, usual = openai.timings["5m", 0.5], openai.timings["7d", 0.95]
    assert (median.samples, usual.samples) == (10, 30)
    assert median.value_ms == pytest.approx(100, rel=0.01)
    assert usual.value_ms == pytest.approx(400, rel=0.01)
    assert found["idle"].counts["5m"] == Count(0, 0)
    assert found["idle"].timings["5m", 0.5].samples == 0
    assert found.keys() == {"openai", "idle"}


async def test_the_baseline_is_read_seldom(database: Database) -> None:
    measurements, now = Measurements(FigureStore(database), ("openai",)), datetime.now(UTC)
    first = await measurements.read(built_in(), now)
    await count(database)
    second = await measurements.read(built_in(), now)
    later = await measurements.read(built_in(), now + timedelta(minutes=11))
    samples = [found["openai"].timings["7d", 0.95].samples for found in (first, second, later)]
    assert samples == [0, 0, 30]
    assert second["openai"].counts["1h"] == Count(32, 2)
    assert (first["openai"].errors, second["openai"].errors) == ({}, {"rate_limited": 1, "server_error": 2})
