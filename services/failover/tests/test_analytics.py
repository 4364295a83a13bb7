"""The figures of a period that are computed from sums, by hand."""

from datetime import UTC, datetime

import pytest
from fairlead_common.operations import failover as ops
from fairlead_common.operations.calls import Rescue
from fairlead_failover.analytics import figures

SINCE, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


def rescue(**values: int) -> Rescue:
    names = "calls served served_first led_elsewhere failed_first rescued unpriced_attempts"
    return Rescue(
        provider="openai",
        added_p50_ms=None,
        extra_cost_usd=None,
        **{**dict.fromkeys(names.split(), 0), **values},
    )


def of(found: Rescue) -> ops.ProviderAnalytics:
    providers = figures([], SINCE, UNTIL, 0, [found]).providers
    assert providers is not None
    return providers[0]


def test_what_would_have_been_without_failover_is_told_as_bounds() -> None:
    """Of 100 calls 60 were served at once and 10 failed, 9 of them rescued; 30 never came to the provider."""
    found = of(rescue(calls=100, served=99, served_first=60, led_elsewhere=30, failed_first=10, rescued=9))
    assert found.availability_with_failover == pytest.approx(0.99)
    assert found.availability_without_failover == ops.Bounds(low=0.6, high=0.9)


def test_without_calls_that_were_led_elsewhere_the_bounds_meet_and_without_calls_there_are_none() -> None:
    found = of(rescue(calls=10, served=10, served_first=8, failed_first=2, rescued=2))
    assert found.availability_without_failover == ops.Bounds(low=0.8, high=0.8)
    assert of(rescue()).availability_without_failover is None
