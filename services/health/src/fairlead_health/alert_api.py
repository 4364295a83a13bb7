"""The operations on alerts and silences; errors become refusals here and nowhere else."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations import alerts as ops

from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.drift import WIRE_DRIFT
from fairlead_health.domain.silences import refusal
from fairlead_health.rules import SECTION, in_force


class AlertApi:
    """One method per operation."""

    def __init__(
        self, store: AlertStore, providers: tuple[str, ...], settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._providers = providers
        self._settle = settle

    async def alerts(self, request: ops.AlertsQuery) -> ops.Alerts:
        """Alerts, newest first."""
        found = await self._store.alerts(
            active=request.active, provider=request.provider, limit=request.limit
        )
        return ops.Alerts(alerts=found)

    async def acknowledge(self, request: ops.Acknowledge) -> AlertRaised:
        """Somebody looks after an alert."""
        alert = await self._store.acknowledge(request.alert_id, request.by, request.note)
        if alert is None:
            raise RpcError(404, "unknown_alert", f"there is no alert '{request.alert_id}'")
        if alert.ends_at is not None:
            raise RpcError(
                409, "already_resolved", "the alert is resolved already; nothing needs to be acknowledged"
            )
        await self._settle()
        return alert

    async def silence(self, request: ops.SilenceIn) -> ops.Silence:
        """Nobody is to be told for a while, and that holds when this is answered."""
        rules = in_force(await self._store.config(SECTION)).rules
        names = {WIRE_DRIFT, *(rule.name for rule in rules)}
        reason = refusal(request, await self._store.silences(), datetime.now(UTC), self._providers, names)
        if reason is not None:
            raise RpcError(422, "invalid_silence", reason)
        added = await self._store.add_silence(request)
        await self._settle()
        return added

    async def silences(self, request: Empty) -> ops.Silences:
        """Those that hold or will hold."""
        return ops.Silences(silences=await self._store.silences())

    async def end_silence(self, request: ops.OneSilence) -> ops.Silence:
        """People are told again, from now on."""
        silence = await self._store.end_silence(request.id)
        if silence is None:
            raise RpcError(
                404, "unknown_silence", f"there is no silence {request.id} that is not over already"
            )
        await self._settle()
        return silence
