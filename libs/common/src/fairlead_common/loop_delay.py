"""How late the event loop of this process runs what is due: whether it has the processor time it needs."""

import asyncio
import time
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

EVERY_S: Final = 0.25
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class LoopDelay:
    """Wakes up ``EVERY_S`` after the last time, and counts by how much it was late. One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            "fairlead_loop_delay_seconds",
            "How late the process did what was due; whatever it measures itself contains that",
            buckets=BUCKETS_S,
            registry=registry,
        )

    async def run(self) -> None:
        """For ever."""
        while True:
            due = time.perf_counter() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._late.observe(max(0.0, time.perf_counter() - due))
