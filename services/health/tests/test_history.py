"""The history of a provider in steps: worked out by hand, and the measurements of thefastest.ai replayed."""

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fairlead_common.db.database import Database
from fairlead_common.events.calls import Attempt, Call, CallsCompleted
from fairlead_common.ids import new_id
from fairlead_common.operations.health import HistoryQuery, Window
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_health.domain.score import Span
from fairlead_health.history import UnansweredQuestion, points_of, steps_of
from fairlead_health.windows import Sum, WindowStore, sums_of, window_of, windows_of

NOW = datetime(2026, 11, 25, 12, 30, 20, tzinfo=UTC)
MEASUREMENTS = Path(__file__).parents[3] / ".." / "shared" / "data" / "thefastest_ai" / "measurements.csv"


def frame(at: datetime, *outcomes: ErrorClass | float, model: str = "m") -> CallsCompleted:
    """A call for each outcome: an error, or the latency in ms of a success."""
    calls = []
    for outcome in outcomes:
        error = outcome if isinstance(outcome, ErrorClass) else None
        ms = 50.0 if isinstance(outcome, ErrorClass) else outcome
        attempt = Attempt(provider="openai", model=model, offset_ms=0, duration_ms=ms, error_class=error)
        calls.append(_call(at, attempt))
    return CallsCompleted(event_id=new_id(), occurred_at=at, source="edge", calls=tuple(calls))


def _call(at: datetime, attempt: Attempt) -> Call:
    return Call(
        call_id=new_id(),
        requested_model=attempt.model,
        started_at=at,
        state=CallState.OK if attempt.ok else CallState.FAILED,
        status=200,
        duration_ms=attempt.duration_ms,
        attempts=(attempt,),
    )


def span(status: str, begin_min: float, end_min: float) -> Span:
    """A state from so many to so many minutes before ``NOW``."""
    return Span(status, NOW.timestamp() - 60 * begin_min, NOW.timestamp() - 60 * end_min)


def query(since_min: float, resolution: str | None = "1m", **fields: object) -> HistoryQuery:
    given = {"provider": "openai", "since": NOW - timedelta(minutes=since_min), "resolution": resolution}
    return HistoryQuery.model_validate({**given, **fields})


@pytest.mark.parametrize(
    ("asked", "count", "first"),
    [
        (query(3), 4, "12:27"),
        (query(3, until=NOW - timedelta(seconds=25)), 3, "12:27"),  # 12:29:55 is the end
        (query(30, "5m"), 7, "12:00"),
        (query(90, "1h"), 2, "11:00"),
        (query(60 * 24, "1d"), 2, "00:00"),
        (query(3, None), 0, ""),
        (query(3, until=NOW + timedelta(days=9)), 4, "12:27"),
    ],
)
def test_steps_are_whole_and_end_with_the_question(asked: HistoryQuery, count: int, first: str) -> None:
    found = steps_of(asked, NOW)
    assert [f"{each:%H:%M}" for each in found[:1]] == ([first] if first else [])
    assert len(found) == count


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (query(-5), "since must be before until"),
        (query(5, until=NOW - timedelta(minutes=6)), "since must be before until"),
        (query(60 * 4), "steps of 1m are kept for 3 hours; ask for 1h or 1d"),
        (query(60 * 24 * 40, "1h"), "kept for 744 hours; ask for a later beginning"),
        (HistoryQuery(provider="openai", resolution="1h"), "give since"),
    ],
)
def test_what_cannot_be_answered_says_why(asked: HistoryQuery, reason: str) -> None:
    with pytest.raises(UnansweredQuestion, match=reason):
        steps_of(asked, NOW)


async def test_each_step_has_its_own_calls_and_states(database: Database) -> None:
    store = WindowStore(database)
    await store.add(
        [
            frame(NOW - timedelta(minutes=2), 100.0, 200.0, ErrorClass.SERVER_ERROR, ErrorClass.BAD_REQUEST),
            frame(NOW, 300.0, ErrorClass.RATE_LIMITED),
            frame(NOW, 900.0, model="other"),
        ]
    )
    spans = [span("healthy", 60, 2), span("down", 2, 1.5), span("maintenance", 1.5, 1), span("healthy", 1, 0)]
    asked = query(2)
    rows = await store.minutes("openai", NOW - timedelta(minutes=3))
    points = points_of(asked, steps_of(asked, NOW), rows, spans, NOW)
    assert [f"{each.started_at:%H:%M}" for each in points] == ["12:28", "12:29", "12:30"]
    assert [(each.calls, each.failures, each.limited) for each in points] == [(3, 1, 0), (0, 0, 0), (3, 0, 1)]
    assert [each.error_rate for each in points] == [1 / 3, None, 0.0]
    # 12:28: well for 20 s, down for 30 s, 10 s of maintenance; 12:29: 20 s of maintenance; 12:30: 20 s until now
    assert [each.availability_percentage for each in points] == [40.0, 100.0, 100.0]
    assert [each.coverage_percentage for each in points] == [83.3333, 66.6667, 100.0]
    assert points[2].latency_p99_ms is not None
    assert points[2].latency_p99_ms == pytest.approx(300.0, rel=0.01)
    of_other = asked.model_copy(update={"model": "other"})
    (last,) = points_of(of_other, steps_of(of_other, NOW)[-1:], rows, spans, NOW)
    assert (last.calls, last.model, last.availability_percentage) == (1, "other", None)


def test_windows_show_availability_by_time_and_what_of_it_is_known() -> None:
    spans = [span("healthy", 300, 50), span("down", 50, 44), span("unknown", 44, 38), span("healthy", 38, 0)]
    found = {each.window: each for each in windows_of([], [], spans, NOW)}
    assert found["1m"].availability_percentage == 100.0
    assert (found["1h"].availability_percentage, found["1h"].coverage_percentage) == (88.8889, 90.0)
    assert (found["24h"].availability_percentage, found["24h"].coverage_percentage) == (
        round(100 * 288 / 294, 4),
        round(100 * 294 / 1440, 4),
    )
    assert windows_of([], [], [], NOW)[0].availability_percentage is None


def test_measurements_of_thefastest_ai_have_the_percentiles_that_they_have() -> None:
    """Of every provider and model with enough of them, against the sorted values; the estimator takes the lower of two."""
    if not MEASUREMENTS.exists():
        print(f"{MEASUREMENTS} is absent: nothing was replayed")  # noqa: T201 - the test's only finding
        return
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    frames = []
    with MEASUREMENTS.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["error"] or not row["total_time_s"] or not row["ttft_s"]:
                continue
            total_ms, ttft_ms = float(row["total_time_s"]) * 1000, float(row["ttft_s"]) * 1000
            values.setdefault((row["provider"], row["model"]), []).append((total_ms, ttft_ms))
            at = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC)
            attempt = Attempt(
                provider=row["provider"],
                model=row["model"],
                offset_ms=0,
                duration_ms=total_ms,
                ttft_ms=ttft_ms,
            )
            calls = (_call(at, attempt),)
            frames.append(CallsCompleted(event_id=new_id(), occurred_at=at, source="replay", calls=calls))
    totals: dict[tuple[str, str], Sum] = {}
    for (provider, model, _), each in sums_of(frames).items():
        totals.setdefault((provider, model), Sum()).add(each)
    assert sum(each.calls for each in totals.values()) == len(frames) > 2500
    for key, found in totals.items():
        shown = window_of("30d", key[1], found)
        latencies, ttfts = (sorted(column) for column in zip(*values[key], strict=True))
        for q in (0.5, 0.9, 0.95, 0.99):
            assert percentile(shown, "latency", q) == pytest.approx(lower(latencies, q), rel=0.01)
            assert percentile(shown, "ttft", q) == pytest.approx(lower(ttfts, q), rel=0.01)


def percentile(window: Window, name: str, q: float) -> float:
    value: float = getattr(window, f"{name}_p{100 * q:.0f}_ms")
    return value


def lower(values: list[float], q: float) -> float:
    return values[math.floor(q * (len(values) - 1))]
