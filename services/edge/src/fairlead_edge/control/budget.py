"""``/api/workspaces/{id}/budget``: what is left of a workspace's budget, as this edge sees it."""

from datetime import UTC, datetime
from typing import Literal

from fairlead_common.decisions.budgets import budget_of
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from fairlead_edge.control.access import WorkspacePath
from fairlead_edge.control.dependencies import FleetNow, Scope, no_workspace

router = APIRouter(prefix="/api", tags=["access"])


class BudgetOut(BaseModel):
    """Spent and left, with calls under way at their estimated cost. Null = there is no such limit."""

    spent_today_usd: float
    spent_this_month_usd: float
    daily_usd: float | None
    monthly_usd: float | None
    when_spent: Literal["block", "cheapest"] | None
    remaining_usd: float | None
    remaining_share: float | None = Field(description="0 to 1, of the limit that is nearer to its end")
    pace: float | None = Field(
        description="share of the money left by the share of the time left; below 1: it is being spent too fast"
    )
    renews_at: AwareDatetime | None
    unpriced_calls: int = Field(description="answered this month at an unknown cost: they count nothing")


@router.get("/workspaces/{workspace_id}/budget", summary="What is left of a workspace's budget")
async def get_budget(fleet: FleetNow, scope: Scope, workspace_id: WorkspacePath) -> BudgetOut:
    """Days and months are those of UTC. The limits are part of the workspace's settings."""
    if scope not in (None, workspace_id) or not fleet.has_workspace(workspace_id):
        raise no_workspace(workspace_id)
    settings, now = fleet.settings(workspace_id).budget, fleet.clock()
    spent = fleet.spending.spent(workspace_id, now)
    budget = None if settings is None else budget_of(settings.limits, spent, now)
    return BudgetOut(
        spent_today_usd=spent.today_usd,
        spent_this_month_usd=spent.month_usd,
        daily_usd=None if settings is None else settings.daily_usd,
        monthly_usd=None if settings is None else settings.monthly_usd,
        when_spent=None if settings is None else settings.when_spent,
        remaining_usd=None if budget is None else budget.remaining_usd,
        remaining_share=None if budget is None else budget.remaining_share,
        pace=None if budget is None else budget.pace,
        renews_at=None if budget is None else datetime.fromtimestamp(budget.renews_at, UTC),
        unpriced_calls=fleet.spending.unpriced_calls(workspace_id),
    )
