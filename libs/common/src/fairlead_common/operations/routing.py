"""What the routing service answers."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.snapshots.routes import RoutesSnapshot, Strategy

SERVICE = "routing"


class RuleIn(BaseModel):
    """A routing rule. The first enabled rule by priority (smallest first) whose conditions apply decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,79}$")
    strategy: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description=f"{', '.join(Strategy)}, or the name of a plug-in",
    )
    conditions: dict[str, object] = Field(default={}, description="see the documentation of routing rules")
    priority: int = Field(default=100, ge=0, le=1_000_000)
    enabled: bool = True


class Rule(RuleIn):
    """As it is stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    workspace_id: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class Rules(BaseModel):
    """All rules of a workspace, in the order in which they are looked at."""

    rules: list[Rule]


class OfWorkspace(BaseModel):
    """Which workspace."""

    workspace_id: int


class OneRule(BaseModel):
    """Which rule."""

    workspace_id: int
    rule_id: int


class CreateRule(BaseModel):
    """Add a rule."""

    workspace_id: int
    rule: RuleIn


class ReplaceRule(BaseModel):
    """Change a rule."""

    workspace_id: int
    rule_id: int
    rule: RuleIn


LIST = Operation(SERVICE, "list", OfWorkspace, Rules)
GET = Operation(SERVICE, "get", OneRule, Rule)
CREATE = Operation(SERVICE, "create", CreateRule, Rule)
REPLACE = Operation(SERVICE, "replace", ReplaceRule, Rule)
DELETE = Operation(SERVICE, "delete", OneRule, Empty)
TABLE = Operation(SERVICE, "table", OfWorkspace, RoutesSnapshot)
