"""What is said of a model: figures where enough was seen, None where not."""

from datetime import UTC, datetime

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_comparison.domain.performance import by_provider, chosen, measured
from fairlead_comparison.domain.scores import Quality, Score, quality_by_target
from fairlead_comparison.domain.sums import Sums

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TARGET = ("openai", "gpt-5.4-mini")


def seen(successes: int, failures: int = 0) -> Sums:
    sums = Sums()
    for i in range(successes):
        sums.observe(None, 400.0 + i, 100.0, 30, 0.25)
    for _ in range(failures):
        sums.observe(ErrorClass.OVERLOADED, 10.0, None, None, None)
    return sums


@pytest.mark.parametrize(
    ("successes", "failures", "known"),
    [
        (0, 0, set()),
        (4, 0, set()),
        (5, 0, {"latency_p50_ms", "ttft_p50_ms", "cost_per_call_usd", "output_tokens_per_s"}),
        (4, 16, {"error_rate"}),
        (
            20,
            0,
            {
                "latency_p50_ms",
                "latency_p95_ms",
                "ttft_p50_ms",
                "ttft_p95_ms",
                "cost_per_call_usd",
                "output_tokens_per_s",
                "error_rate",
            },
        ),
    ],
)
def test_a_figure_needs_enough_observations(successes: int, failures: int, known: set[str]) -> None:
    found = measured(TARGET, seen(successes, failures), 900, None, 20).model_dump()
    figures = {
        "error_rate",
        "latency_p50_ms",
        "latency_p95_ms",
        "ttft_p50_ms",
        "ttft_p95_ms",
        "cost_per_call_usd",
        "output_tokens_per_s",
        "quality",
    }
    assert {name for name in figures if found[name] is not None} == known
    assert (found["calls"], found["failures"]) == (successes + failures, failures)


def test_figures() -> None:
    found = measured(TARGET, seen(30, 10), 900, Quality(0.8, 12), 20)
    assert found.error_rate == 0.25
    assert found.latency_p50_ms == pytest.approx(414.5, rel=0.011)
    assert found.output_tokens_per_s == pytest.approx(
        30 * 30 / sum(0.3 + i / 1000 for i in range(30)), abs=0.001
    )
    assert (found.cost_per_call_usd, found.quality, found.quality_samples, found.window_s) == (
        0.25,
        0.8,
        12,
        900,
    )
    assert measured(TARGET, seen(30), 900, Quality(0.8, 4), 20).quality is None


def test_a_thin_model_is_measured_over_the_longer_window() -> None:
    short = {("a", "busy"): seen(50), ("a", "thin"): seen(3)}
    long = {("a", "busy"): seen(500), ("a", "thin"): seen(30), ("a", "rare"): seen(2)}
    found = chosen(short, long, 20, 900, 86_400)
    assert {target: (sums.attempts, window_s) for target, (sums, window_s) in found.items()} == {
        ("a", "busy"): (50, 900),
        ("a", "thin"): (30, 86_400),
        ("a", "rare"): (2, 86_400),
    }
    assert chosen({("a", "new"): seen(1)}, {}, 20, 900, 86_400)[("a", "new")][1] == 900


def test_a_provider_without_figures_is_told_of_too() -> None:
    models = [measured(target, seen(5), 900, None, 20) for target in (("b", "y"), ("b", "x"))]
    found = by_provider(["a", "b"], models, 900, NOW)
    assert {name: [model.model for model in each.models] for name, each in found.items()} == {
        "a": [],
        "b": ["x", "y"],
    }


def test_every_scored_answer_counts_once() -> None:
    scores = [
        Score((1, 0), "a", "x", 1.0, 3, NOW),
        Score((1, 1), "a", "x", 0.0, 1, NOW),
        Score((1, 0), "b", "y", 0.5, 2, NOW),
    ]
    assert quality_by_target(scores) == {("a", "x"): Quality(0.75, 4), ("b", "y"): Quality(0.5, 2)}
