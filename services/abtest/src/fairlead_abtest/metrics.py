"""Prometheus metrics of the abtest service."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class AbtestMetrics:
    """What became of jobs, and how many calls are under way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs = Counter(
            "fairlead_abtest_jobs",
            "Deliveries of jobs by what was done: answered, failed, waited, dropped, given_up",
            ("outcome",),
            registry=registry,
        )
        self.under_way = Gauge(
            "fairlead_abtest_calls_under_way", "Calls of this replica now", registry=registry
        )
        self.resent = Counter(
            "fairlead_abtest_resent_jobs", "Jobs that were lost and sent again", registry=registry
        )
        self.completed = Counter("fairlead_abtest_completed_tests", "Tests completed", registry=registry)
