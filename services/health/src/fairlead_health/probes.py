"""Probes: ticks of the schedules inside JetStream, executed by any replica, one tick once.

Ticks arrive on ``probes.due.<provider>``, by a durable that all replicas share. Taking a tick only queues the probe, so
that a provider that hangs holds up nobody else's. Results travel as ``calls.completed`` frames, so a probe counts through
the same door as live traffic. What contradicts the known state is confirmed soon instead of at the next tick.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted
from fairlead_common.events.health import Status
from fairlead_common.ids import new_id, stamp, utc_now
from fairlead_common.operations.health import ProbeIn
from fairlead_common.outcomes import CallState
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.prices import cost_usd
from fairlead_models.transport.protocol import Phases, Timeouts
from fairlead_models.unified import ChatRequest, Message, Usage
from faststream.nats import NatsMessage

logger = logging.getLogger(__name__)

PROBE_TIMEOUTS: Final = Timeouts(connect_s=3, first_byte_s=15, between_bytes_s=10, total_s=30)
PROBE_OUTPUT_TOKENS: Final = 16
MAX_JITTER_S: Final = 5.0
FRESH_S: Final = 10.0
"""A provider that live traffic has proven healthy this recently is not probed."""
CONFIRMATIONS: Final = 2
CONFIRM_GOOD_S: Final = 0.5
"""Pause before an answer of an unwell provider is confirmed."""
CONFIRM_BAD_S: Final = 2.0
"""Pause before a failure of a healthy provider is confirmed."""


def request_for(kind: str, model: str) -> ChatRequest:
    """The smallest real chat; the limit leaves reasoning models room to end."""
    messages = [Message("user", "Reply with the single word: ok")]
    return ChatRequest(model, messages, stream=kind == "streaming", max_output_tokens=PROBE_OUTPUT_TOKENS)


def cheapest(catalog: Catalog, provider: str) -> str | None:
    """The provider's chat model with the lowest known output price, or its first one; those of a class first."""
    chats = [
        target
        for target, entry in catalog.entries.items()
        if target.provider == provider and entry.embedding is None
    ]
    found = [target for target in chats if catalog.entries[target].classes] or chats
    priced = [
        (price.output, target.model)
        for target in found
        if (price := catalog.price(target)) is not None and price.output is not None
    ]
    if priced:
        return min(priced)[1]
    return found[0].model if found else None


class Prober:
    """Executes probes in this replica."""

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        catalog: Catalog,
        publisher: JetStreamPublisher,
        source: str,
        probe_of: Callable[[str], ProbeIn],
        status_of: Callable[[str], Status],
    ) -> None:
        self._clients = clients
        self._catalog = catalog
        self._publisher = publisher
        self._source = source
        self._probe_of = probe_of
        self._status_of = status_of
        self._proven: dict[str, float] = {}
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._busy: set[str] = set()

    def live_success(self, provider: str, age_s: float) -> None:
        """Live traffic was answered by ``provider`` ``age_s`` seconds ago."""
        self._proven[provider] = max(self._proven.get(provider, 0.0), time.monotonic() - age_s)

    async def on_tick(self, body: bytes, message: NatsMessage) -> None:
        """A tick of a schedule: probe, unless that is under way, not wanted, or would tell nothing new."""
        provider = message.raw_message.subject.rpartition(".")[2]
        if provider in self._clients and provider not in self._busy and self._is_wanted(provider):
            self._busy.add(provider)
            self._due.put_nowait(provider)

    async def work(self) -> None:
        """Execute what is due, for ever, each provider by itself."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._probe(await self._due.get()))

    def _is_wanted(self, provider: str) -> bool:
        probe, status = self._probe_of(provider), self._status_of(provider)
        if not probe.enabled or status is Status.MAINTENANCE:
            return False
        age_s = time.monotonic() - self._proven.get(provider, -float("inf"))
        return status is not Status.HEALTHY or age_s >= min(FRESH_S, probe.interval_s)

    async def _probe(self, provider: str) -> None:
        try:
            probe = self._probe_of(provider)
            if self._status_of(provider) is Status.HEALTHY:
                await asyncio.sleep(jitter_s(provider, probe.interval_s))
            call = await self.run(provider, probe)
            for _ in range(CONFIRMATIONS):
                await asyncio.sleep(CONFIRM_BAD_S if call.state is CallState.FAILED else CONFIRM_GOOD_S)
                if not contradicts(call, self._status_of(provider)):
                    break
                call = await self.run(provider, probe)
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("a probe of %s is lost: %s: %s", provider, type(error).__name__, error)
        finally:
            self._busy.discard(provider)

    async def run(self, provider: str, probe: ProbeIn) -> Call:
        """Probe now and report the result as a call. Where no model is known, the list of models must do."""
        client = self._clients[provider]
        model = probe.model or cheapest(self._catalog, provider)
        if model is None:
            model, probe = "unknown", probe.model_copy(update={"kind": "cheap"})
        began, started_at = time.perf_counter(), utc_now()
        error: ProviderError | None = None
        ttft_ms: float | None = None
        usage, phases = Usage(), Phases()
        try:
            if probe.kind == "cheap":
                await client.list_models(PROBE_TIMEOUTS)
            elif probe.kind == "streaming":
                usage, ttft_ms = await self._stream(client, model, began)
            else:
                answer = await client.chat(request_for(probe.kind, model), model, PROBE_TIMEOUTS)
                usage, phases = answer.response.usage, answer.phases
        except ProviderError as failed:
            error = failed
        call = self._call(
            provider, model, probe, started_at, (time.perf_counter() - began) * 1000, ttft_ms, usage, error
        )
        logger.debug("probe of %s: %s (connect %s ms)", provider, call.state, phases.connect_ms)
        await self._publisher.publish(CallsCompleted(**stamp(), source=self._source, calls=(call,)))
        return call

    @staticmethod
    async def _stream(client: ProviderClient, model: str, began: float) -> tuple[Usage, float | None]:
        usage, ttft_ms = Usage(), None
        async with client.streaming(request_for("streaming", model), model, PROBE_TIMEOUTS) as stream:
            while chunks := await stream.next():
                for chunk in chunks:
                    if chunk.has_token and ttft_ms is None:
                        ttft_ms = (time.perf_counter() - began) * 1000
                    usage = chunk.usage or usage
        return usage, ttft_ms

    def _call(
        self,
        provider: str,
        model: str,
        probe: ProbeIn,
        started_at: object,
        duration_ms: float,
        ttft_ms: float | None,
        usage: Usage,
        error: ProviderError | None,
    ) -> Call:
        target = next((each for each in self._catalog.entries if each == (provider, model)), None)
        cost = cost_usd(usage, self._catalog.price(target)) if target is not None else None
        attempt = Attempt(
            provider=provider,
            model=model,
            offset_ms=0,
            duration_ms=round(duration_ms, 3),
            ttft_ms=None if ttft_ms is None else round(ttft_ms, 3),
            error_class=error.error_class if error else None,
            status=error.status if error else 200,
            retry_after_s=error.retry_after_s if error else None,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=cost,
        )
        return Call.model_validate(
            {
                "call_id": new_id(),
                "kind": CallKind.PROBE,
                "api": f"probe.{probe.kind}",
                "requested_model": f"{provider}/{model}",
                "stream": probe.kind == "streaming",
                "started_at": started_at,
                "state": CallState.FAILED if error else CallState.OK,
                "status": attempt.status or 0,
                "provider": None if error else provider,
                "model": None if error else model,
                "duration_ms": attempt.duration_ms,
                "ttft_ms": attempt.ttft_ms,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_usd": cost,
                "attempts": (attempt,),
            }
        )


def contradicts(call: Call, status: Status) -> bool:
    """Whether a probe found something else than the known state; a rate limit contradicts nothing."""
    error = call.attempts[0].error_class
    if error is not None and not error.counts_against_provider:
        return False
    return (error is None) == (status in (Status.DOWN, Status.UNKNOWN))


def jitter_s(provider: str, interval_s: int) -> float:
    """A fixed offset per provider: schedules fire on whole seconds, all together."""
    return (zlib.crc32(provider.encode()) % 1000) / 1000 * min(MAX_JITTER_S, interval_s / 10)
