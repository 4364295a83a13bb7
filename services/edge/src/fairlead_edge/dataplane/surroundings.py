"""What all calls of a process share: the fleet, the metrics, the bounds, the budget of further attempts."""

from dataclasses import dataclass, field, replace

from fairlead_models.transport.protocol import Timeouts

from fairlead_edge.dataplane.budget import RetryBudget
from fairlead_edge.fleet import Fleet
from fairlead_edge.metrics import EdgeMetrics


@dataclass(frozen=True)
class Bounds:
    """Bounds of requests; times in seconds."""

    request_s: float
    whole_answer_s: float
    hedge_share: float = 0.0
    """Of the streams, 0 to 0.05."""
    hedge_after_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all calls of a process share."""

    fleet: Fleet
    metrics: EdgeMetrics
    bounds: Bounds
    budget: RetryBudget
    _timeouts: dict[tuple[Timeouts, bool], Timeouts] = field(default_factory=dict)

    def full_timeouts(self, spec: Timeouts, *, stream: bool) -> Timeouts:
        """Bounds of an attempt that has all of a call's time, within those of its provider."""
        found = self._timeouts.get((spec, stream))
        if found is None:
            first_s = spec.first_byte_s if stream else self.bounds.whole_answer_s
            total_s = min(spec.total_s, self.bounds.request_s)
            found = self._timeouts[spec, stream] = replace(spec, first_byte_s=first_s, total_s=total_s)
        return found
