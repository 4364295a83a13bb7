"""The operations health answers, and its handler of call frames; errors become refusals here and nowhere else."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from fairlead_common.bus.redelivery import dead_letter_body
from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.events.health import ProviderStatus, Status
from fairlead_common.operations import health as ops
from fairlead_common.snapshots.publisher import SnapshotPublisher
from faststream.nats import NatsMessage
from nats.aio.client import Client
from pydantic import ValidationError

from fairlead_health.changes import settle
from fairlead_health.domain.score import Scaling, Span
from fairlead_health.history import UnansweredQuestion, points_of, steps_of
from fairlead_health.probes import Prober
from fairlead_health.results import Ledger, ProbeResults, result_of
from fairlead_health.store import HealthStore
from fairlead_health.windows import WindowStore, windows_of

SPANS = 20_000
"""States of a provider that are looked at for its availability: one every two minutes over a month."""


class HealthApi:
    """One method per operation.

    ``regions``: every configured provider, and where it is.
    """

    def __init__(
        self,
        client: Client,
        store: HealthStore,
        windows: WindowStore,
        results: ProbeResults,
        ledger: Ledger,
        prober: Prober,
        regions: Mapping[str, str | None],
        default_probe: ops.ProbeIn,
        scaling: Scaling,
    ) -> None:
        self._scaling = scaling
        self._store = store
        self._windows = windows
        self._results = results
        self._ledger = ledger
        self._prober = prober
        self._regions = regions
        self._providers = tuple(regions)
        self._default_probe = default_probe
        self._client = client
        self._states = SnapshotPublisher(client, "provider-status")
        self.schedules: Mapping[str, ops.ProbeIn] = {}

    async def on_frames(self, bodies: list[bytes], message: NatsMessage) -> None:
        """Count frames into the windows, each once; one that cannot be read becomes a dead letter."""
        frames = []
        for position, body in enumerate(bodies):
            try:
                frames.append(CallsCompleted.model_validate_json(body))
            except ValidationError as error:
                await dead_letter_body(message, position, error)
        await self._windows.add(frames)
        await self._results.add(frames)

    def probe_of(self, provider: str) -> ops.ProbeIn:
        """How a provider is probed, and what that may cost."""
        default = self._default_probe
        probe = self.schedules.get(provider, default)
        if probe.daily_budget_usd is None:
            probe = probe.model_copy(update={"daily_budget_usd": default.daily_budget_usd})
        if probe.monthly_budget_usd is None:
            probe = probe.model_copy(update={"monthly_budget_usd": default.monthly_budget_usd})
        return probe

    async def read_schedules(self) -> None:
        """Read the schedules anew, and what probes have cost."""
        rows = [dict(row) for row in await self._store.probes()]
        self.schedules = {row.pop("provider"): ops.ProbeIn.model_validate(row) for row in rows}
        await self._ledger.read()

    async def summary(self, request: Empty) -> ops.Summary:
        """All providers."""
        return ops.Summary(providers=[await self._health(provider) for provider in self._providers])

    async def provider(self, request: ops.OneProvider) -> ops.ProviderDetail:
        """One provider with windows."""
        self._known(request.provider)
        now = datetime.now(UTC)
        minutes = await self._windows.minutes(request.provider, now - timedelta(hours=2))
        hours = await self._windows.hours(request.provider, now - timedelta(days=31))
        spans = await self._spans(request.provider, now - timedelta(days=30), now)
        windows = await asyncio.to_thread(windows_of, minutes, hours, spans, now)
        health = await self._health(request.provider)
        return ops.ProviderDetail(health=health, windows=windows, score_formula=self._scaling.formula)

    async def history(self, request: ops.HistoryQuery) -> ops.History:
        """States and figures over time."""
        self._known(request.provider)
        now = datetime.now(UTC)
        try:
            begins = steps_of(request, now)
        except UnansweredQuestion as error:
            raise RpcError(422, "unanswered_question", str(error)) from error
        rows = await self._store.history(request.provider, request.since, request.until, request.limit)
        return ops.History(
            provider=request.provider,
            intervals=[ops.Interval.model_validate(dict(row)) for row in rows],
            points=await self._points(request, begins, now) if begins else [],
        )

    async def _points(
        self, request: ops.HistoryQuery, begins: Sequence[datetime], now: datetime
    ) -> list[ops.HistoryPoint]:
        read = self._windows.minutes if request.resolution in ("1m", "5m") else self._windows.hours
        rows = await read(request.provider, begins[0])
        spans = await self._spans(request.provider, begins[0], now)
        return await asyncio.to_thread(points_of, request, begins, rows, spans, now)

    async def _spans(self, provider: str, since: datetime, now: datetime) -> list[Span]:
        rows = await self._store.history(provider, since, None, SPANS)
        return [
            Span(row["status"], row["started_at"].timestamp(), (row["ended_at"] or now).timestamp())
            for row in rows
        ]

    async def probes(self, request: Empty) -> ops.Probes:
        """All schedules."""
        await self.read_schedules()
        return ops.Probes(probes=[self._probe(name) for name in self._providers])

    async def put_probe(self, request: ops.PutProbe) -> ops.Probe:
        """Change a schedule."""
        self._known(request.provider)
        await self._store.put_probe(request.provider, request.probe)
        await settle(self._client)
        await self.read_schedules()
        return self._probe(request.provider)

    async def run_probe(self, request: ops.RunProbe) -> ops.ProbeResult:
        """Probe now."""
        self._known(request.provider)
        probe = self.probe_of(request.provider)
        kind, model = request.probe.kind or probe.kind, request.probe.model
        call = await self._prober.run(
            request.provider,
            probe.model_copy(update={"kind": kind}),
            model or next(iter(probe.models), None),
        )
        return ops.ProbeResult.model_validate(result_of(call))

    async def probe_results(self, request: ops.ProbeResultsQuery) -> ops.ProbeResults:
        """What probes have found lately."""
        self._known(request.provider)
        rows = await self._results.recent(request.provider, request.limit)
        return ops.ProbeResults(results=[ops.ProbeResult.model_validate(dict(row)) for row in rows])

    def _probe(self, provider: str) -> ops.Probe:
        spend = self._ledger.spend_of(provider)
        return ops.Probe(
            provider=provider,
            region=self._regions.get(provider),
            spent_today_usd=spend.today_usd if spend else None,
            spent_this_month_usd=spend.this_month_usd if spend else None,
            budget_spent=self._prober.budget_spent(provider),
            **dict(self.probe_of(provider)),
        )

    async def set_maintenance(self, request: ops.SetMaintenance) -> Empty:
        """Begin."""
        self._known(request.provider)
        if request.maintenance.ends_at is not None and request.maintenance.ends_at <= datetime.now(UTC):
            raise RpcError(422, "ends_in_the_past", "ends_at must be in the future")
        await self._store.set_maintenance(
            request.provider, request.maintenance.reason, request.maintenance.ends_at
        )
        await settle(self._client)
        return Empty()

    async def end_maintenance(self, request: ops.OneProvider) -> Empty:
        """End."""
        self._known(request.provider)
        await self._store.end_maintenance(request.provider)
        await settle(self._client)
        return Empty()

    def _known(self, provider: str) -> None:
        if provider not in self._providers:
            known = ", ".join(self._providers)
            raise RpcError(
                404, "unknown_provider", f"provider '{provider}' is not configured; configured are {known}"
            )

    async def _health(self, provider: str) -> ops.ProviderHealth:
        found = await self._states.read(provider)
        now = datetime.now(UTC)
        if found is None:
            state = ProviderStatus(
                provider=provider, status=Status.UNKNOWN, since=now, sequence=0, reason="nothing was seen yet"
            )
            return ops.ProviderHealth.model_validate({**state.model_dump(), "coverage_percentage": 0.0})
        state = ProviderStatus.model_validate_json(found[1])
        coverage = state.coverage_percentage or 0.0
        return ops.ProviderHealth.model_validate({**state.model_dump(), "coverage_percentage": coverage})
