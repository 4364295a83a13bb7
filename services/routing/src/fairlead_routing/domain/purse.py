"""What a workspace would have spent of its budget so far, while its past calls are decided again one after the other."""

from fairlead_common.decisions.budgets import Limits, Spent, budget_of, day_of, month_of
from fairlead_common.decisions.plan import Budget


class Purse:
    """Money of one workspace.

    Args:
        limits: that it may spend.
        spent: in the day and month of ``at``, up to then.
        at: Unix time in seconds at which the replay begins.
        each: how many calls one replayed call stands for.
    """

    def __init__(self, limits: Limits, spent: Spent, at: float, each: float = 1.0) -> None:
        self._limits = limits
        self._spent = spent
        self._at = at
        self._each = each

    def budget(self, now: float) -> Budget | None:
        """What is left at ``now``, which never goes back; None = there is no limit."""
        if day_of(now) != day_of(self._at):
            same_month = month_of(day_of(now)) == month_of(day_of(self._at))
            self._spent = Spent(0.0, self._spent.month_usd if same_month else 0.0)
        self._at = max(now, self._at)
        return budget_of(self._limits, self._spent, now)

    def pay(self, usd: float) -> None:
        """One replayed call cost this much."""
        today, month = self._spent
        self._spent = Spent(today + usd * self._each, month + usd * self._each)
