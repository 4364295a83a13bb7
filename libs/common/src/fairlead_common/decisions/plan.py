"""The types of a routing decision: what is asked, what is known of the fleet, and the ordered plan that comes out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from fairlead_common.decisions.clusters import Prediction
from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.quality import NO_SCORES, QualityTable
from fairlead_common.decisions.targets import Entrant, Measured, Target


class Reason(StrEnum):
    """Why a target is in a plan at its place."""

    PRIMARY = "primary"
    """The first choice of the rule."""
    FAILOVER = "failover"
    """Stands in when those before it fail."""
    RETRY = "retry"
    """Tried once more after a pause: there is nobody else."""
    HEDGE = "hedge"
    """Tried beside the one before it, whose first token is late."""
    CONTINUATION = "continuation"
    """Goes on with an answer that broke."""
    HALF_OPEN = "half_open"
    """Its breaker lets this one request through to see whether it is well again."""
    PANIC = "panic"
    """Nothing is known to be well; the least bad is tried all the same."""


class GateState(StrEnum):
    """A breaker's state, local or of the fleet."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True)
class Gate:
    """How much of its traffic a provider or target may get now."""

    state: GateState = GateState.CLOSED
    share: float = 1.0
    """0 to 1: below 1 only while recovering."""
    retry_at: float | None = None
    """Unix time at which an open gate is tried again; None = unknown."""
    pinned: bool = False
    """An operator wants the traffic here, whatever health and the other gate say."""
    held: bool = False
    """An operator wants no traffic here."""


CLOSED: Final = Gate()


def narrower(wide: Gate, own: Gate) -> Gate:
    """Of the gates of a provider and of one of its models, the one that lets less through.

    An operator's pin of either is stronger than the other, unless an operator wants no traffic there.
    """
    if own.pinned and not wide.held:
        return own
    if wide.pinned and not own.held:
        return wide
    return wide if wide.share < own.share else own


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What routing needs to know of a request."""

    requested_model: str
    workspace_id: int = 1
    needs: frozenset[str] = frozenset()
    """Capabilities the request uses; see ``Candidate.capabilities``."""
    input_tokens: int = 0
    """Estimate."""
    max_output_tokens: int | None = None
    stream: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The caller's ``metadata``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers ``x-...`` in lower case; filled only when the table asks for them."""
    response_format: str = "text"
    task: str = "unknown"
    """Task class by the local classifier."""
    language: str = "und"
    """ISO 639-1, or und."""
    user: str = ""
    conversation: str = ""
    """Stable over the turns of one conversation; empty when the table does not ask for it."""
    failover: bool = True
    """False: one target, of those that the caller named, and nobody stands in for it."""
    turn: int = 0
    """Counts this process's requests, for round robin."""
    cost_limit: CostLimit | None = None
    """None = the caller has set none."""
    cached: Mapping[Target, float] = field(default_factory=dict)
    """target to the share of the input, 0 to 1, that is expected in the provider's prompt cache."""
    prediction: Prediction | None = None
    """None = the workspace has no learned table."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a workspace's budget in its current period."""

    remaining_usd: float
    remaining_share: float
    """0 to 1."""
    pace: float = 1.0
    """Remaining share of the money divided by the remaining share of the time; below 1 it is being spent too fast."""
    renews_at: float = math.inf
    """Unix time at which there is money again, or the next period begins."""
    blocks: bool = False
    """Once it is spent, requests are refused; otherwise they go to the cheapest."""

    @property
    def spent(self) -> bool:
        """Nothing is left."""
        return self.remaining_usd <= 0.0


@dataclass(frozen=True, slots=True)
class FleetView:
    """What this process knows of the providers now, from snapshots and from its own calls. Missing = unknown = usable."""

    status: Mapping[str, str] = field(default_factory=dict)
    """provider to healthy, degraded, down, unknown, maintenance."""
    fleet_gates: Mapping[str, Gate] = field(default_factory=dict)
    """provider to the fleet's gate, from failover."""
    target_gates: Mapping[Target, Gate] = field(default_factory=dict)
    """target to the fleet's gate of this model alone."""
    policy_gates: Mapping[str, Mapping[Target, Gate]] = field(default_factory=dict)
    """rule of the workspace's failover policy to target to the gate that the rule's triggers have moved."""
    local_gates: Mapping[Target, Gate] = field(default_factory=dict)
    """target to this process's own breaker."""
    measured: Mapping[Target, Measured] = field(default_factory=dict)
    in_flight: Mapping[str, int] = field(default_factory=dict)
    """provider to calls of this process under way."""
    headroom: Mapping[Target, float] = field(default_factory=dict)
    """target to the share of its rate limit that is left, 0 to 1."""
    prices: Mapping[Target, float] = field(default_factory=dict)
    """target to USD per output token, for conditions."""
    qualities: Mapping[Target, float] = field(default_factory=dict)
    """target to the catalog's quality, 0 to 1, for conditions."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """provider to its region."""
    budget: Budget | None = None
    """None = the workspace has no budget."""
    quality: QualityTable = NO_SCORES
    """The workspace's own scores of answers."""


class Step(NamedTuple):
    """One target of a plan."""

    target: Target
    reason: Reason


@dataclass(frozen=True, slots=True)
class Excluded:
    """A candidate that is not in the plan, and why, in words for people."""

    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """How the first target was chosen; with the table's version it can be decided again."""

    draw: float
    probability: float | None
    """Of this first target, over all draws; None = not computed for the strategy."""
    entrants: tuple[Entrant, ...]
    """Those that were fit and well: the chosen one, then the best first."""
    scores: tuple[float, ...]
    """Of each of them by the rule's strategy, 0 to 1."""
    explored: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets in the order in which they are to be tried; at least one."""

    steps: tuple[Step, ...]
    rule: str | None
    """Name of the rule that decided; None = the default."""
    strategy: str
    table_version: int
    excluded: tuple[Excluded, ...] = ()
    choice: Choice | None = None
    more: bool = False
    """There are stand-ins that were not looked at yet; when these steps fail, decide again, with them."""
    rule_version: int = 0
    """Version of the table in which the rule came to be as it is; 0 = unknown, or the default rule."""
    instead_of: Target | None = None
    """Who would be first if all of the named were well; None = he is."""
    stands_in: bool = False
    """The first target was not named: nobody who was is well."""


@dataclass(frozen=True, slots=True)
class NoCapacity:
    """Nothing can serve the request. ``status`` is the HTTP status the caller deserves."""

    status: int
    code: str
    message: str
    excluded: tuple[Excluded, ...] = ()
    retry_after_s: float | None = None
