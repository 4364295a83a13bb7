"""From a call to its rows: nothing that a caller or a provider writes can stop the rows of others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead_common import sketch
from fairlead_common.events.calls import CallKind
from fairlead_common.outcomes import ErrorClass
from fairlead_comparison.domain.observations import (
    ATTEMPT_COLUMNS,
    CALL_COLUMNS,
    Observation,
    Unkeepable,
    by_hour,
    midnight,
    observe,
    sums_of,
)
from fairlead_comparison.domain.sums import PLAIN, SumKey, Sums, total
from hypothesis import given, settings
from hypothesis import strategies as st

from services.comparison.tests.traffic import attempt, call, failed

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
OLDEST = midnight(NOW - timedelta(days=30))


def kept(*attempts: Any, **values: Any) -> Observation:
    found = observe(call(*attempts, at=values.pop("at", NOW), **values), "edge-1", OLDEST, NOW)
    assert isinstance(found, Observation)
    return found


def columns(observation: Observation) -> dict[str, Any]:
    return dict(zip(CALL_COLUMNS, observation.call, strict=True))


def test_a_call_and_its_attempts_become_rows() -> None:
    found = kept(failed("openai", status=503), attempt("anthropic", "claude-haiku-4-5", offset_ms=1500.0))
    row = columns(found)
    assert (row["provider"], row["failover"], row["attempts"], row["source"]) == (
        "anthropic",
        True,
        2,
        "edge-1",
    )
    first, second = (dict(zip(ATTEMPT_COLUMNS, each, strict=True)) for each in found.attempts)
    assert (first["attempt"], first["error_class"], first["status"]) == (0, "server_error", 503)
    assert (second["attempt"], second["error_class"]) == (1, None)
    assert second["started_at"] == NOW + timedelta(seconds=1.5)


def test_an_attempt_past_midnight_belongs_to_the_next_day() -> None:
    late = datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)
    found = kept(failed(), attempt(offset_ms=2000.0), at=late)
    assert found.days == {midnight(late), midnight(NOW)}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"call_id": "42"}, "not a UUID"),
        ({"at": NOW - timedelta(days=31)}, "older than what is kept"),
        ({"at": NOW + timedelta(days=2)}, "in the future"),
        ({"at": datetime(1, 1, 1, tzinfo=UTC)}, "older than what is kept"),
        ({"duration_ms": float("nan")}, "no duration"),
        ({"duration_ms": -1.0}, "no duration"),
        ({"workspace_id": 2**31}, "workspace_id"),
        ({"status": -1}, "status"),
        ({"attempts": (attempt(offset_ms=1e12),)}, "offset_ms"),
        ({"attempts": (attempt(duration_ms=float("inf")),)}, "duration_ms"),
        ({"attempts": (attempt("not a provider"),)}, "cannot be a provider"),
    ],
)
def test_a_call_that_cannot_be_kept_is_named(values: dict[str, Any], says: str) -> None:
    found = observe(call(at=values.pop("at", NOW), **values), "edge-1", OLDEST, NOW)
    assert isinstance(found, Unkeepable)
    assert says in found.reason


def test_texts_and_numbers_of_others_are_made_to_fit() -> None:
    found = kept(
        attempt(
            model="m" * 5000,
            input_tokens=10**30,
            cost_usd=float("inf"),
            provider_request_id="a\0b",
            status=-7,
        ),
        requested_model="x\0" * 300,
        cost_usd=float("nan"),
        output_tokens=-1,
    )
    row = columns(found)
    assert "\0" not in row["requested_model"]
    assert len(row["requested_model"]) == 200
    assert (row["cost_usd"], row["output_tokens"]) == (None, None)
    tried = dict(zip(ATTEMPT_COLUMNS, found.attempts[0], strict=True))
    assert tried["model"] == "m" * 200
    assert (tried["input_tokens"], tried["cost_usd"], tried["status"]) == (None, None, None)
    assert tried["provider_request_id"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("error", "attempts", "failures"),
    [
        (None, 1, 0),
        (ErrorClass.SERVER_ERROR, 1, 1),
        (ErrorClass.CONNECT, 1, 1),
        (ErrorClass.TRUNCATED, 1, 1),
        (ErrorClass.RATE_LIMITED, 1, 1),
        (ErrorClass.QUOTA_EXHAUSTED, 1, 1),
        (ErrorClass.BAD_REQUEST, 0, 0),
        (ErrorClass.CALLER_GONE, 0, 0),
        (ErrorClass.UNSUPPORTED, 0, 0),
    ],
)
def test_what_counts_against_a_provider(error: ErrorClass | None, attempts: int, failures: int) -> None:
    sums = total(sums_of([kept(attempt(error_class=error))]).values())
    assert (sums.attempts, sums.failures, sums.latency.total()) == (attempts, failures, attempts - failures)


def test_what_a_callers_deadline_cut_short_does_not_count() -> None:
    excused = attempt(error_class=ErrorClass.TIMEOUT_TOTAL, excused=True)
    assert not sums_of([kept(excused)])


def test_sums_are_kept_by_provider_model_kind_and_minute_of_the_attempt() -> None:
    at = datetime(2026, 11, 25, 11, 59, 59, tzinfo=UTC)
    calls = [
        kept(failed(), attempt("anthropic", "claude-haiku-4-5", offset_ms=1500.0), at=at),
        kept(attempt(), at=at, kind=CallKind.PROBE),
    ]
    minutes = sums_of(calls)
    assert set(minutes) == {
        SumKey("openai", "gpt-5.4-mini", "live", at.replace(second=0)),
        SumKey("openai", "gpt-5.4-mini", "probe", at.replace(second=0)),
        SumKey("anthropic", "claude-haiku-4-5", "live", NOW.replace(minute=0)),
    }
    assert {key.minute for key in by_hour(minutes)} == {at.replace(minute=0, second=0), NOW.replace(minute=0)}


def test_generation_and_cost_count_where_they_are_known() -> None:
    sums = total(
        sums_of(
            [
                kept(attempt(duration_ms=600.0, ttft_ms=100.0, output_tokens=50, cost_usd=0.5)),
                kept(attempt(duration_ms=600.0, output_tokens=50)),
                kept(attempt(duration_ms=600.0, ttft_ms=600.0, output_tokens=50, cost_usd=0.25)),
                kept(failed(ttft_ms=5.0, cost_usd=9.0)),
            ]
        ).values()
    )
    assert (sums.generations, sums.output_tokens, sums.generation_ms, sums.tokens_times_ms) == (
        1,
        50,
        500.0,
        25_000.0,
    )
    assert (sums.priced, sums.cost_usd, sums.cost_usd_sq) == (2, 0.75, 0.3125)
    assert sums.ttft == sketch.sketch_of([100.0, 600.0])


OUTCOMES = st.tuples(
    st.sampled_from([None, None, ErrorClass.TIMEOUT_TOTAL, ErrorClass.RATE_LIMITED, ErrorClass.BAD_REQUEST]),
    st.integers(0, 60_000).map(float),
    st.none() | st.integers(0, 5_000).map(float),
    st.none() | st.integers(0, 4_000),
    st.none() | st.integers(0, 64).map(lambda cents: cents / 64),
)


@settings(deadline=None)
@given(st.lists(OUTCOMES), st.randoms())
def test_sums_add_up_however_they_are_split(outcomes: list[Any], random: Any) -> None:
    whole = Sums()
    for each in outcomes:
        whole.observe(*each)
    parts = [Sums() for _ in range(4)]
    for each in outcomes:
        random.choice(parts).observe(*each)
    merged = total(parts)
    assert {name: getattr(merged, name) for name in PLAIN} == {name: getattr(whole, name) for name in PLAIN}
    assert (merged.latency, merged.ttft) == (whole.latency, whole.ttft)
    assert whole.successes == whole.latency.total() >= whole.priced
