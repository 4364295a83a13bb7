"""Reading back what was told before, by this process or another: from the streams, the bucket and the database.

Each may be ahead of the others or empty; per provider and per alert the highest sequence counts. The database is asked,
but waited for only when the bus knows nothing: sequences must not begin anew.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from fairlead_common.bus.reading import read_last
from fairlead_common.bus.redelivery import is_away
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished
from fairlead_common.service import retrying
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError
from sqlalchemy import RowMapping

from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.alerts import recalled
from fairlead_health.domain.status import resumed
from fairlead_health.domain.watch import Watch
from fairlead_health.store import HealthStore

logger = logging.getLogger(__name__)

DATABASE_TIMEOUT_S: Final = 2.0
SERVICE: Final = "health"


@dataclass
class Memory:
    """What was told last."""

    states: dict[str, ProviderStatus] = field(default_factory=dict)
    """By provider."""
    seen_at: dict[str, float] = field(default_factory=dict)
    """Provider to the Unix time at which its state was last told or saved."""
    untold: dict[str, ProviderStatus | None] = field(default_factory=dict)
    """Providers whose last change is not in the stream, with the state that the stream has."""
    alerts: dict[str, AlertRaised] = field(default_factory=dict)
    """By fingerprint."""

    def keep_state(self, state: ProviderStatus, seen_at: float) -> None:
        """Keep the newer one."""
        known = self.states.get(state.provider)
        if known is None or known.sequence < state.sequence:
            self.states[state.provider] = state
        self.seen_at[state.provider] = max(seen_at, self.seen_at.get(state.provider, 0.0))

    def keep_alert(self, alert: AlertRaised) -> None:
        """Keep the newer one."""
        known = self.alerts.get(alert.fingerprint)
        if known is None or known.sequence < alert.sequence:
            self.alerts[alert.fingerprint] = alert

    def resumed(self, watch: Watch, now: float, flap_window_s: float) -> Watch:
        """The watch of a provider, going on from what was told of it last."""
        provider = watch.record.provider
        if (state := self.states.get(provider)) is not None:
            record = resumed(
                watch.record,
                state.status,
                state.since.timestamp(),
                state.sequence,
                state.reason,
                state.last_check.timestamp() if state.last_check is not None else None,
                tuple(span.end for span in watch.spans if span.end > now - flap_window_s),
            )
            watch = replace(watch, record=record)
        found = {
            identity: recalled(alert) for identity, alert in self.alerts.items() if alert.provider == provider
        }
        return replace(watch, alerts=found)


async def recall(client: Client, store: HealthStore, alert_store: AlertStore) -> Memory:
    """Everything that was told.

    Raises:
        nats.errors.Error, OSError: the bus does not answer.
    """
    memory = Memory()
    streamed = states_in(await read_last(client, "STATUS", f"{ProviderStatusPublished.subject_prefix}.>"))
    for event, stored_at in streamed.values():
        memory.keep_state(event.state, stored_at)
    for alert in alerts_in(await read_last(client, "ALERTS", f"{AlertRaised.subject_prefix}.>")).values():
        memory.keep_alert(alert)
    bucket = SnapshotPublisher(client, "provider-status")
    for key in await bucket.keys():
        if (found := await bucket.read(key)) is not None:
            state = ProviderStatus.model_validate_json(found[1])
            memory.keep_state(state, state.since.timestamp())
    states, alerts = await _saved(store, alert_store, wait=not memory.states)
    for row in states:
        memory.keep_state(_state(row), row["updated_at"].timestamp())
    for alert in alerts:
        memory.keep_alert(alert)
    for provider, state in memory.states.items():
        told = streamed[provider][0].state if provider in streamed else None
        if told is None or told.sequence < state.sequence:
            memory.untold[provider] = told
    return memory


def states_in(messages: Iterable[Msg]) -> dict[str, tuple[ProviderStatusPublished, float]]:
    """Provider to its event and the Unix time at which the bus stored it."""
    found = {}
    for message in messages:
        try:
            event = ProviderStatusPublished.model_validate_json(message.data)
        except ValidationError:
            logger.warning("a state on %s cannot be read", message.subject)
            continue
        found[event.state.provider] = (event, message.metadata.timestamp.timestamp())
    return found


def alerts_in(messages: Iterable[Msg]) -> dict[str, AlertRaised]:
    """Fingerprint to alert, of those that health has raised."""
    found: dict[str, AlertRaised] = {}
    for message in messages:
        try:
            alert = AlertRaised.model_validate_json(message.data)
        except ValidationError:
            logger.warning("an alert on %s cannot be read", message.subject)
            continue
        known = found.get(alert.fingerprint)
        if alert.labels.get("service") == SERVICE and (known is None or known.sequence < alert.sequence):
            found[alert.fingerprint] = alert
    return found


async def _saved(
    store: HealthStore, alert_store: AlertStore, *, wait: bool
) -> tuple[list[RowMapping], list[AlertRaised]]:
    if wait:
        return (
            await retrying("reading the states", store.states),
            await retrying("reading the alerts", alert_store.last_alerts),
        )
    try:
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            return await store.states(), await alert_store.last_alerts()
    except Exception as error:
        if not is_away(error):
            raise
        logger.warning("going on without the database: %s", type(error).__name__)
        return [], []


def _state(row: RowMapping) -> ProviderStatus:
    return ProviderStatus.model_validate({key: value for key, value in row.items() if key != "updated_at"})
