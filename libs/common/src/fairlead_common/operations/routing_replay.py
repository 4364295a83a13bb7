"""What the routing service answers about past calls: what-if, analytics, feedback."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fairlead_common.access import BudgetSettings
from fairlead_common.bus.rpc import Operation
from fairlead_common.operations.routing import SERVICE, RuleIn
from fairlead_common.operations.times import Moment

MAX_RULES = 1000
Share = Annotated[float, Field(ge=0, le=1)]


class Period(BaseModel):
    """A span of time; ``until`` is not in it."""

    since: Moment
    until: Moment


class Changed(Period):
    """The rules that are tried on the past: exactly one of ``rule``, ``rules`` and ``version``."""

    model_config = ConfigDict(extra="forbid")

    rule: RuleIn | None = Field(default=None, description="the present rules, with this one added")
    rule_id: int | None = Field(default=None, description="with 'rule': it replaces the one of this id")
    rules: list[RuleIn] | None = Field(
        default=None, max_length=MAX_RULES, description="these instead of all present rules; may be empty"
    )
    version: int | None = Field(default=None, ge=0, description="the rules as they were at this version")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Changed":
        if sum(each is not None for each in (self.rule, self.rules, self.version)) != 1:
            raise ValueError("give exactly one of rule, rules and version")
        if self.rule_id is not None and self.rule is None:
            raise ValueError("rule_id goes with rule")
        return self


class WhatIfQuery(Changed):
    """Replay a workspace's calls under changed rules."""

    workspace_id: int
    budget: BudgetSettings | None = Field(default=None, description="the workspace's; null: it has none")


class Estimate(BaseModel):
    """A difference with its 95 % interval. Null = nothing is known."""

    value: float | None
    low: float | None
    high: float | None


class MetricDifference(BaseModel):
    """What would have changed per call, on average over the calls for which both sides are known."""

    metric: Literal["cost_usd", "latency_ms", "ttft_ms", "quality", "failure_share"]
    before: float | None = Field(description="as it was; quality: as it was expected")
    after: float | None
    difference: Estimate = Field(description="after - before")
    calls: int = Field(description="that could be compared")
    unknown: int = Field(description="replayed calls that could not: nothing is known of the other target")


class ShareDifference(BaseModel):
    """Who would have been chosen first how often."""

    name: str = Field(description="provider, or provider/model")
    before: Share
    after: Share
    difference: Estimate


class NotReplayed(BaseModel):
    """Calls that could not be replayed, and why."""

    reason: str
    calls: int


class WhatIf(BaseModel):
    """The past under changed rules."""

    calls: int = Field(description="routed live calls of the period")
    looked_at: int = Field(description="of them, one in so many by a hash of its id when there are very many")
    replayed: int
    changed: int = Field(description="of the replayed, those that would have gone elsewhere first")
    unserved: int = Field(description="of the replayed, those that nothing could have served")
    blocked: int = Field(description="of the unserved, those that the spent budget would have refused")
    not_replayed: list[NotReplayed]
    rules: dict[str, int] = Field(description="calls by the rule that would have decided; '' = the default")
    providers: list[ShareDifference]
    models: list[ShareDifference]
    metrics: list[MetricDifference]
    assumed: list[str] = Field(description="what had to be taken for true")
    method: str


class AnalyticsQuery(Period):
    """What routing did for a workspace."""

    workspace_id: int
    baseline: str | None = Field(
        default=None, description="provider/model that savings are counted against; null: the one chosen most"
    )


class Count(BaseModel):
    """How often, and what share of the routed calls that is."""

    name: str
    calls: int
    share: Share


class Savings(BaseModel):
    """What was paid, beside what the baseline would have cost for the same tokens."""

    baseline: str
    paid_usd: float
    baseline_usd: float
    saved_usd: float
    calls: int = Field(description="whose cost and tokens are known")


class Regret(BaseModel):
    """How much worse the choice was than the best of its candidates by what turned out afterwards, per call."""

    metric: Literal["cost_usd", "latency_ms", "failure_share"]
    mean: Estimate
    best_share: float | None = Field(description="share of calls whose choice was the best one in hindsight")
    calls: int


class Analytics(BaseModel):
    """What routing did."""

    calls: int
    looked_at: int
    since: datetime
    until: datetime
    rules: list[Count]
    strategies: list[Count]
    providers: list[Count]
    models: list[Count]
    tasks: list[Count]
    explored: int
    fallbacks: int = Field(description="calls that another target answered than the first of the plan")
    fallbacks_from: list[Count] = Field(description="by the target that was tried first")
    unserved: int = Field(description="calls that no candidate was allowed to serve")
    exclusions: list[Count] = Field(
        description="reasons for which candidates were left out; a share of the calls"
    )
    violations: list[Count] = Field(
        description="answers that broke a limit of the rule that decided, by limit"
    )
    savings: Savings | None
    regret: list[Regret]
    method: str


class FeedbackIn(BaseModel):
    """What somebody thinks of the answer to a call; exactly one of ``thumb`` and ``score``."""

    model_config = ConfigDict(extra="forbid")

    call_id: UUID = Field(description="the answer's x-request-id")
    thumb: Literal["up", "down"] | None = None
    score: Share | None = None
    by: str = Field(
        default="", max_length=80, description="who; one opinion of each about a call, the latest counts"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "FeedbackIn":
        if (self.thumb is None) == (self.score is None):
            raise ValueError("give either thumb or score")
        return self

    @property
    def value(self) -> float:
        """0 to 1."""
        return self.score if self.score is not None else float(self.thumb == "up")


class GiveFeedback(BaseModel):
    """Feedback of one key's holder."""

    workspace_id: int
    key_id: str
    feedback: FeedbackIn


class Feedback(BaseModel):
    """As it is kept."""

    call_id: str
    by: str
    score: Share
    provider: str
    model: str
    task: str


WHAT_IF = Operation(SERVICE, "what_if", WhatIfQuery, WhatIf, timeout_s=60)
ANALYTICS = Operation(SERVICE, "analytics", AnalyticsQuery, Analytics, timeout_s=60)
FEEDBACK = Operation(SERVICE, "feedback", GiveFeedback, Feedback)
