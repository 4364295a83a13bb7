"""Value of key ``workspaces`` in the ``budgets`` bucket: what each workspace may spend, from the edge."""

from pydantic import BaseModel, ConfigDict

from fairlead_common.access import AccessSnapshot, BudgetSettings


class BudgetsSnapshot(BaseModel):
    """Workspace id to its budget; a workspace that is not in it has none."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    budgets: dict[int, BudgetSettings]


def budgets_of(access: AccessSnapshot) -> BudgetsSnapshot:
    """What those may know of it who must not see keys."""
    found = {number: each.settings.budget for number, each in access.workspaces.items()}
    return BudgetsSnapshot(budgets={number: each for number, each in found.items() if each is not None})
