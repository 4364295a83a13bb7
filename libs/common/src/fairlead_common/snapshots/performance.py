"""Values of the ``performance`` bucket, from comparison, as routing decisions read them."""

from collections.abc import Iterable

from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.comparison import ProviderPerformance


def measured_of(values: Iterable[ProviderPerformance]) -> dict[Target, Measured]:
    """What live traffic showed of each target lately."""
    return {
        Target(each.provider, each.model): Measured(
            each.calls,
            each.error_rate,
            each.latency_p50_ms,
            each.latency_p95_ms,
            each.ttft_p50_ms,
            each.cost_per_call_usd,
            each.quality,
        )
        for found in values
        for each in found.models
    }
