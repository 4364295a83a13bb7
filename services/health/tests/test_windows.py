"""Windows: what is counted, once, whoever counts it, and what is told of it."""

import asyncio
from datetime import UTC, datetime, timedelta

from fairlead_common import sketch
from fairlead_common.db.database import Database
from fairlead_common.events.calls import Attempt, Call, CallsCompleted
from fairlead_common.ids import new_id
from fairlead_common.operations.health import Window
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_health.windows import WindowStore, by_hour, sums_of, windows_of
from sqlalchemy import text

NOW = datetime(2026, 11, 25, 12, 30, 20, tzinfo=UTC)


def frame(
    *outcomes: ErrorClass | float, at: datetime = NOW, model: str = "m", provider: str = "openai"
) -> CallsCompleted:
    """A call for each outcome: an error, or the latency in ms of a success (its first token came after a tenth)."""
    calls = []
    for outcome in outcomes:
        error = outcome if isinstance(outcome, ErrorClass) else None
        ms = 50.0 if isinstance(outcome, ErrorClass) else outcome
        attempt = Attempt(
            provider=provider,
            model=model,
            offset_ms=0,
            duration_ms=ms,
            ttft_ms=None if error else ms / 10,
            error_class=error,
        )
        calls.append(
            Call(
                call_id=new_id(),
                requested_model=model,
                started_at=at,
                state=CallState.FAILED if error else CallState.OK,
                status=200,
                duration_ms=ms,
                attempts=(attempt,),
            )
        )
    return CallsCompleted(event_id=new_id(), occurred_at=at, source="edge", calls=tuple(calls))


async def told(store: WindowStore, now: datetime = NOW) -> dict[tuple[str, str | None], Window]:
    long_ago = now - timedelta(days=40)
    rows = await store.minutes("openai", long_ago), await store.hours("openai", long_ago)
    return {(each.window, each.model): each for each in windows_of(*rows, [], now)}


def test_failures_limits_and_a_callers_own_mistakes_are_three_things() -> None:
    found = sums_of(
        [frame(100.0, ErrorClass.SERVER_ERROR, ErrorClass.RATE_LIMITED, ErrorClass.BAD_REQUEST, 300.0)]
    )
    (total,) = found.values()
    assert (total.calls, total.failures) == (4, 1)
    assert total.classes == {"server_error": 1, "rate_limited": 1}
    assert total.latency == sketch.sketch_of([100.0, 300.0])


def test_what_a_callers_deadline_cut_short_does_not_count() -> None:
    found = frame(ErrorClass.TIMEOUT_TOTAL)
    (call,) = found.calls
    excused = tuple(each.model_copy(update={"excused": True}) for each in call.attempts)
    cut = found.model_copy(update={"calls": (call.model_copy(update={"attempts": excused}),)})
    assert sums_of([found])
    assert not sums_of([cut])


def test_an_attempt_counts_in_the_minute_in_which_it_began() -> None:
    frames = [
        frame(1.0, at=NOW),
        frame(2.0, at=NOW + timedelta(seconds=39)),
        frame(3.0, at=NOW + timedelta(seconds=40)),
    ]
    sums = sums_of(frames)
    assert [(at.minute, each.calls) for (_, _, at), each in sorted(sums.items())] == [(30, 2), (31, 1)]
    (hour,) = by_hour(sums).items()
    assert (hour[0][2].minute, hour[1].calls) == (0, 3)


async def test_a_frame_that_comes_again_is_not_counted_again(database: Database) -> None:
    store, one, two = WindowStore(database), frame(100.0, 200.0), frame(ErrorClass.CONNECT)
    assert await store.add([one, two, one]) == 2
    assert await store.add([two, one]) == 0
    window = (await told(store))["5m", None]
    assert (window.calls, window.failures, window.error_rate) == (3, 1, 1 / 3)


async def test_replicas_that_count_at_once_count_all(database: Database) -> None:
    stores = [WindowStore(database) for _ in range(4)]
    frames = [frame(float(i + 1), model=f"m{i % 3}") for i in range(60)]
    await asyncio.gather(*(stores[i % 4].add(frames[i * 6 : i * 6 + 6]) for i in range(10)))
    windows = await told(stores[0])
    for name in ("1m", "1h", "24h", "30d"):
        assert windows[name, None].calls == 60
        assert [windows[name, f"m{i}"].calls for i in range(3)] == [20, 20, 20]
    median = windows["1h", None].latency_p50_ms
    assert median is not None
    assert abs(median - 30.5) < 1


async def test_each_window_has_its_own_calls(database: Database) -> None:
    store = WindowStore(database)
    ages = [timedelta(0), timedelta(minutes=4), timedelta(minutes=50), timedelta(hours=20), timedelta(days=6)]
    ages += [timedelta(days=29), timedelta(days=35)]
    await store.add([frame(100.0, ErrorClass.RATE_LIMITED, at=NOW - age) for age in ages])
    windows = await told(store)
    calls = {name: windows[name, None].calls for name in ("1m", "5m", "1h", "24h", "7d", "30d")}
    assert calls == {"1m": 2, "5m": 4, "1h": 6, "24h": 8, "7d": 10, "30d": 12}
    assert (windows["1h", "m"].limited, windows["1h", "m"].error_rate) == (3, 0.0)


async def test_a_window_without_calls_knows_nothing(database: Database) -> None:
    windows = await told(WindowStore(database))
    assert set(windows) == {(name, None) for name in ("1m", "5m", "1h", "24h", "7d", "30d")}
    assert windows["1m", None].error_rate is None
    assert windows["1m", None].latency_p50_ms is None


async def test_odd_names_and_figures_harm_nobody(database: Database) -> None:
    store = WindowStore(database)
    odd = frame(float("nan"), float("inf"), 100.0, model="m\x00x")
    assert await store.add([odd, frame(100.0)]) == 2
    windows = await told(store)
    assert windows["1m", "mx"].calls == 3
    assert windows["1m", None].latency_p99_ms is not None


async def test_what_no_window_needs_is_forgotten(database: Database) -> None:
    store, now = WindowStore(database), datetime.now(UTC)
    ages = [timedelta(0), timedelta(hours=5), timedelta(days=40)]
    await store.add([frame(1.0, at=now - age) for age in ages])
    async with database.transaction() as session:
        await (await session.connection()).execute(
            text("UPDATE health_frame SET seen_at = now() - interval '9 days'")
        )
    await store.prune()
    long_ago = now - timedelta(days=100)
    assert len(await store.minutes("openai", long_ago)) == 1
    assert len(await store.hours("openai", long_ago)) == 2
    assert await store.add([]) == 0
