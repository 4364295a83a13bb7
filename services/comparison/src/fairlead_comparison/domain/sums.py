"""What is kept of many attempts: counts, sums of squares and sketches that add up, so that any window can be put together.

=================  ======================================================================================
attempts           attempts that say something of the provider: a caller's own errors and deadlines are left out
failures           those that did not end in a complete answer; a rate limit is one of them
latency, ttft      complete answers only: a provider that fails fast must not look fast
cost_usd, priced   complete answers whose cost is known
generations        complete answers that came as a stream: output tokens over the time after the first token
=================  ======================================================================================
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import NamedTuple

from fairlead_common import sketch
from fairlead_common.outcomes import ErrorClass


class SumKey(NamedTuple):
    """What sums are kept by. ``minute`` is aware, in UTC."""

    provider: str
    model: str
    kind: str
    minute: datetime


@dataclass(slots=True)
class Sums:
    """Sums over attempts; times in milliseconds, cost in USD. ``_sq`` = sum of squares."""

    attempts: int = 0
    failures: int = 0
    output_tokens: int = 0
    generation_ms: float = 0.0
    cost_usd: float = 0.0
    priced: int = 0
    cost_usd_sq: float = 0.0
    generations: int = 0
    output_tokens_sq: float = 0.0
    generation_ms_sq: float = 0.0
    tokens_times_ms: float = 0.0
    latency: sketch.Sketch = field(default_factory=Counter)
    ttft: sketch.Sketch = field(default_factory=Counter)

    @property
    def successes(self) -> int:
        """Complete answers."""
        return self.attempts - self.failures

    def add(self, other: "Sums") -> None:
        """Add what another part of the same traffic showed."""
        for name in PLAIN:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latency.update(other.latency)
        self.ttft.update(other.ttft)

    def observe(
        self,
        error: ErrorClass | None,
        duration_ms: float,
        ttft_ms: float | None,
        output_tokens: int | None,
        cost_usd: float | None,
    ) -> None:
        """Add one attempt that says something of the provider."""
        self.attempts += 1
        if error is not None:
            self.failures += 1
            return
        self.latency[sketch.bucket_of(duration_ms)] += 1
        if ttft_ms is not None:
            self.ttft[sketch.bucket_of(ttft_ms)] += 1
            self._generation(output_tokens, duration_ms - ttft_ms)
        if cost_usd is not None:
            self.priced += 1
            self.cost_usd += cost_usd
            self.cost_usd_sq += cost_usd * cost_usd

    def _generation(self, tokens: int | None, time_ms: float) -> None:
        if tokens is None or tokens < 2 or time_ms <= 0:
            return
        self.generations += 1
        self.output_tokens += tokens
        self.generation_ms += time_ms
        self.output_tokens_sq += float(tokens) * tokens
        self.generation_ms_sq += time_ms * time_ms
        self.tokens_times_ms += tokens * time_ms


PLAIN = tuple(each.name for each in fields(Sums) if each.name not in ("latency", "ttft"))
"""Names of the fields that are numbers; also the columns of the rollup tables."""
WHOLE = frozenset(each.name for each in fields(Sums) if each.type is int)
"""Those that are whole numbers."""


class Part(NamedTuple):
    """Sums of one model at one provider in the block of time that begins at ``at``."""

    provider: str
    model: str
    at: datetime
    sums: Sums


def total(parts: Iterable[Sums]) -> Sums:
    """Several parts as one."""
    found = Sums()
    for part in parts:
        found.add(part)
    return found
