"""What each workspace has spent: what the fleet has recorded, and what this edge knows beyond that.

A call is reserved at its estimated cost when it is planned, and settled at its real one when it ends; its id sees to it
that both happen once. What was settled is kept until the fleet's record contains it, which the record says by the time
of the latest call that it has of this edge.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from fairlead_common.decisions.budgets import Spent, day_of, month_of
from fairlead_common.snapshots.spend import SpendSnapshot


@dataclass(slots=True)
class _Settled:
    """Calls of one second and day. ``until`` is the end of the latest of them, Unix seconds."""

    day: int
    until: float
    usd: float


@dataclass(slots=True)
class _Own:
    """What this edge knows of one workspace."""

    reserved_usd: float = 0.0
    settled: deque[_Settled] = field(default_factory=deque)

    def of_days(self, begins_at: float, ends_at: float) -> float:
        first, last = day_of(begins_at), day_of(ends_at - 1)
        return sum(each.usd for each in self.settled if first <= each.day <= last)


class Spending:
    """One per process. ``source`` is its name in the frames of calls that it sends."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._recorded: dict[int, SpendSnapshot] = {}
        self._own: dict[int, _Own] = {}
        self._reserved: dict[str, tuple[int, float]] = {}

    def reserve(self, call_id: str, workspace_id: int, usd: float) -> None:
        """A call is planned that is expected to cost ``usd``."""
        if call_id not in self._reserved:
            self._reserved[call_id] = (workspace_id, usd)
            self._own.setdefault(workspace_id, _Own()).reserved_usd += usd

    def settle(self, call_id: str, started_at: datetime, ended_at: datetime, usd: float | None) -> None:
        """The call is over; a cost of None is unknown and counts nothing. Calls that were not reserved are passed over."""
        workspace_id, reserved_usd = self._reserved.pop(call_id, (None, 0.0))
        if workspace_id is None:
            return
        own = self._own[workspace_id]
        own.reserved_usd = max(0.0, own.reserved_usd - reserved_usd)
        if not usd:
            return
        day, until = day_of(started_at.timestamp()), ended_at.timestamp()
        last = own.settled[-1] if own.settled else None
        if last is not None and last.day == day and int(last.until) == int(until):
            last.usd, last.until = last.usd + usd, max(last.until, until)
        else:
            own.settled.append(_Settled(day, until, usd))

    def record(self, snapshots: Iterable[SpendSnapshot]) -> None:
        """The fleet's record has changed: what it contains of this edge's calls is not counted twice."""
        self._recorded = {each.workspace_id: each for each in snapshots}
        for workspace_id, own in self._own.items():
            found = self._recorded.get(workspace_id)
            until = found.counted.get(self._source) if found is not None else None
            while until is not None and own.settled and own.settled[0].until <= until:
                own.settled.popleft()

    def spent(self, workspace_id: int, now: float) -> Spent:
        """In the day and in the month of ``now`` (Unix seconds), with what is reserved."""
        today_usd = month_usd = 0.0
        if (own := self._own.get(workspace_id)) is not None:
            today_usd = own.reserved_usd + own.of_days(now, now + 1)
            month_usd = own.reserved_usd + own.of_days(*month_of(day_of(now)))
        if (found := self._recorded.get(workspace_id)) is not None:
            recorded = found.spent(now)
            today_usd += recorded.today_usd
            month_usd += recorded.month_usd
        return Spent(today_usd, month_usd)

    def unpriced_calls(self, workspace_id: int) -> int:
        """Calls of the recorded month whose cost is unknown."""
        found = self._recorded.get(workspace_id)
        return 0 if found is None else found.unpriced_calls
