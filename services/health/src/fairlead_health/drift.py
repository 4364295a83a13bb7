"""Raises an alert for each kind of wire drift that an edge tells of, once ever, and ends it when it was acknowledged.

Told on the bus before it is saved: what dies in between is told again under the same message id.
"""

import asyncio
import logging
from typing import Final

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised, AlertStatus
from fairlead_common.events.edge import WireDriftSeen
from fairlead_common.ids import new_id, utc_now
from fairlead_common.snapshots.publisher import SnapshotPublisher
from faststream.nats import NatsMessage
from nats.aio.client import Client

from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.drift import WIRE_DRIFT, ended, identity_of, raised

logger = logging.getLogger(__name__)

LOOK_S: Final = 2.0
MOST: Final = 1000


class WireDrifts:
    """Any replica may do it: the alert is the same whoever raises it."""

    def __init__(
        self, client: Client, publisher: JetStreamPublisher, store: AlertStore, runbooks_url: str
    ) -> None:
        self._publisher = publisher
        self._store = store
        self._runbooks_url = runbooks_url
        self._active = SnapshotPublisher(client, "alerts-active")

    async def on_drift(self, body: bytes, message: NatsMessage) -> None:
        """An edge saw something new; what was told before is not told again."""
        seen = WireDriftSeen.model_validate_json(body)
        if await self._store.has_alert(identity_of(seen)):
            return
        silences = await self._store.holding()
        alert = raised(seen, utc_now(), new_id(), self._runbooks_url, silences)
        logger.warning("alert %s of %s: %s", alert.alertname, alert.provider, seen.kind)
        await self._publisher.publish(alert)
        await self._active.put(alert.fingerprint, alert)
        await self._store.save_alert(alert)

    async def run(self) -> None:
        """End what was acknowledged, for ever."""
        while True:
            try:
                for alert in await self._store.alerts(active=True, provider=None, limit=MOST):
                    if alert.alertname == WIRE_DRIFT and alert.status is AlertStatus.ACKNOWLEDGED:
                        await self._end(ended(alert, utc_now(), new_id()))
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("acknowledged drift cannot be ended: %s", type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def _end(self, alert: AlertRaised) -> None:
        await self._publisher.publish(alert)
        await self._active.delete(alert.fingerprint)
        await self._store.save_alert(alert)
