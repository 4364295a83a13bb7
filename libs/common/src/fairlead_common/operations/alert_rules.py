"""Alert rules as people write them: when to tell whom of what. What can be refused by looking at one value alone is here.

A rule is told apart by its ``kind``. Times are seconds, shares 0 to 1; names of windows are lengths of time.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.events.alerts import Severity
from fairlead_common.operations.health import SERVICE

Window = Literal["5m", "30m", "1h", "6h", "24h", "3d"]
WINDOWS_S: Final[Mapping[str, int]] = {
    "5m": 300,
    "30m": 1800,
    "1h": 3600,
    "6h": 21_600,
    "24h": 86_400,
    "3d": 259_200,
    "7d": 604_800,
}
"""Lengths in seconds; up to 1 h they are counted by the minute, beyond by the hour."""

NAME: Final = r"^[a-z][a-z0-9_]{0,49}$"

Name = Annotated[str, Field(pattern=NAME)]
Quantile = Annotated[float, Field(ge=0.5, le=0.999)]
Calls = Annotated[int, Field(ge=1, description="fewer calls say nothing")]


class Rule(BaseModel):
    """What all rules have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    severity: Severity
    enabled: bool = True
    providers: tuple[str, ...] = Field(default=(), description="which it watches; empty: all")
    for_s: float = Field(default=0, ge=0, description="breached for so long before it fires")
    keep_firing_for_s: float = Field(
        default=0, ge=0, le=86_400, description="clear for so long before it resolves"
    )
    inhibited_by: tuple[str, ...] = Field(
        default=(), description="rules that make it superfluous while they fire for the same provider"
    )
    labels: dict[str, str] = Field(
        default={}, description="added to the alert's own, for silences and notifiers"
    )
    summary: str = Field(default="", max_length=300, description="{provider} stands for the provider's name")
    runbook_url: HttpUrl | None = Field(default=None, description="null: the page of the rule's kind")


class DownRule(Rule):
    """The provider's status is down."""

    kind: Literal["down"]


class DegradedRule(Rule):
    """The provider's status is degraded."""

    kind: Literal["degraded"]


class ErrorRateRule(Rule):
    """More than a share of the calls failed."""

    kind: Literal["error_rate"]
    threshold: float = Field(gt=0, lt=1, description="share of failed calls; a rate never exceeds 1")
    window: Window = "5m"
    min_calls: Calls = 10


class LatencyRule(Rule):
    """A quantile of the latency of successful calls exceeds a figure."""

    kind: Literal["latency"]
    threshold_ms: float = Field(gt=0, le=3_600_000)
    quantile: Quantile = 0.95
    window: Window = "5m"
    min_calls: Calls = 10


class LatencyBaselineRule(Rule):
    """A quantile of the latency exceeds a multiple of what it was over the provider's last 7 days."""

    kind: Literal["latency_baseline"]
    factor: float = Field(gt=1, le=100)
    quantile: Quantile = 0.95
    window: Window = "5m"
    min_calls: Calls = 20
    min_baseline_calls: Calls = 500


class Burn(BaseModel):
    """The error budget burns more than ``factor`` times as fast as would just use it up, in both windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: float = Field(gt=0)
    long: Window
    short: Window


class BurnRateRule(Rule):
    """The error budget of an objective burns too fast, in several windows (SRE workbook, chapter 5, sixth approach)."""

    kind: Literal["burn_rate"]
    objective: float = Field(ge=0.5, lt=1, description="share of calls that must succeed")
    burns: tuple[Burn, ...] = Field(min_length=1, max_length=8)
    min_calls: Calls = Field(default=100, description="in the long window")


class ProbeBudgetRule(Rule):
    """The budget of paid probes is spent, so that probing has fallen back to the cheap kind."""

    kind: Literal["probe_budget_spent"]


class CoverageRule(Rule):
    """Nothing was heard of the provider, neither from probes nor from live traffic: a dead man's switch."""

    kind: Literal["coverage_lost"]
    missed_probes: int = Field(default=3, ge=1, le=100)


AnyRule = Annotated[
    DownRule
    | DegradedRule
    | ErrorRateRule
    | LatencyRule
    | LatencyBaselineRule
    | BurnRateRule
    | ProbeBudgetRule
    | CoverageRule,
    Field(discriminator="kind"),
]

RUNBOOKS: Final[Mapping[str, str]] = {
    "down": "down",
    "degraded": "degraded",
    "error_rate": "high_error_rate",
    "latency": "high_latency",
    "latency_baseline": "latency_regression",
    "burn_rate": "burn_rate",
    "probe_budget_spent": "probe_budget_spent",
    "coverage_lost": "probes_lost",
}
"""Kind to its page under ``docs/runbooks``; the built-in rules that are named otherwise have pages of their own."""


class Problem(BaseModel):
    """Why a configuration is refused."""

    where: str = Field(description="for example rules[2].threshold")
    message: str


class RulesIn(BaseModel):
    """Rules that are to take the place of all that are there. Checked as a whole by health, so that all is said at once."""

    model_config = ConfigDict(extra="forbid")

    rules: list[dict[str, Any]] = Field(
        max_length=500, description="see docs/alerts.md for the kinds and their keys"
    )
    replaces: int | None = Field(
        default=None, description="refused unless this is the version in force; null: any"
    )
    by: str = Field(min_length=1, max_length=100)
    note: str = Field(default="", max_length=300)


class Rules(BaseModel):
    """A version of the rules. Version 0 is what Fairlead brings along."""

    version: int
    set_by: str | None
    set_at: AwareDatetime | None
    note: str
    rules: list[AnyRule]


class Checked(BaseModel):
    """What is wrong with a configuration; empty = it would be accepted."""

    problems: list[Problem]


class Version(BaseModel):
    """Who has set a version, and when."""

    version: int
    set_by: str
    set_at: AwareDatetime
    note: str


class Versions(BaseModel):
    """Newest first."""

    versions: list[Version]


RULES = Operation(SERVICE, "rules", Empty, Rules)
PUT_RULES = Operation(SERVICE, "put_rules", RulesIn, Rules)
CHECK_RULES = Operation(SERVICE, "check_rules", RulesIn, Checked)
RULE_VERSIONS = Operation(SERVICE, "rule_versions", Empty, Versions)
