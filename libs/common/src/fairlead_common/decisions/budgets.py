"""How much of a workspace's budget is left, and whether it is being spent too fast. Days and months are those of UTC."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from fairlead_common.decisions.plan import Budget, NoCapacity

DAY_S: Final = 86_400


class Limit(NamedTuple):
    """One budget: what may be spent in a period, what has been, and when the period begins and ends (Unix seconds)."""

    usd: float
    spent_usd: float
    begins_at: float
    ends_at: float


class Limits(NamedTuple):
    """What a workspace may spend; None = as much as it likes."""

    daily_usd: float | None = None
    monthly_usd: float | None = None
    blocks: bool = False
    """Once it is spent, requests are refused."""


class Spent(NamedTuple):
    """What it has spent in the day and in the month of the moment that is asked about."""

    today_usd: float = 0.0
    month_usd: float = 0.0


def budget_of(limits: Limits, spent: Spent, now: float) -> Budget | None:
    """What is left, by the tighter of the limits in each respect; None = there is no limit.

    Args:
        now: Unix time in seconds.
    """
    day = day_of(now)
    found = []
    if limits.daily_usd is not None:
        found.append(Limit(limits.daily_usd, spent.today_usd, day * DAY_S, (day + 1) * DAY_S))
    if limits.monthly_usd is not None:
        found.append(Limit(limits.monthly_usd, spent.month_usd, *month_of(day)))
    if not found:
        return None
    out = [limit.ends_at for limit in found if limit.spent_usd >= limit.usd]
    return Budget(
        remaining_usd=min(max(0.0, limit.usd - limit.spent_usd) for limit in found),
        remaining_share=min(map(_left, found)),
        pace=min(_pace(limit, now) for limit in found),
        renews_at=max(out or [limit.ends_at for limit in found]),
        blocks=limits.blocks,
    )


def refusal(budget: Budget | None, workspace_id: int) -> NoCapacity | None:
    """What a request gets while the budget is spent and blocks; None = it may go on."""
    if budget is None or not (budget.spent and budget.blocks):
        return None
    renews_at = datetime.fromtimestamp(budget.renews_at, UTC)
    text = (
        f"The budget of workspace {workspace_id} is spent; it renews at {renews_at:%Y-%m-%d %H:%M} UTC. "
        f"An admin can raise it with PUT /api/workspaces/{workspace_id}/settings."
    )
    return NoCapacity(402, "budget_spent", text)


def _left(limit: Limit) -> float:
    return max(0.0, 1 - limit.spent_usd / limit.usd)


def _pace(limit: Limit, now: float) -> float:
    """The share of the money that is left by the share of the time that is left."""
    share = max(1e-6, (limit.ends_at - now) / (limit.ends_at - limit.begins_at))
    return _left(limit) / share


def day_of(at: float) -> int:
    """Number of the UTC day of a Unix time."""
    return int(at // DAY_S)


@lru_cache(maxsize=64)
def month_of(day: int) -> tuple[float, float]:
    """Begin and end (Unix seconds) of the month to which the day of that number belongs."""
    begin = datetime.fromtimestamp(day * DAY_S, UTC).replace(day=1)
    end = (begin + timedelta(days=32)).replace(day=1)
    return begin.timestamp(), end.timestamp()
