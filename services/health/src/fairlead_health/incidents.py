"""The operation that tells of incidents, and where switches of traffic are read from."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from fairlead_common.bus.reading import read_since
from fairlead_common.bus.rpc import RpcError
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.operations import incidents as ops
from fairlead_common.operations.health import Interval
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.incidents import Switch, incidents
from fairlead_health.store import HealthStore

logger = logging.getLogger(__name__)

USUAL: Final = timedelta(days=30)
MOST: Final = 5000


class IncidentApi:
    """One method."""

    def __init__(
        self, client: Client, store: HealthStore, alerts: AlertStore, providers: tuple[str, ...]
    ) -> None:
        self._client = client
        self._store = store
        self._alerts = alerts
        self._providers = providers

    async def incidents(self, request: ops.IncidentsQuery) -> ops.Incidents:
        """Newest first."""
        if request.provider is not None and request.provider not in self._providers:
            known = ", ".join(self._providers)
            text = f"provider '{request.provider}' is not configured; configured are {known}"
            raise RpcError(404, "unknown_provider", text)
        now = datetime.now(UTC)
        since = request.since or now - USUAL
        messages = await read_since(self._client, "FAILOVER", "failover.>", since)
        found: list[ops.Incident] = []
        for provider in (request.provider,) if request.provider is not None else self._providers:
            rows = await self._store.history(provider, since, None, MOST)
            alerts = await self._alerts.alerts_since(provider, since)
            intervals = [Interval.model_validate(dict(row)) for row in rows]
            found += incidents(provider, intervals, alerts, switches_of(provider, messages), now)
        found.sort(key=lambda incident: incident.opened_at, reverse=True)
        return ops.Incidents(incidents=found[: request.limit])


def switches_of(provider: str, messages: Iterable[Msg]) -> list[Switch]:
    """Switches away from the provider and back, each once, however many workspaces it concerned."""
    found: dict[tuple[bool, str, int], Switch] = {}
    for message in messages:
        away = message.subject.startswith(f"{FailoverSwitched.subject_prefix}.")
        try:
            event = (FailoverSwitched if away else FailoverRecovered).model_validate_json(message.data)
        except ValidationError:
            logger.warning("a switch on %s cannot be read", message.subject)
            continue
        ours, other = (event.from_target, event.to_target) if away else (event.to_target, event.from_target)
        if ours.partition("/")[0] == provider:
            cause = event.cause if isinstance(event, FailoverSwitched) else "well again"
            found.setdefault((away, other, event.version), Switch(event.occurred_at, away, other, cause))
    return list(found.values())
