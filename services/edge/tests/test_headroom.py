"""Rate limits that providers tell: believed until they reset, and no longer."""

from fairlead_common.decisions.targets import Target
from fairlead_edge.headroom import LONGEST_S, Headroom
from fairlead_models.rate_limits import UNKNOWN, RateLimits

A, B = Target("openai", "a"), Target("mistral", "b")


def test_the_scarcer_of_requests_and_tokens_counts_until_it_resets() -> None:
    headroom = Headroom()
    headroom.note(A, RateLimits(90, 100, 100, 1000, 5.0, 20.0), 1000.0)
    assert headroom.shares(1000.0) == {A: 0.1}
    assert headroom.shares(1019.0) == {A: 0.1}
    assert headroom.shares(1021.0) == {}


def test_an_exhausted_limit_without_its_size_is_zero_and_what_is_not_told_changes_nothing() -> None:
    headroom = Headroom()
    headroom.note(A, RateLimits(remaining_requests=0), 0.0)
    headroom.note(B, UNKNOWN, 0.0)
    assert headroom.shares(1.0) == {A: 0.0}


def test_no_figure_is_believed_for_long() -> None:
    headroom = Headroom()
    headroom.note(A, RateLimits(remaining_tokens=0, reset_tokens_s=86_400.0), 0.0)
    assert headroom.shares(LONGEST_S - 1) == {A: 0.0}
    assert headroom.shares(LONGEST_S + 1) == {}
