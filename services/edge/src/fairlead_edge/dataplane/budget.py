"""The retry budget: how many further attempts may be under way at once, so that a bad hour does not become a storm.

Moving to a second and a third target is always allowed: they are other providers, each guarded by its own breaker, and
two providers may be gone at once. Attempts beyond that are limited to a share of the requests under way, with a small
minimum (Envoy's retry budget: 20 %, at least 3).
"""

from dataclasses import dataclass

FREE_ATTEMPTS = 3


@dataclass
class RetryBudget:
    """Counts; one per process."""

    share: float = 0.2
    minimum: int = 3
    active: int = 0
    extra: int = 0

    def allows(self, attempt: int) -> bool:
        """Whether attempt number ``attempt`` (from 0) may begin now."""
        return attempt < FREE_ATTEMPTS or not self.spent

    @property
    def spent(self) -> bool:
        """No attempt beyond the free ones may begin now."""
        return self.extra >= max(self.minimum, self.share * self.active)
