"""The health score and availability.

score = 100 x (0.4 x uptime + 0.3 x latency + 0.3 x (1 - error rate))

uptime: share of the known time of 24 h in which the provider was healthy or degraded (0 to 1). latency: 1 up to
``good_ms``, 0 from ``bad_ms`` on, linear between. error rate: share of failed calls of the last 5 minutes.

Worked examples with good_ms 1000 and bad_ms 10000: uptime 1, 500 ms, no errors: 100. Uptime 0.99, 1900 ms, 2 % errors:
100 x (0.396 + 0.27 + 0.294) = 96. Uptime 1, 10 s, half of the calls failed: 100 x (0.4 + 0 + 0.15) = 55.

A part that is unknown gives no score at all: half a truth would look like a whole one.
"""

from collections.abc import Sequence
from typing import NamedTuple

FORMULA = (
    "100 * (0.4 * uptime + 0.3 * latency + 0.3 * (1 - error_rate));"
    " latency 1 up to 1 s, 0 from 10 s on, linear between"
)
UP = frozenset(("healthy", "degraded"))
NOT_COUNTED = frozenset(("unknown", "maintenance"))


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
    uptime: float | None,
    latency_ms: float | None,
    error_rate: float | None,
    good_ms: float = 1000.0,
    bad_ms: float = 10_000.0,
) -> float | None:
    """0 to 100, or None when a part is unknown."""
    if uptime is None or latency_ms is None or error_rate is None:
        return None
    latency = min(1.0, max(0.0, (bad_ms - latency_ms) / (bad_ms - good_ms)))
    return round(100 * (0.4 * uptime + 0.3 * latency + 0.3 * (1 - error_rate)), 2)
