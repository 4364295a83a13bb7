"""Verdicts: a winner only where the data carry one, and otherwise the reason."""

from fairlead_common import sketch
from fairlead_common.operations.comparison import Metric
from fairlead_comparison.domain.comparison import block_seconds, verdicts
from fairlead_comparison.domain.metrics import METRICS, cost, error_rate, latency, tokens_per_s
from fairlead_comparison.domain.samples import Mean, Proportion, Quantile, Scores
from fairlead_comparison.domain.sums import Sums
from hypothesis import given, settings
from hypothesis import strategies as st


def slowly(ms: float, n: int = 200) -> Quantile:
    """Latencies around ``ms``, within 10 %."""
    return Quantile.of_sketch(sketch.sketch_of([ms * (0.9 + 0.2 * i / n) for i in range(n)]), 0.5)


def test_lower_latency_wins_and_higher_quality_wins() -> None:
    fast, slow = slowly(200), slowly(400)
    good, poor = (Scores({(1, i): base + i / 1000 for i in range(30)}) for base in (0.8, 0.6))
    found = verdicts(
        {
            Metric.LATENCY_P50: {"b": slow, "a": fast},
            Metric.QUALITY: {"b": good, "a": poor},
        }
    )
    assert [(each.metric, each.first, each.second, each.winner, each.reason) for each in found] == [
        (Metric.LATENCY_P50, "a", "b", "a", None),
        (Metric.QUALITY, "a", "b", "b", None),
    ]


def test_every_metric_says_which_way_is_better() -> None:
    better_when_lower = {metric for metric, spec in METRICS.items() if spec.lower_is_better}
    assert set(METRICS) == set(Metric)
    assert set(Metric) - better_when_lower == {Metric.QUALITY, Metric.OUTPUT_TOKENS_PER_S}


def test_too_few_observations_are_named_and_not_tested() -> None:
    found = verdicts(
        {Metric.ERROR_RATE: {"a": Proportion(0, 12), "b": None, "c": Proportion(3, 40)}},
    )
    assert [each.reason for each in found] == [
        "not enough data: a has 12 and b has 0 of at least 20 attempts",
        "not enough data: a has 12 of at least 20 attempts",
        "not enough data: b has 0 of at least 20 attempts",
    ]
    assert all(each.difference is None and each.winner is None and each.adjusted_p is None for each in found)


def test_an_interval_with_zero_in_it_has_no_winner() -> None:
    found = verdicts({Metric.ERROR_RATE: {"a": Proportion(3, 100), "b": Proportion(5, 100)}})[0]
    assert (found.winner, found.reason) == (None, "the 95 % interval of the difference includes zero")
    assert (found.first_value, found.second_value, found.first_n) == (0.03, 0.05, 100)


def test_among_many_comparisons_a_chance_finding_is_no_win() -> None:
    alone = {"a": Mean(1.0, 1.0, 100), "b": Mean(1.3, 1.0, 100)}  # p about 0.035
    assert verdicts({Metric.COST_PER_CALL: alone})[0].winner == "a"
    crowd = {**alone, **{f"c{i}": Mean(1.15, 1.0, 100) for i in range(6)}}
    judged = {(each.first, each.second): each for each in verdicts({Metric.COST_PER_CALL: crowd})}
    assert judged["a", "b"].winner is None
    assert judged["a", "b"].reason == "not significant among 28 comparisons (Holm: p = 0.984)"


ARMS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.none() | st.tuples(st.integers(0, 60), st.integers(60, 200)).map(lambda t: Proportion(*t)),
    max_size=6,
)


@settings(deadline=None)
@given(ARMS, st.floats(1, 4))
def test_a_winner_is_always_backed(arms: dict[str, Proportion | None], effect: float) -> None:
    found = verdicts({Metric.ERROR_RATE: arms})
    assert len(found) == len(arms) * (len(arms) - 1) // 2
    for each in found:
        assert (each.winner is None) == (each.reason is not None)
        if each.winner is not None:
            assert each.difference is not None
            assert each.difference.excludes_zero
            assert each.adjusted_p is not None
            assert each.adjusted_p <= 0.05
            loser = each.second if each.winner == each.first else each.first
            better, worse = arms[each.winner], arms[loser]
            assert better is not None
            assert worse is not None
            assert better.value < worse.value


def filled(n: int, *, tokens: int = 50, ms: float = 500.0, cost_usd: float = 0.25) -> Sums:
    sums = Sums()
    for _ in range(n):
        sums.observe(None, ms + 100, 100.0, tokens, cost_usd)
    return sums


def test_samples_of_sums() -> None:
    blocks = [filled(30), filled(10), Sums()]
    rate = tokens_per_s(blocks)
    assert rate is not None
    assert (rate.value, rate.variance, rate.n) == (100.0, 0.0, 40)
    price = cost(blocks)
    assert price is not None
    assert (price.value, price.variance, price.n, price.effect) == (0.25, 0.0, 40, 1.0)
    assert error_rate(blocks) == Proportion(0, 40)
    median = latency(0.5)(blocks)
    assert median is not None
    assert abs(median.value / 600 - 1) <= 0.01


def test_the_rate_of_tokens_is_one_of_sums_not_of_rates() -> None:
    """Ten tokens in a second and a thousand in ten: 91.8 a second, not the mean of 10 and 100."""
    sums = Sums()
    sums.observe(None, 1100.0, 100.0, 10, None)
    sums.observe(None, 10_100.0, 100.0, 1000, None)
    found = tokens_per_s([sums])
    assert found is not None
    assert abs(found.value - 1000 * 1010 / 11_000) < 1e-9


def test_of_nothing_there_is_no_sample() -> None:
    for metric, spec in METRICS.items():
        assert spec.sample([]) is None, metric
        assert spec.sample([Sums(), Sums()]) is None, metric


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 31 * 86_400), st.sampled_from([60, 3600]))
def test_blocks_are_whole_units_and_about_two_dozen(first: int, span: int, unit: int) -> None:
    length = block_seconds(first, first + span, unit)
    assert length >= unit
    assert length % unit == 0
    assert span / length <= 49
