"""Prometheus metrics of the comparison service."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ComparisonMetrics:
    """Counters of what is written, and how far behind it is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter("fairlead_comparison_calls", "Calls written, each once", registry=registry)
        self.attempts = Counter("fairlead_comparison_attempts", "Attempts written", registry=registry)
        self.repeated = Counter(
            "fairlead_comparison_repeated_calls", "Calls that were there already", registry=registry
        )
        self.results = Counter(
            "fairlead_comparison_results", "Results of A/B tests written", registry=registry
        )
        self.dead_letters = Counter(
            "fairlead_comparison_dead_letters", "Frames set aside, whole or in part", registry=registry
        )
        self.lag = Gauge(
            "fairlead_comparison_lag_seconds", "Age of the oldest frame of the last batch", registry=registry
        )
        self.batch = Histogram(
            "fairlead_comparison_batch_seconds", "From a batch's arrival to its commit", registry=registry
        )
        self.published = Counter(
            "fairlead_comparison_performance_published", "Performance events published", registry=registry
        )
