"""Prometheus metrics of the health service. Every replica shows the same states: what is on the bus."""

from collections.abc import Iterator, Mapping

from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.health import ProviderStatus, Status
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

UP = (Status.HEALTHY, Status.DEGRADED)


class HealthCollector(Collector):
    """States and open alerts as they are at the moment of the scrape."""

    def __init__(self, states: Mapping[str, ProviderStatus], alerts: Mapping[str, AlertRaised]) -> None:
        self._states = states
        self._alerts = alerts

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is asked at registration."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One family after the other; what is unknown is left out."""
        up = GaugeMetricFamily(
            "fairlead_provider_up",
            "1: healthy or degraded, 0: down; unknown and maintenance: no sample",
            labels=["provider"],
        )
        score = GaugeMetricFamily("fairlead_provider_score", "Health score, 0 to 100", labels=["provider"])
        status = GaugeMetricFamily(
            "fairlead_provider_status", "1 for the status the provider is in", labels=["provider", "status"]
        )
        for name, state in sorted(self._states.items()):
            status.add_metric([name, state.status.value], 1)
            if state.status in (*UP, Status.DOWN):
                up.add_metric([name], float(state.status in UP))
            if state.score is not None:
                score.add_metric([name], state.score)
        alerts = GaugeMetricFamily(
            "fairlead_alert_active",
            "1 for each alert that is open; its status is firing, acknowledged or suppressed",
            labels=["alertname", "provider", "severity", "status"],
        )
        open_now = {
            (a.alertname, a.provider, a.severity.value, a.status.value) for a in self._alerts.values()
        }
        for labels in sorted(open_now):
            alerts.add_metric(labels, 1)
        yield from (up, score, status, alerts)


class DeliveryMetrics:
    """What became of attempts to deliver alerts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "fairlead_alert_delivery_attempts",
            "Attempts by notifier and outcome: delivered, waiting (tried again later), dead (given up)",
            ("notifier", "outcome"),
            registry=registry,
        )
