"""Prometheus metrics of the edge; label children are looked up once, so that counting costs about a microsecond."""

from collections.abc import Iterator

from fairlead_common.loop_delay import LoopDelay
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_models.drift import DRIFT
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.outcomes.journal import Journal

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class WireDrift(Collector):
    """What the adapters saw in answers that they do not know: fields and event types by provider and ``wire:where.name``."""

    def collect(self) -> Iterator[Metric]:
        """Prometheus asks."""
        found = CounterMetricFamily(
            "fairlead_wire_drift",
            "Sightings of what a vendor's wire did not have before",
            labels=["provider", "kind"],
        )
        for drift, count in sorted(DRIFT.counts.items()):
            found.add_metric(drift, count)
        yield found


class EdgeMetrics:
    """Counters and histograms of the request path."""

    def __init__(self, journal: Journal) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(WireDrift())
        self.loop_delay = LoopDelay(self.registry)
        self._calls = Counter(
            "fairlead_calls", "Calls by their end", ["state", "provider", "failover"], registry=self.registry
        )
        self._failures = Counter(
            "fairlead_attempt_failures",
            "Failed attempts",
            ["provider", "error_class"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "fairlead_call_duration_seconds",
            "Arrival to end",
            ["provider"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._overhead = Histogram(
            "fairlead_overhead_seconds",
            "Time the edge itself added",
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25),
            registry=self.registry,
        )
        self._breaks = Counter(
            "fairlead_stream_breaks",
            "Streams that broke after their first token, by what became of the answer",
            ["end"],
            registry=self.registry,
        )
        self._hedges = Counter(
            "fairlead_hedges", "Second targets asked for a late first token", ["won"], registry=self.registry
        )
        waiting = Gauge(
            "fairlead_outcomes_waiting_bytes", "Outcomes not on the bus yet", registry=self.registry
        )
        waiting.set_function(lambda: journal.pending_bytes)
        lost = Gauge("fairlead_outcomes_lost", "Outcomes lost since the start", registry=self.registry)
        lost.set_function(lambda: journal.lost_calls)
        self._ends: dict[tuple[str, str, bool], Counter] = {}
        self._times: dict[str, Histogram] = {}

    def call_ended(self, call: RunningCall, state: CallState) -> None:
        """A call has ended."""
        provider = call.provider or ""
        key = (state.value, provider, call.failover)
        counter = self._ends.get(key)
        if counter is None:
            counter = self._ends[key] = self._calls.labels(state.value, provider, str(call.failover).lower())
        counter.inc()
        times = self._times.get(provider)
        if times is None:
            times = self._times[provider] = self._duration.labels(provider)
        times.observe(call.body["duration_ms"] / 1000)
        self._overhead.observe(call.body["overhead_ms"] / 1000)

    def stream_broke(self, *, continued: bool) -> None:
        """A stream broke after its first token, and another target goes on with it or the caller was told."""
        self._breaks.labels("continued" if continued else "told").inc()

    def hedged(self, *, won: bool) -> None:
        """A hedge is over."""
        self._hedges.labels(str(won).lower()).inc()

    def attempt_failed(self, provider: str, error: ErrorClass) -> None:
        """An attempt has failed."""
        self._failures.labels(provider, error.value).inc()
