"""The notifiers in force, and the operations on them and on the delivery log."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity
from fairlead_common.ids import new_id, utc_now
from fairlead_common.operations import notifiers as ops
from fairlead_common.operations.alert_rules import Checked, Problem
from sqlalchemy import RowMapping

from fairlead_health import rules
from fairlead_health.alert_store import AlertStore
from fairlead_health.delivery.senders import Outcome
from fairlead_health.delivery.store import DeliveryStore
from fairlead_health.domain.alerts import fingerprint
from fairlead_health.domain.drift import WIRE_DRIFT
from fairlead_health.domain.grouping import IDENTITY
from fairlead_health.domain.messages import Notification, alone
from fairlead_health.domain.notifiers import Notifiers, read

SECTION: Final = "notifiers"
TEST: Final = "notifier_test"
LABELS: Final = frozenset((*IDENTITY, "severity", "service"))
"""That alerts have whatever the rules say."""

Attempting = Callable[[ops.AnyNotifier, Notification], Awaitable[tuple[Outcome, ops.Attempt]]]


class NotifierBook:
    """Reads what is in force."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    async def notifiers(self) -> Notifiers:
        """In the order in which they were given."""
        return tuple(_in_force(await self._store.config(SECTION)).notifiers)


class NotifierApi:
    """One method per operation.

    Args:
        secrets: the variables that can be referred to.
        attempt: sends now.
        regroup: has what waits judged by the notifiers in force.
    """

    def __init__(
        self,
        store: AlertStore,
        log: DeliveryStore,
        providers: tuple[str, ...],
        secrets: Mapping[str, str],
        attempt: Attempting,
        regroup: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._log = log
        self._providers = providers
        self._secrets = secrets
        self._attempt = attempt
        self._regroup = regroup

    async def notifiers(self, request: Empty) -> ops.Notifiers:
        """Those in force; references stay references."""
        return _in_force(await self._store.config(SECTION))

    async def put_notifiers(self, request: ops.NotifiersIn) -> ops.Notifiers:
        """Put others in the place of all that are there."""
        notifiers, problems = await self._read(request)
        if problems:
            text = "; ".join(f"{each.where}: {each.message}" for each in problems)
            raise RpcError(422, "invalid_notifiers", text)
        content: list[dict[str, Any]] = [each.model_dump(mode="json") for each in notifiers]
        row = await self._store.put_config(SECTION, content, request.replaces, request.by, request.note)
        if row is None:
            text = f"version {request.replaces} is not in force any more; read the notifiers again"
            raise RpcError(409, "other_version", text)
        await self._regroup()
        return _in_force(row)

    async def check_notifiers(self, request: ops.NotifiersIn) -> Checked:
        """What would be refused; nothing is stored."""
        return Checked(problems=(await self._read(request))[1])

    async def test_notifier(self, request: ops.OneNotifier) -> ops.Tested:
        """Send an alert that is none, and its end, so that nothing stays open at the other side."""
        notifiers = _in_force(await self._store.config(SECTION)).notifiers
        notifier = next((each for each in notifiers if each.name == request.name), None)
        if notifier is None:
            raise RpcError(404, "unknown_notifier", f"there is no notifier '{request.name}'")
        firing = _test_alert(self._providers[0])
        ended = firing.model_copy(
            update={"status": AlertStatus.RESOLVED, "sequence": 2, "ends_at": firing.starts_at}
        )
        _, fired = await self._attempt(notifier, alone(firing))
        _, resolved = await self._attempt(notifier, alone(ended))
        return ops.Tested(fired=fired, resolved=resolved)

    async def deliveries(self, request: ops.DeliveriesQuery) -> ops.Deliveries:
        """The log, newest first."""
        return ops.Deliveries(deliveries=await self._log.deliveries(request))

    async def _read(self, request: ops.NotifiersIn) -> tuple[Notifiers, list[Problem]]:
        known = rules.in_force(await self._store.config(rules.SECTION)).rules
        names = {WIRE_DRIFT, *(rule.name for rule in known)}
        labels = LABELS.union(*(rule.labels for rule in known))
        return read(request.notifiers, self._providers, names, labels, self._secrets)


def _in_force(row: RowMapping | None) -> ops.Notifiers:
    if row is None:
        return ops.Notifiers(version=0, set_by=None, set_at=None, note="", notifiers=[])
    return ops.Notifiers.model_validate({**row, "notifiers": row["content"]})


def _test_alert(provider: str) -> AlertRaised:
    now = utc_now()
    return AlertRaised(
        event_id=new_id(),
        occurred_at=now,
        alert_id=new_id(),
        fingerprint=fingerprint(TEST, provider),
        sequence=1,
        status=AlertStatus.FIRING,
        severity=Severity.INFO,
        alertname=TEST,
        provider=provider,
        labels={"alertname": TEST, "provider": provider, "severity": "info", "service": "health"},
        annotations={"summary": "a test of this notifier", "description": "nothing is wrong"},
        starts_at=now,
        last_evaluated_at=now,
    )
