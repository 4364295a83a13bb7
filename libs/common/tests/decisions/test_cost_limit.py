"""What a caller wants to pay at most, held against prices."""

import pytest
from fairlead_common.decisions.cost_limit import CostLimit

LIMIT = CostLimit(0.01, input_tokens=1000, output_tokens=500)


@pytest.mark.parametrize(
    ("prices", "spent_usd", "expected"),
    [
        ((2e-6, 8e-6), 0.0, None),
        ((2e-6, 16e-6), 0.0, None),
        ((2e-6, 8e-6), 0.004, None),
        (
            (2e-6, 17e-6),
            0.0,
            "its cost of up to 0.010500 USD exceeds the caller's limit of 0.01",
        ),
        (
            (2e-6, 8e-6),
            0.005,
            "its cost of up to 0.006000 USD, after 0.005000 before it, exceeds the caller's limit of 0.01",
        ),
        ((2e-6, None), 0.0, "its price is unknown, and the caller's limit is 0.01 USD"),
        ((None, 8e-6), 0.0, "its price is unknown, and the caller's limit is 0.01 USD"),
    ],
)
def test_a_target_is_within_the_limit_or_it_is_said_why_not(
    prices: tuple[float | None, float | None], spent_usd: float, expected: str | None
) -> None:
    assert LIMIT.why_not(*prices, spent_usd) == expected


def test_what_gives_no_output_needs_no_price_of_output() -> None:
    assert CostLimit(0.01, 1000, 0).most_usd(2e-6, None) == pytest.approx(0.002)
