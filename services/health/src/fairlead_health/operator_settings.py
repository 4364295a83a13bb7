"""What operators have set, as it was read last: maintenance, silences, acknowledgements, rules, schedules of probes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from nats.aio.client import Client

from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.raising import Acknowledgement
from fairlead_health.rules import RuleBook
from fairlead_health.store import HealthStore

TIMEOUT_S: Final = 2.0


class OperatorSettings:
    """As they were read last.

    Args:
        interval_s: of the probes of a provider for which nobody has set one.
    """

    def __init__(self, client: Client, store: HealthStore, alerts: AlertStore, interval_s: int) -> None:
        self._store = store
        self._interval_s = interval_s
        self._intervals_s: Mapping[str, int | None] = {}
        self.book = RuleBook(client, alerts)
        self.known = False
        """Whether they were ever read."""
        self.maintained: Mapping[str, str] = {}
        """Provider to the reason of its maintenance."""
        self.silences: Sequence[Mapping[str, str]] = ()
        """Matchers of those that hold."""
        self.acknowledged: Mapping[str, Acknowledgement] = {}
        """By alert id."""

    async def read(self) -> None:
        """Read them.

        Raises:
            Exception: whatever the driver says when the database is not there; the former ones stay.
        """
        async with asyncio.timeout(TIMEOUT_S):
            row = await self._store.operator_settings()
            await self.book.refresh(row["rules_version"])
        self.maintained, self.silences = row["maintained"], row["silences"]
        self.acknowledged = {alert_id: Acknowledgement(*who) for alert_id, who in row["acknowledged"].items()}
        self._intervals_s = row["intervals"]
        self.known = True

    def usual_interval_s(self, provider: str) -> int | None:
        """How often the provider is to be probed while it is well; None = not at all."""
        return self._intervals_s.get(provider, self._interval_s)
