"""The search for the highest rate, on machines made by hand."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace

import pytest
from fairlead.drills.highest_rate import busy_share
from fairlead.drills.rates import (
    CLOSE,
    HIGHEST,
    LOWEST,
    TRIES,
    Rung,
    highest,
    next_check,
    next_rate,
)

WELL = {"extra_p99_ms": 5.0, "latency_p99_ms": 200.0, "recorded_s": 1.0, "busy": 0.5}


def rung(rate: float, *, answered: int = 600, **changed: float | None) -> Rung:
    return Rung(rate, 600, answered, **{**WELL, **changed})  # type: ignore[arg-type]


def searched(answer: Callable[[float, int], Rung]) -> list[Rung]:
    tried: list[Rung] = []
    while (rate := next_rate(tried)) is not None:
        tried.append(answer(rate, len(tried)))
        assert len(tried) < 40, "the search does not end"
    return tried


@pytest.mark.parametrize("limit", [101.0, 170.0, 333.0, 1234.0, 3100.0])
def test_the_highest_rate_is_found_within_a_tenth(limit: float) -> None:
    tried = searched(lambda rate, _: rung(rate, extra_p99_ms=5.0 if rate <= limit else 40.0))
    assert limit / CLOSE - 10 < highest(tried) <= limit


def test_a_machine_without_a_limit_ends_the_search() -> None:
    assert highest(searched(lambda rate, _: rung(rate))) == HIGHEST


def test_a_machine_that_sustains_nothing_is_tried_again_and_given_up() -> None:
    tried = searched(lambda rate, _: rung(rate, answered=0))
    assert ([each.rate for each in tried], highest(tried)) == ([LOWEST] * TRIES, 0.0)


def test_one_bad_moment_decides_nothing() -> None:
    tried = searched(lambda rate, turn: rung(rate, extra_p99_ms=40.0 if turn == 2 or rate > 400 else 5.0))
    assert highest(tried) > 400 / CLOSE - 10


def checked(tried: list[Rung], before: str, limit: float) -> list[float]:
    """The rates that are tried before a drill on a machine that now sustains ``limit``."""
    rates = []
    while (rate := next_check(tried, before)) is not None:
        tried.append(replace(rung(rate, extra_p99_ms=5.0 if rate <= limit else 40.0), before=before))
        rates.append(rate)
        if rate <= limit:
            break
    return rates


def test_a_machine_that_has_become_slower_lowers_the_rate_and_one_that_recovers_raises_it() -> None:
    tried = searched(lambda rate, _: rung(rate, extra_p99_ms=5.0 if rate <= 500 else 40.0))
    best = highest(tried)
    assert checked(tried, "first", 500) == [best]
    slower = checked(tried, "second", 400)
    assert slower[0] == best
    assert 400 / CLOSE - 10 < slower[-1] <= 400
    assert highest(tried) == best
    again = checked(tried, "third", 500) + checked(tried, "fourth", 500) + checked(tried, "fifth", 500)
    assert again == sorted(again)
    assert again[-1] == best


def test_a_machine_that_sustains_nothing_any_more_ends_the_check_and_the_next_begins_anew() -> None:
    tried = searched(lambda rate, _: rung(rate, extra_p99_ms=5.0 if rate <= 200 else 40.0))
    assert checked(tried, "first", 0)[-1] == LOWEST
    assert checked(tried, "second", 1000) == [round(LOWEST * CLOSE, -1)]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"answered": 599}, "1 of 600 requests were not answered and recorded"),
        ({"extra_p99_ms": 10.0}, "beyond the attempts 10.0 ms"),
        ({"extra_p99_ms": None}, "beyond the attempts unknown"),
        ({"latency_p99_ms": 301.0}, "latency 301.0 ms, above 300 ms"),
        ({"recorded_s": 5.1}, "recorded after 5.1 s"),
        ({"busy": 0.71}, "cores 71% busy"),
    ],
)
def test_what_makes_a_rate_too_high(changed: dict[str, float | None], word: str) -> None:
    found = rung(200, **changed).too_high(rung(100))  # type: ignore[arg-type]
    assert found is not None
    assert word in found
    assert rung(200).too_high(rung(100)) is None


def test_time_that_nothing_is_done_in_is_not_busy() -> None:
    linux = namedtuple("linux", "user nice system idle iowait guest")
    assert busy_share(linux(0, 0, 0, 0, 0, 0), linux(3, 0, 1, 5, 1, 2)) == pytest.approx(0.4)
    other = namedtuple("other", "user system idle")
    assert busy_share(other(1, 1, 1), other(2, 2, 3)) == pytest.approx(0.5)
