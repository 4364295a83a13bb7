"""When a late first token is looked for at a second target as well. Decides; starts nothing.

A hedge costs a second prompt, so there is a budget for all of a process: a share of its streams. While most targets are
late the whole system is slow, and hedges would make it slower.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from fairlead_common.decisions.targets import Target

from fairlead_edge.dataplane.budget import RetryBudget

BURST: Final = 5.0
"""So many hedges may have been saved up."""
REMEMBERED_S: Final = 60.0
MAX_TARGETS: Final = 1024


class Hedging:
    """One per process.

    Args:
        share: of the streams that may be hedged, 0 to 0.05; 0 = none.
        after_s: the wait for a first token after which a target is late, where its own p95 is not known.
        p95_s: a target's own p95 of the time to the first token; None = unknown.
        retries: the budget of further attempts; a hedge is one.
    """

    def __init__(
        self, share: float, after_s: float, p95_s: Callable[[Target], float | None], retries: RetryBudget
    ) -> None:
        self._share = share
        self._after_s = after_s
        self._p95_s = p95_s
        self._retries = retries
        self._saved = 0.0
        self._seen: OrderedDict[Target, tuple[bool, float]] = OrderedDict()
        """target to (its last first token was late, when that was)."""

    def earn(self) -> None:
        """A stream begins."""
        self._saved = min(BURST, self._saved + self._share)

    def patience_s(self, target: Target) -> float | None:
        """How long to wait for the first token of ``target`` alone; None = however long it takes."""
        return (self._p95_s(target) or self._after_s) if self._share else None

    def note(self, target: Target, *, late: bool, now: float) -> None:
        """The first token of ``target`` came in time, or is late; ``now`` in seconds of any clock."""
        self._seen[target] = (late, now)
        self._seen.move_to_end(target)
        if len(self._seen) > MAX_TARGETS:
            self._seen.popitem(last=False)

    def granted(self, late: Target, now: float) -> bool:
        """Whether a second target may be asked now, beside ``late``; if so, it is paid for."""
        if self._saved < 1 or self._retries.spent or self._most_are_late(late, now):
            return False
        self._saved -= 1
        return True

    def _most_are_late(self, but: Target, now: float) -> bool:
        others = [
            late for target, (late, at) in self._seen.items() if target != but and now - at < REMEMBERED_S
        ]
        return sum(others) * 2 > len(others)
