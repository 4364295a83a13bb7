"""The health score and availability.

score = 100 x (0.4 x uptime + 0.3 x latency + 0.3 x (1 - error rate))

uptime: share of the known time of 24 h in which the provider was healthy or degraded (0 to 1). latency: 1 up to
``good_ms``, 0 from ``bad_ms`` on, linear between, for the mean of the last 5 minutes. error rate: share of failed calls
of the last 5 minutes. ``docs/health.md`` has worked examples.

A part that is unknown gives no score at all: half a truth would look like a whole one.
"""

from collections.abc import Sequence
from typing import NamedTuple

UP = frozenset(("healthy", "degraded"))
NOT_COUNTED = frozenset(("unknown", "maintenance"))


class Scaling(NamedTuple):
    """What latency is worth: 1 up to ``good_ms``, 0 from ``bad_ms`` on, linear between."""

    good_ms: float = 1000.0
    bad_ms: float = 10_000.0

    @property
    def formula(self) -> str:
        """The whole score, for people."""
        return (
            "100 * (0.4 * uptime + 0.3 * latency + 0.3 * (1 - error_rate));"
            f" latency 1 up to {self.good_ms:g} ms, 0 from {self.bad_ms:g} ms on, linear between"
        )


USUAL = Scaling()


class Span(NamedTuple):
    """A provider was in ``status`` from ``start`` to ``end`` (Unix seconds)."""

    status: str
    start: float
    end: float


class Availability(NamedTuple):
    """``uptime`` 0 to 1 of the known time, None when nothing is known; ``coverage``: share of the window that is known."""

    uptime: float | None
    coverage: float


def availability(spans: Sequence[Span], now: float, window_s: float) -> Availability:
    """Duration-based; unknown and maintenance are left out of uptime, and shown as missing coverage."""
    start = now - window_s
    up = known = 0.0
    for span in spans:
        length = max(0.0, min(span.end, now) - max(span.start, start))
        if span.status not in NOT_COUNTED:
            known += length
            up += length if span.status in UP else 0.0
    return Availability(up / known if known > 0 else None, known / window_s)


def score(
    uptime: float | None, latency_ms: float | None, error_rate: float | None, scaling: Scaling = USUAL
) -> float | None:
    """0 to 100, or None (unknown) when a part is unknown."""
    if uptime is None or latency_ms is None or error_rate is None:
        return None
    latency = min(1.0, max(0.0, (scaling.bad_ms - latency_ms) / (scaling.bad_ms - scaling.good_ms)))
    return round(100 * (0.4 * uptime + 0.3 * latency + 0.3 * (1 - error_rate)), 2)
