"""What paid probes may cost: a daily and a monthly budget per provider; when one is spent, probes are of the cheap kind."""

from typing import Literal, NamedTuple

Period = Literal["daily", "monthly"]
"""Which budget. Days and months are those of UTC."""


class Budget(NamedTuple):
    """USD; None = no limit."""

    daily_usd: float | None
    monthly_usd: float | None


class Spend(NamedTuple):
    """What the probes of a provider have cost this day and this month, in USD. What has no known price counts nothing."""

    today_usd: float = 0.0
    this_month_usd: float = 0.0


def spent(budget: Budget, spend: Spend) -> Period | None:
    """The budget that is spent, the longer one first; None = neither is."""
    if budget.monthly_usd is not None and spend.this_month_usd >= budget.monthly_usd:
        return "monthly"
    if budget.daily_usd is not None and spend.today_usd >= budget.daily_usd:
        return "daily"
    return None


def affordable(budget: Budget, spend: Spend | None) -> bool:
    """Whether a paid probe may go out. Who does not know what was spent (None) spends nothing, where there is a limit."""
    if spend is None:
        return budget == Budget(None, None)
    return spent(budget, spend) is None
