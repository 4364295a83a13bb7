"""What is learned of how a target counts: it approaches the truth, stays within its bounds, and follows changes."""

import pytest
from fairlead_common.decisions.plan import RouteRequest
from fairlead_common.decisions.scores import cost_usd
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Entry, Pricing
from fairlead_models.corrections import LEAST, MOST, Correction, learned
from hypothesis import given
from hypothesis import strategies as st

TARGET = Target("p", "m")
FRESH = Correction()
COUNTS = st.integers(min_value=-10, max_value=10**9)


def after(answers: int, estimated: int, counted: int, known: Correction = FRESH) -> Correction:
    for _ in range(answers):
        known = learned(known, estimated, counted)
    return known


def test_nothing_is_corrected_at_first() -> None:
    assert Correction().ratio == 1.0


@pytest.mark.parametrize("truth", [0.7, 0.9, 1.0, 1.3])
def test_it_approaches_the_truth(truth: float) -> None:
    assert after(200, 1000, round(1000 * truth)).ratio == pytest.approx(truth, rel=0.02)
    assert after(20, 1000, round(1000 * truth)).ratio == pytest.approx(truth, rel=0.1)


def test_it_follows_a_change() -> None:
    before = after(300, 500, 650)
    assert after(200, 500, 450, before).ratio == pytest.approx(0.9, rel=0.03)


def test_one_strange_answer_moves_it_little() -> None:
    settled = after(300, 500, 500)
    assert learned(settled, 500, 10**9).ratio < 1.05
    assert learned(settled, 500, 1).ratio > 0.95


def test_short_texts_and_missing_counts_teach_nothing() -> None:
    assert learned(Correction(), 10, 300) == Correction()
    assert learned(Correction(), 500, 0) == Correction()


@given(st.lists(st.tuples(COUNTS, COUNTS), max_size=60))
def test_it_stays_within_its_bounds(answers: list[tuple[int, int]]) -> None:
    known = Correction()
    for estimated, counted in answers:
        known = learned(known, estimated, counted)
    assert LEAST <= known.ratio <= MOST


def test_candidates_have_prices_and_windows_in_estimated_tokens() -> None:
    entry = Entry(
        provider="p",
        model="m",
        context_window=1000,
        pricing=Pricing(input_usd_per_mtok=2.0, output_usd_per_mtok=10.0, cached_input_usd_per_mtok=1.0),
    )
    plain = Catalog([entry], ["p"])
    request = RouteRequest("m", 1, input_tokens=100, max_output_tokens=10)
    (before,) = plain.candidates("p/m")
    (now,) = plain.corrected({TARGET: 1.25}).candidates("p/m")
    assert cost_usd(before, request) == pytest.approx(100 * 2e-6 + 10 * 1e-5)
    assert cost_usd(now, request) == pytest.approx(125 * 2e-6 + 10 * 1e-5)
    assert (before.context_window, now.context_window) == (1000, 800)
    assert now.cached_input_price == pytest.approx(1.25e-6)
    assert plain.candidates("p/m") == (before,)
