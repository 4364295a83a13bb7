"""What can be chosen between: a model at a provider, what it can do and costs, and what was measured of it."""

from dataclasses import dataclass
from typing import NamedTuple


class Target(NamedTuple):
    """One model at one provider; the unit of a plan."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that may answer a request, with the facts of the catalog. None = unknown, never a guess."""

    target: Target
    named: bool
    """True: what the caller asked for resolves to it; False: an equivalent, allowed only as a stand-in."""
    capabilities: frozenset[str] | None = None
    """tools, vision, structured_output, reasoning, streaming, ...; None = unknown, and then not refused for that."""
    context_window: int | None = None
    """Tokens."""
    max_output_tokens: int | None = None
    input_price: float | None = None
    """USD per token."""
    output_price: float | None = None
    """USD per token."""
    quality: float | None = None
    """0 to 1, from the catalog; measured quality has precedence."""
    cached_input_price: float | None = None
    """USD per token."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What live traffic showed of one target lately; None = not enough was seen to say."""

    calls: int = 0
    error_rate: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    ttft_p50_ms: float | None = None
    cost_per_call_usd: float | None = None
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Entrant:
    """A candidate of a rule with everything about it that does not depend on the request. None = unknown."""

    candidate: Candidate
    place: int
    """In the order in which the candidates came, from 0."""
    weight: float
    """Of the rule's target that brought it; 1 without."""
    latency_ms: float | None
    ttft_ms: float | None
    quality: float | None
    reliability: float
    latency_score: float
    ttft_score: float
    calls: int
    """Measured calls behind the estimates."""
    quality_source: str | None = None
    """predictor, scores, measured or catalog; None = the quality is unknown."""
    base_whole: float = 0.0
    """The part of its score by the rule's strategy that depends on no request; see ``strategies.bases``."""
    base_stream: float = 0.0
    """The same for streams."""

    @property
    def target(self) -> Target:
        """The target."""
        return self.candidate.target
