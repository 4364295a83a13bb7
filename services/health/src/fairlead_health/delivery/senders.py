"""One attempt to send one notification to one notifier. What goes wrong is a value; secrets appear in none of it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from fairlead_common.operations.notifiers import (
    AnyNotifier,
    AppriseNotifier,
    PagerDutyNotifier,
    WebhookNotifier,
)
from fairlead_models.transport.protocol import HttpRequest, Timeouts, Transport, TransportError

from fairlead_health.domain import messages
from fairlead_health.domain.messages import Notification
from fairlead_health.domain.notifiers import SecretMissing, redacted, resolved

TIMEOUTS: Final = Timeouts(connect_s=5, first_byte_s=10, between_bytes_s=5, total_s=15)
APPRISE_TIMEOUT_S: Final = 30.0
ANSWER_BYTES: Final = 64 * 1024
SHOWN: Final = 200
WORTH_ANOTHER_TRY: Final = frozenset((408, 425, 429))


class Outcome(NamedTuple):
    """``error`` None: it was taken. ``retryable``: it may be taken later as it is."""

    error: str | None = None
    http_status: int | None = None
    retryable: bool = False


class Sender:
    """Sends over HTTP, or in a thread through apprise, which blocks."""

    def __init__(self, transport: Transport, secrets: Mapping[str, str]) -> None:
        self._transport = transport
        self._secrets = secrets

    async def send(self, notifier: AnyNotifier, told: Notification) -> Outcome:
        """One attempt."""
        try:
            outcome = await self._send(notifier, told)
        except SecretMissing as error:
            return Outcome(str(error), retryable=True)
        except ValueError as error:
            outcome = Outcome(f"the notifier cannot be used: {error}")
        return outcome._replace(error=redacted(outcome.error, self._secrets) if outcome.error else None)

    async def _send(self, notifier: AnyNotifier, told: Notification) -> Outcome:
        match notifier:
            case WebhookNotifier():
                headers = {
                    name.lower(): resolved(value, self._secrets) for name, value in notifier.headers.items()
                }
                body = messages.webhook(told, notifier.name)
                return await self._post(resolved(notifier.url, self._secrets), headers, body)
            case PagerDutyNotifier():
                key = resolved(notifier.routing_key, self._secrets)
                return await self._post(notifier.url, {}, messages.pagerduty(told, key))
            case AppriseNotifier():
                return await asyncio.to_thread(_apprise, resolved(notifier.url, self._secrets), told)

    async def _post(self, url: str, headers: Mapping[str, str], body: Any) -> Outcome:
        request = HttpRequest(
            "POST", url, {**headers, "content-type": "application/json"}, orjson.dumps(body)
        )
        try:
            response = await self._transport.send(request, TIMEOUTS)
            answer = await response.body(ANSWER_BYTES)
        except TransportError as error:
            return Outcome(f"{type(error).__name__}: {error}", retryable=True)
        if 200 <= response.status < 300:
            return Outcome(http_status=response.status)
        said = answer[:SHOWN].decode("utf-8", "replace")
        retryable = response.status >= 500 or response.status in WORTH_ANOTHER_TRY
        return Outcome(f"refused with {response.status}: {said}", response.status, retryable)


def _apprise(url: str, told: Notification) -> Outcome:
    """Blocks. Imported here: most installations never need it, and it takes a fifth of a second."""
    from apprise import Apprise, NotifyType

    receivers = Apprise()
    if not receivers.add(url):
        return Outcome("apprise does not know such a URL; see its documentation")
    message = messages.text(told)
    if receivers.notify(
        message.body, title=message.title, notify_type=NotifyType(message.kind), timeout=APPRISE_TIMEOUT_S
    ):
        return Outcome()
    return Outcome("apprise could not deliver; its log says why", retryable=True)
