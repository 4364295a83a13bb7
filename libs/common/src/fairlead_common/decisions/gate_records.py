"""What is known of a gate of the fleet, what can happen to it, and what is told of it. ``gates.advance`` moves it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, BreakerState
from fairlead_common.decisions.plan import GateState
from fairlead_common.outcomes import ErrorClass


class Cause(StrEnum):
    """Why a gate opened."""

    STATUS_DOWN = "status_down"
    CONSECUTIVE_FAILURES = "consecutive_failures"
    ERROR_RATE = "error_rate"
    MODELS_FAILING = "models_failing"
    """Several models of the provider failed at once."""
    RELAPSE = "relapse"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    LATENCY = "latency"
    TTFT = "ttft"
    TRUNCATION_RATE = "truncation_rate"
    STATUS_DEGRADED = "status_degraded"
    OPERATOR = "operator"
    DRAIN = "drain"


FAILURES: Final = frozenset({Cause.CONSECUTIVE_FAILURES, Cause.ERROR_RATE, Cause.RELAPSE})
LIMITS: Final = frozenset({Cause.RATE_LIMITED, Cause.QUOTA_EXHAUSTED})


class HoldKind(StrEnum):
    """What an operator wants of a gate until a time."""

    OUT = "out"
    """No traffic: a forced switch."""
    DRAIN = "drain"
    """No new traffic, for maintenance; what runs ends by itself."""
    PIN = "pin"
    """All of its traffic, whatever calls and health say."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An operator's hand on a gate, until ``until`` (Unix seconds)."""

    kind: HoldKind
    until: float


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Steps of recovery and thresholds of the fleet. Times in seconds, shares from 0 to 1."""

    steps: tuple[float, ...] = (0.01, 0.1, 0.5)
    step_s: float = 1.0
    """How long each step lasts at least."""
    quiet_steps: float = 3.0
    """A step in which no call succeeded (nor too many failed) lasts this many times as long."""
    trials: bool = True
    """False: after the wait traffic comes back in steps without a trial before."""
    probe_s: float = 15.0
    """Half-open without a result for this long: probing is not possible, so a trickle of traffic must find out."""
    blind_s: float = 30.0
    """Health has not looked at a provider that is down for this long: it is probed from here."""
    forget_s: float = 60.0
    """A gate that was closed for this long has no history of relapses."""
    old_s: float = 30.0
    """Outcomes of calls that ended longer ago than this are old news."""
    late_s: float = 5.0
    """Nor do outcomes open a gate that ended longer ago than this, limits apart: after a while without the bus they come
    all at once, and say how it was then."""
    rate_limit_s: float = 5.0
    """How long a limit lasts when the provider does not say."""
    quota_s: float = 300.0
    limit_max_s: float = 3600.0
    limits_in_row: int = 3
    """Rate limits in a row, without a word on how long, that open the gate."""
    breaker: BreakerSettings = field(default_factory=lambda: BreakerSettings(backoff_s=2.0))
    relapse: BreakerSettings = field(
        default_factory=lambda: BreakerSettings(consecutive=3, min_calls=6.0, success_share=0.5)
    )
    """What closes the way back again while recovering."""


@dataclass(frozen=True, slots=True)
class GateRecord:
    """All that is known of one gate. Times are Unix seconds."""

    key: str
    """provider, or provider/model."""
    state: GateState = GateState.CLOSED
    share: float = 1.0
    since: float = 0.0
    retry_at: float | None = None
    reason: str = "never opened"
    cause: Cause | None = None
    """Of the last opening, while the gate is not closed."""
    sequence: int = 0
    opened_at: float | None = None
    """Beginning of the outage; None = closed."""
    failing_since: float | None = None
    """End of the first failure of the run that opened it; None = no call did."""
    status: str = "unknown"
    """What health said last; a model has none of its own."""
    checked_at: float | None = None
    """When health has last seen a call or probe of it."""
    hold: Hold | None = None
    relapses: int = 0
    """Openings since it was last well for long; the exponent of the waiting time."""
    setbacks: int = 0
    """Steps back of this recovery; the exponent of the steps' length."""
    limits: int = 0
    """Rate limits in a row."""
    called_at: float = 0.0
    """End of the last call."""
    models: tuple[str, ...] = ()
    """Of a provider's gate: the models' gates for which it speaks since it opened."""
    breaker: BreakerState = FRESH


@dataclass(frozen=True, slots=True)
class StatusSeen:
    """Health's judgement of a provider."""

    status: str
    reason: str = ""
    checked_at: float | None = None


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call ended: well, through the provider's fault, or at a limit. ``ended_at`` None = now."""

    ok: bool
    ended_at: float | None = None
    limit: ErrorClass | None = None
    """RATE_LIMITED or QUOTA_EXHAUSTED."""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class ModelsFailing:
    """The gates of several models of the provider have opened."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Triggered:
    """A trigger of a workspace's own policy."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """An operator holds the gate."""

    hold: Hold
    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """An operator brings the traffic back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Observation = StatusSeen | CallSeen | ModelsFailing | Triggered | Held | Released | Tick


@dataclass(frozen=True, slots=True)
class Switch:
    """Traffic of a provider or model was moved away, or is all back. Times are Unix seconds."""

    kind: Literal["switched", "recovered"]
    key: str
    cause: str
    at: float
    opened_at: float
    """Beginning of the outage."""
    failing_since: float | None = None
    models: tuple[str, ...] = ()
    """Gates of models whose outages end with this one."""
