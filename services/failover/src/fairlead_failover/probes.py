"""Trials of half-open gates: a real completion each, asked for by the replica that controls the fleet, under a budget.

The result travels as a ``calls.completed`` frame, so that it moves the gate through the same door as live traffic, and
health, the figures and the replicas on stand-by learn of it too.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.decisions.gate_records import GateRecord
from fairlead_common.decisions.targets import Target
from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted
from fairlead_common.ids import new_id, stamp, utc_now
from fairlead_common.outcomes import CallState
from fairlead_common.snapshots.failover import TrialSpend
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.prices import cost_usd
from fairlead_models.transport.protocol import Timeouts
from fairlead_models.unified import ChatRequest, EmbeddingRequest, Message, Usage

logger = logging.getLogger(__name__)

TIMEOUTS: Final = Timeouts(connect_s=2, first_byte_s=8, between_bytes_s=5, total_s=10)
OUTPUT_TOKENS: Final = 16
DAY_S: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What trials may cost in a day (UTC)."""

    usd: float
    calls: int
    """Trials a day, whatever they cost: prices may be unknown."""

    def allows(self, spent: TrialSpend, now: float) -> bool:
        """Whether another trial may be asked for at ``now`` (Unix seconds)."""
        return spent.day != now // DAY_S or (spent.usd < self.usd and spent.calls < self.calls)


def with_trial(spent: TrialSpend, cost_usd: float | None, now: float) -> TrialSpend:
    """After a trial at ``now`` (Unix seconds)."""
    today = int(now // DAY_S)
    before = spent if spent.day == today else TrialSpend(day=today)
    return TrialSpend(day=today, usd=before.usd + (cost_usd or 0.0), calls=before.calls + 1)


class Prober:
    """Asks providers for the smallest real completion. ``spent`` is published with the gates, and read back by the next."""

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        catalog: Callable[[], Catalog],
        publisher: JetStreamPublisher,
        source: str,
        budget: Budget,
    ) -> None:
        self._clients = clients
        self._catalog = catalog
        self._publisher = publisher
        self._source = source
        self._budget = budget
        self.spent = TrialSpend()

    def target_of(self, record: GateRecord) -> Target | None:
        """Whom a trial of this gate asks; None = nobody, or there is no money left for it."""
        provider, _, model = record.key.partition("/")
        if provider not in self._clients or not self._budget.allows(self.spent, time.time()):
            return None
        if not model and record.models:
            model = record.models[-1].partition("/")[2]
        return Target(provider, model) if model else self._catalog().cheapest.get(provider)

    async def probe(self, target: Target) -> None:
        """One trial. A result that the bus cannot take is lost, and the trial repeated."""
        began, started_at = time.perf_counter(), utc_now()
        error, usage = None, Usage()
        try:
            usage = await self._ask(target)
        except ProviderError as failed:
            error = failed
        cost = cost_usd(usage, self._catalog().price(target)) if error is None else None
        self.spent = with_trial(self.spent, cost, time.time())
        attempt = Attempt(
            provider=target.provider,
            model=target.model,
            offset_ms=0,
            duration_ms=round((time.perf_counter() - began) * 1000, 3),
            error_class=error.error_class if error else None,
            status=error.status if error else 200,
            retry_after_s=error.retry_after_s if error else None,
            reason="half_open",
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=cost,
        )
        call = Call(
            call_id=new_id(),
            kind=CallKind.PROBE,
            api="probe.half_open",
            requested_model=str(target),
            started_at=started_at,
            state=CallState.FAILED if error else CallState.OK,
            status=attempt.status or 0,
            provider=None if error else target.provider,
            model=None if error else target.model,
            duration_ms=attempt.duration_ms,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=cost,
            attempts=(attempt,),
        )
        try:
            await self._publisher.publish(CallsCompleted(**stamp(), source=self._source, calls=(call,)))
        except Exception as failure:
            if not is_away(failure):
                raise
            logger.warning("a trial of %s is lost: %s", target, type(failure).__name__)

    async def _ask(self, target: Target) -> Usage:
        client, entry = self._clients[target.provider], self._catalog().entries.get(target)
        if entry is not None and entry.embedding is not None:
            request = EmbeddingRequest(target.model, ["ok"])
            return (await client.embed(request, target.model, TIMEOUTS)).response.usage
        messages = [Message("user", "Reply with the single word: ok")]
        chat = ChatRequest(target.model, messages, max_output_tokens=OUTPUT_TOKENS)
        return (await client.chat(chat, target.model, TIMEOUTS)).response.usage
