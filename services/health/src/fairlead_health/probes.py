"""Probes: ticks of the schedules inside JetStream, executed by any replica, one tick once.

Ticks arrive on ``probes.due.<provider>``, by a durable that all replicas share. Taking a tick only queues the probe, so
that a provider that hangs holds up nobody else's. A tick is acknowledged when its result is on the bus: one whose worker
died is soon another's, and because ids of results derive from the tick, even then it counts once. Results travel as
``calls.completed`` frames, so a probe counts through the same door as live traffic. What contradicts the known state is
confirmed soon instead of at the next tick.
"""

import asyncio
import contextlib
import logging
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.calls import Call, CallsCompleted
from fairlead_common.events.health import Status
from fairlead_common.ids import derived_id, new_id, utc_now
from fairlead_common.operations.health import ProbeIn, ProbeKind
from fairlead_common.outcomes import CallState
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from faststream.nats import NatsMessage
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from fairlead_health.domain.budgets import Budget, Period, affordable, spent
from fairlead_health.domain.pace import needed
from fairlead_health.measuring import call_of, measure
from fairlead_health.results import Ledger

logger = logging.getLogger(__name__)

MAX_JITTER_S: Final = 5.0
CONFIRMATIONS: Final = 2
CONFIRM_GOOD_S: Final = 0.5
"""Pause before an answer of an unwell provider is confirmed."""
CONFIRM_BAD_S: Final = 2.0
"""Pause before a failure of a healthy provider is confirmed."""
STILL_AT_IT_S: Final = 1.5
"""A tick that is worked on is kept from other replicas this often."""
NO_MODEL: Final = "unknown"


class Due(NamedTuple):
    """A provider to be probed; ``tick`` None = nobody's schedule but ours."""

    provider: str
    tick: Msg | None


class Prober:
    """Executes probes in this replica."""

    def __init__(
        self,
        clients: Mapping[str, ProviderClient],
        catalog: Callable[[], Catalog],
        publisher: JetStreamPublisher,
        source: str,
        probe_of: Callable[[str], ProbeIn],
        status_of: Callable[[str], Status],
        ledger: Ledger,
    ) -> None:
        self._clients = clients
        self._catalog = catalog
        self._publisher = publisher
        self._source = source
        self._probe_of = probe_of
        self._status_of = status_of
        self._ledger = ledger
        self._proven: dict[str, float] = {}
        self._due: asyncio.Queue[Due] = asyncio.Queue()
        self._busy: set[str] = set()

    def live_success(self, provider: str, age_s: float) -> None:
        """Live traffic was answered by ``provider`` ``age_s`` seconds ago."""
        self._proven[provider] = max(self._proven.get(provider, 0.0), time.monotonic() - age_s)

    def budget_spent(self, provider: str) -> Period | None:
        """The budget of a provider's probes that is known to be spent, if one is."""
        spend, probe = self._ledger.spend_of(provider), self._probe_of(provider)
        return None if spend is None or probe.kind == "cheap" else spent(_budget(probe), spend)

    async def on_tick(self, body: bytes, message: NatsMessage) -> None:
        """A tick of a schedule: probe, unless that is under way, not wanted, or would tell nothing new."""
        provider = message.raw_message.subject.rpartition(".")[2]
        if not self._queue(Due(provider, message.raw_message)):
            await message.ack()

    def probe_soon(self, provider: str) -> None:
        """Something is doubtful: do not wait for the next tick."""
        self._queue(Due(provider, None))

    async def work(self) -> None:
        """Execute what is due, for ever, each provider by itself."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._execute(await self._due.get()))

    def _queue(self, due: Due) -> bool:
        provider = due.provider
        if provider not in self._clients or provider in self._busy or not self._is_wanted(provider):
            return False
        self._busy.add(provider)
        self._due.put_nowait(due)
        return True

    def _is_wanted(self, provider: str) -> bool:
        probe = self._probe_of(provider)
        age_s = time.monotonic() - self._proven.get(provider, -float("inf"))
        return probe.enabled and needed(self._status_of(provider), age_s, probe.interval_s)

    async def _execute(self, due: Due) -> None:
        try:
            async with _kept(due.tick):
                await self._probe(due)
            if due.tick is not None:
                await due.tick.ack()
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("a probe of %s is lost: %s: %s", due.provider, type(error).__name__, error)
        finally:
            self._busy.discard(due.provider)

    async def _probe(self, due: Due) -> None:
        probe = self._probe_of(due.provider)
        if due.tick is not None and self._status_of(due.provider) is Status.HEALTHY:
            await asyncio.sleep(jitter_s(due.provider, probe.interval_s))
            if not self._is_wanted(due.provider):
                return
        for model in probe.models or (None,):
            await self._until_certain(due, probe, model)

    async def _until_certain(self, due: Due, probe: ProbeIn, model: str | None) -> None:
        """Probe a model, and again while that says something else than the known state."""
        for turn in range(1 + CONFIRMATIONS):
            call_id = result_id(due.tick, f"{model}/{turn}") if due.tick is not None else None
            call = await self.run(due.provider, probe, model, call_id)
            if turn == CONFIRMATIONS:
                return
            await asyncio.sleep(CONFIRM_BAD_S if call.state is CallState.FAILED else CONFIRM_GOOD_S)
            if not contradicts(call, self._status_of(due.provider)):
                return

    async def run(
        self, provider: str, probe: ProbeIn, model: str | None = None, call_id: str | None = None
    ) -> Call:
        """Probe now and report the result as a call. Where no model is known, the list of models must do.

        Args:
            model: None = the cheapest that is known.
            call_id: of the result, which counts once; None = a new one.
        """
        client, catalog = self._clients[provider], self._catalog()
        if model is None and (known := catalog.cheapest.get(provider)) is not None:
            model = known.model
        kind: ProbeKind = probe.kind
        if model is None or not affordable(_budget(probe), self._ledger.spend_of(provider)):
            kind = "cheap"
        model = model or NO_MODEL
        call = call_of(await measure(client, kind, model), client, catalog, kind, model, call_id or new_id())
        self._ledger.add(call)
        frame = CallsCompleted(
            event_id=call.call_id, occurred_at=utc_now(), source=self._source, calls=(call,)
        )
        await self._publisher.publish(frame)
        return call


def _budget(probe: ProbeIn) -> Budget:
    return Budget(probe.daily_budget_usd, probe.monthly_budget_usd)


def contradicts(call: Call, status: Status) -> bool:
    """Whether a probe found something else than the known state; a rate limit contradicts nothing."""
    error = call.attempts[0].error_class
    if error is not None and not error.counts_against_provider:
        return False
    return (error is None) == (status in (Status.DOWN, Status.UNKNOWN))


def jitter_s(provider: str, interval_s: int) -> float:
    """A fixed offset per provider: schedules fire on whole seconds, all together."""
    return (zlib.crc32(provider.encode()) % 1000) / 1000 * min(MAX_JITTER_S, interval_s / 10)


def result_id(tick: Msg, turn: str) -> str:
    """Id of a result of the tick: the same, whoever executes it, and however often."""
    stored: datetime = tick.metadata.timestamp
    name = f"{tick.subject}/{tick.metadata.sequence.stream}/{stored.isoformat()}/{turn}"
    return derived_id(int(stored.timestamp() * 1000), name)


@asynccontextmanager
async def _kept(tick: Msg | None) -> AsyncIterator[None]:
    """While the block runs, JetStream gives the tick to nobody else."""

    async def keep(kept: Msg) -> None:
        while True:
            await asyncio.sleep(STILL_AT_IT_S)
            with contextlib.suppress(NatsError, OSError):
                await kept.in_progress()

    keeper = asyncio.create_task(keep(tick)) if tick is not None else None
    try:
        yield
    finally:
        if keeper is not None:
            keeper.cancel()
