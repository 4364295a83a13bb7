"""Availability and score against figures worked out by hand."""

from pathlib import Path

import pytest
from fairlead_common.settings import SettingsError
from fairlead_health.domain.score import Scaling, Span, availability, score
from fairlead_health.settings import HealthSettings
from hypothesis import given
from hypothesis import strategies as st

HOUR = 3600.0
NOW = 100 * HOUR


@pytest.mark.parametrize(
    ("spans", "uptime", "coverage"),
    [
        ([], None, 0.0),
        ([Span("healthy", NOW - 24 * HOUR, NOW)], 1.0, 1.0),
        ([Span("healthy", NOW - 48 * HOUR, NOW)], 1.0, 1.0),
        ([Span("healthy", NOW - 24 * HOUR, NOW - 6 * HOUR), Span("down", NOW - 6 * HOUR, NOW)], 0.75, 1.0),
        ([Span("degraded", NOW - 12 * HOUR, NOW)], 1.0, 0.5),
        (
            [
                Span("healthy", NOW - 24 * HOUR, NOW - 20 * HOUR),
                Span("maintenance", NOW - 20 * HOUR, NOW - 14 * HOUR),
                Span("unknown", NOW - 14 * HOUR, NOW - 8 * HOUR),
                Span("down", NOW - 8 * HOUR, NOW - 4 * HOUR),
                Span("healthy", NOW - 4 * HOUR, NOW),
            ],
            8 / 12,
            0.5,
        ),
        ([Span("down", NOW - 30 * HOUR, NOW - 23 * HOUR)], 0.0, 1 / 24),
        ([Span("down", NOW - 30 * HOUR, NOW - 25 * HOUR)], None, 0.0),
    ],
)
def test_availability(spans: list[Span], uptime: float | None, coverage: float) -> None:
    found = availability(spans, NOW, 24 * HOUR)
    assert found.uptime == (None if uptime is None else pytest.approx(uptime))
    assert found.coverage == pytest.approx(coverage)


@pytest.mark.parametrize(
    ("uptime", "latency_ms", "error_rate", "expected"),
    [
        (1.0, 500.0, 0.0, 100.0),
        (0.99, 1900.0, 0.02, 96.0),
        (1.0, 10_000.0, 0.5, 55.0),
        (0.0, 20_000.0, 1.0, 0.0),
        (None, 500.0, 0.0, None),
        (1.0, None, 0.0, None),
        (1.0, 500.0, None, None),
    ],
)
def test_score(
    uptime: float | None, latency_ms: float | None, error_rate: float | None, expected: float | None
) -> None:
    assert score(uptime, latency_ms, error_rate) == expected


def number(cell: str) -> float | None:
    return None if cell == "unknown" else float(cell)


def test_the_worked_examples_of_the_documentation_are_right() -> None:
    page = (Path(__file__).parents[3] / "docs" / "health.md").read_text()
    rows = [
        line.strip("|").split("|")
        for line in page.split("### Worked examples")[1].split("\n#")[0].splitlines()
        if "|" in line
    ]
    examples = [[number(cell.strip()) for cell in row[:6]] for row in rows[2:]]
    assert len(examples) >= 6
    for uptime, latency_ms, error_rate, good_ms, bad_ms, expected in examples:
        assert good_ms is not None
        assert bad_ms is not None
        assert score(uptime, latency_ms, error_rate, Scaling(good_ms, bad_ms)) == expected


def test_the_formula_says_the_scaling_and_one_that_turns_round_is_refused() -> None:
    settings = HealthSettings(score_good_ms=200, score_bad_ms=2000)
    assert "1 up to 200 ms, 0 from 2000 ms on" in settings.scaling.formula
    assert score(1.0, 1100.0, 0.0, settings.scaling) == 85.0
    with pytest.raises(SettingsError, match=r"FAIRLEAD_SCORE_BAD_MS: .*must be above FAIRLEAD_SCORE_GOOD_MS"):
        HealthSettings.from_env({"FAIRLEAD_SCORE_GOOD_MS": "20000"})


@given(st.floats(0, 1), st.floats(0, 1e6), st.floats(0, 1))
def test_a_score_lies_between_0_and_100(uptime: float, latency_ms: float, error_rate: float) -> None:
    found = score(uptime, latency_ms, error_rate)
    assert found is not None
    assert 0 <= found <= 100


@given(st.lists(st.tuples(st.sampled_from(["healthy", "down", "unknown"]), st.floats(1, 1e5)), max_size=20))
def test_availability_is_a_share_of_what_is_known(lengths: list[tuple[str, float]]) -> None:
    spans, start = [], NOW - sum(length for _, length in lengths)
    for status, length in lengths:
        spans.append(Span(status, start, start + length))
        start += length
    found = availability(spans, NOW, 24 * HOUR)
    assert 0 <= found.coverage <= 1 + 1e-9
    assert found.uptime is None or 0 <= found.uptime <= 1 + 1e-9
