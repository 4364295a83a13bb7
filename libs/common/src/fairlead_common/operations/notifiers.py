"""Notifiers: who is told of alerts outside of the bus, as people write them, and the log of what was delivered to them.

Secrets are references, ``${NOTIFIER_...}``, resolved from the health service's environment when something is sent.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.events.alerts import Severity
from fairlead_common.operations.alert_rules import Checked, Name
from fairlead_common.operations.health import SERVICE

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


class Notifier(BaseModel):
    """What all notifiers have: which alerts they are told of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    enabled: bool = True
    severities: tuple[Severity, ...] = Field(default=(), description="empty: all")
    providers: tuple[str, ...] = Field(default=(), description="empty: all")
    alertnames: tuple[str, ...] = Field(default=(), description="empty: all")
    send_resolved: bool = True


class WebhookNotifier(Notifier):
    """POSTs the JSON of Alertmanager's webhook, version 4."""

    kind: Literal["webhook"]
    url: str = Field(pattern=r"^(https?://|\$\{)", max_length=2000)
    headers: dict[str, str] = {}


class PagerDutyNotifier(Notifier):
    """PagerDuty's Events API, version 2: trigger, acknowledge and resolve one incident per episode."""

    kind: Literal["pagerduty"]
    routing_key: str = Field(description="${NOTIFIER_...}: of an Events API v2 integration")
    url: str = Field(
        default=PAGERDUTY_URL, pattern=r"^https?://", description="another one for the EU, or for tests"
    )


class AppriseNotifier(Notifier):
    """Slack, e-mail, Teams, ntfy and a hundred others, by a URL of the library apprise."""

    kind: Literal["apprise"]
    url: str = Field(description="${NOTIFIER_...}: these URLs carry secrets")


AnyNotifier = Annotated[WebhookNotifier | PagerDutyNotifier | AppriseNotifier, Field(discriminator="kind")]


class NotifiersIn(BaseModel):
    """Notifiers that are to take the place of all that are there."""

    model_config = ConfigDict(extra="forbid")

    notifiers: list[dict[str, Any]] = Field(
        max_length=100, description="see docs/alerts.md for the kinds and their keys"
    )
    replaces: int | None = Field(
        default=None, description="refused unless this is the version in force; null: any"
    )
    by: str = Field(min_length=1, max_length=100)
    note: str = Field(default="", max_length=300)


class Notifiers(BaseModel):
    """A version of the notifiers; 0 = none were ever set."""

    version: int
    set_by: str | None
    set_at: AwareDatetime | None
    note: str
    notifiers: list[AnyNotifier]


class OneNotifier(BaseModel):
    """Which notifier."""

    name: str


class Attempt(BaseModel):
    """One try to deliver. ``http_status`` null: no answer came, or the way is not HTTP."""

    at: AwareDatetime
    ok: bool
    http_status: int | None
    error: str | None
    duration_ms: float


class Tested(BaseModel):
    """What became of a test alert and of its end."""

    fired: Attempt
    resolved: Attempt


class DeliveriesQuery(BaseModel):
    """Which part of the log, newest first."""

    notifier: str | None = None
    alert_id: str | None = None
    state: Literal["waiting", "delivered", "dead"] | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class Delivery(BaseModel):
    """One transition of one alert to one notifier. ``dead``: given up; a copy is among the dead letters."""

    id: int
    notifier: str
    alert_id: str
    alertname: str
    provider: str
    status: str = Field(description="of the alert: firing, acknowledged, resolved")
    sequence: int
    state: Literal["waiting", "delivered", "dead"]
    created_at: AwareDatetime
    due_at: AwareDatetime = Field(description="of the next attempt, while it waits")
    attempts: list[Attempt]


class Deliveries(BaseModel):
    """The delivery log."""

    deliveries: list[Delivery]


NOTIFIERS = Operation(SERVICE, "notifiers", Empty, Notifiers)
PUT_NOTIFIERS = Operation(SERVICE, "put_notifiers", NotifiersIn, Notifiers)
CHECK_NOTIFIERS = Operation(SERVICE, "check_notifiers", NotifiersIn, Checked)
TEST_NOTIFIER = Operation(SERVICE, "test_notifier", OneNotifier, Tested, timeout_s=60)
DELIVERIES = Operation(SERVICE, "deliveries", DeliveriesQuery, Deliveries)
