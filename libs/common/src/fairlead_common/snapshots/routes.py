"""Value of the ``routes`` bucket, key = workspace id: the enabled routing rules of one workspace, from routing."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Strategy(StrEnum):
    """What a rule ranks by; plug-ins add their own words. See ``fairlead_common.decisions.strategies``."""

    LATENCY = "latency"
    COST = "cost"
    QUALITY = "quality"
    RELIABILITY = "reliability"
    BALANCED = "balanced"
    CHEAPEST = "cheapest"
    WEIGHTED = "weighted"
    ROUND_ROBIN = "round_robin"
    LEAST_LOAD = "least_load"


class RuleSnapshot(BaseModel):
    """One enabled rule. A smaller ``priority`` is looked at first; ``conditions`` is validated before it gets here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rule_id: int
    name: str
    strategy: str
    priority: int
    conditions: dict[str, object]
    version: int = 0
    """Of the table in which the rule came to be as it is; 0 = unknown."""


class RoutesSnapshot(BaseModel):
    """All rules of a workspace, by priority, then id."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    version: int
    rules: tuple[RuleSnapshot, ...] = ()
