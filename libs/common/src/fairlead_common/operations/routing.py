"""What the routing service answers."""

from typing import Literal

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
    version: int = Field(description="of the table in which it came to be as it is; 0 = unknown")
    created_at: AwareDatetime
    updated_at: AwareDatetime
    warnings: list[str] = Field(default=[], description="what may not be meant, found when it was written")


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
    changed_by: str | None = None
    """Id of the key that asked for it."""


class ReplaceRule(CreateRule):
    """Change a rule."""

    rule_id: int


class DeleteRule(OneRule):
    """Remove a rule."""

    changed_by: str | None = None


class StrategyOut(BaseModel):
    """What a rule can choose by."""

    name: str
    meaning: str
    package: str | None = Field(default=None, description="that brings it; null: built in")
    problem: str | None = Field(default=None, description="why it cannot be used; null: it can")


class Strategies(BaseModel):
    """All of them."""

    strategies: list[StrategyOut]


class ChangesQuery(BaseModel):
    """Which changes, the newest first."""

    workspace_id: int
    rule_id: int | None = Field(default=None, description="null: of all rules")
    before: int | None = Field(default=None, description="changes of versions before this one")
    limit: int = Field(default=50, ge=1, le=200)


class Change(BaseModel):
    """One change of one rule."""

    version: int = Field(description="of the table that it made")
    rule_id: int
    action: Literal["created", "changed", "deleted", "restored"]
    rule: RuleIn = Field(description="as it became; as it was, if it was deleted")
    changed_by: str | None = Field(description="id of the key that asked for it; null: unknown")
    changed_at: AwareDatetime


class Changes(BaseModel):
    """Changes of rules, the newest first."""

    current: int = Field(description="version of the newest table")
    published: int = Field(
        description="version of the table that edges follow; it stays behind one that fails its trial"
    )
    changes: list[Change]


class AtVersion(BaseModel):
    """Which version of a workspace's table."""

    workspace_id: int
    version: int = Field(ge=0)


class RuleThen(RuleIn):
    """A rule as it was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    version: int = Field(description="of the table in which it came to be so")


class TableThen(BaseModel):
    """All rules as they were when the table had this version, disabled ones included."""

    version: int
    rules: list[RuleThen]


class DiffQuery(BaseModel):
    """Which two versions."""

    workspace_id: int
    since: int = Field(ge=0)
    until: int = Field(ge=0)


class RuleDiff(BaseModel):
    """What became of one rule between two versions; a field that is not named stayed as it was."""

    rule_id: int
    name: str = Field(description="at the later version; the last one, if the rule is gone")
    before: dict[str, object] | None = Field(
        description="the fields that changed; null: the rule was not there"
    )
    after: dict[str, object] | None = Field(description="the same fields afterwards; null: the rule is gone")


class TableDiff(BaseModel):
    """Rules that differ."""

    since: int
    until: int
    rules: list[RuleDiff]


class RestoreTable(AtVersion):
    """Make the rules what they were."""

    changed_by: str | None = None


LIST = Operation(SERVICE, "list", OfWorkspace, Rules)
GET = Operation(SERVICE, "get", OneRule, Rule)
CREATE = Operation(SERVICE, "create", CreateRule, Rule)
REPLACE = Operation(SERVICE, "replace", ReplaceRule, Rule)
DELETE = Operation(SERVICE, "delete", DeleteRule, Empty)
TABLE = Operation(SERVICE, "table", OfWorkspace, RoutesSnapshot)
CHANGES = Operation(SERVICE, "changes", ChangesQuery, Changes)
TABLE_THEN = Operation(SERVICE, "table_then", AtVersion, TableThen)
DIFF = Operation(SERVICE, "diff", DiffQuery, TableDiff)
RESTORE = Operation(SERVICE, "restore", RestoreTable, TableThen)
STRATEGIES = Operation(SERVICE, "strategies", Empty, Strategies)
