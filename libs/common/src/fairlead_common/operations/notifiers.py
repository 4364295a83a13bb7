"""Notifiers: who is told of alerts outside of the bus, as people write them, and the log of what was delivered to them.

Secrets are references, ``${NOTIFIER_...}``, resolved from the health service's environment when something is sent.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Empty, Operation
from fairlead_common.events.alerts import AlertStatus, Severity
from fairlead_common.operations.alert_rules import Checked, Name
from fairlead_common.operations.health import SERVICE

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
EACH = "..."
"""As the only name in ``group_by``: every alert by itself."""
WEEK_S = 7 * 86_400


class Notifier(BaseModel):
    """What all notifiers have: which alerts they are told of, and how these are grouped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    enabled: bool = True
    severities: tuple[Severity, ...] = Field(default=(), description="empty: all")
    providers: tuple[str, ...] = Field(default=(), description="empty: all")
    alertnames: tuple[str, ...] = Field(default=(), description="empty: all")
    send_resolved: bool = True
    group_by: tuple[str, ...] = Field(
        default=("alertname",),
        max_length=20,
        description='labels; alerts with the same values are told together. []: all; ["..."]: each by itself',
    )
    group_wait_s: float = Field(
        default=5, ge=0, le=3600, description="before the first notification of a group"
    )
    group_interval_s: float = Field(
        default=60, ge=1, le=86_400, description="between notifications of changes"
    )
    repeat_interval_s: float | None = Field(
        default=14_400, ge=1, le=WEEK_S, description="until what fires on is told again; null: never"
    )


class WebhookNotifier(Notifier):
    """POSTs the JSON of Alertmanager's webhook, version 4."""

    kind: Literal["webhook"]
    url: str = Field(pattern=r"^(https?://|\$\{)", max_length=2000)
    headers: dict[str, str] = {}


class PagerDutyNotifier(Notifier):
    """PagerDuty's Events API, version 2: trigger, acknowledge and resolve one incident per group."""

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


class DeliveredAlert(BaseModel):
    """An alert of a notification, at the transition that it was told at."""

    alert_id: str
    alertname: str
    provider: str
    severity: Severity
    status: AlertStatus
    sequence: int


class Delivery(BaseModel):
    """One notification of a group to one notifier. ``dead``: given up; copies are among the dead letters."""

    id: int
    notifier: str
    group_key: str
    group_labels: dict[str, str]
    status: AlertStatus = Field(description="of the group: firing, acknowledged, resolved")
    alerts: list[DeliveredAlert]
    state: Literal["waiting", "delivered", "dead"]
    created_at: AwareDatetime
    due_at: AwareDatetime = Field(description="of the next attempt, while it waits")
    attempts: list[Attempt] = Field(description="each held all of these alerts")


class Deliveries(BaseModel):
    """The delivery log."""

    deliveries: list[Delivery]


NOTIFIERS = Operation(SERVICE, "notifiers", Empty, Notifiers)
PUT_NOTIFIERS = Operation(SERVICE, "put_notifiers", NotifiersIn, Notifiers)
CHECK_NOTIFIERS = Operation(SERVICE, "check_notifiers", NotifiersIn, Checked)
TEST_NOTIFIER = Operation(SERVICE, "test_notifier", OneNotifier, Tested, timeout_s=60)
DELIVERIES = Operation(SERVICE, "deliveries", DeliveriesQuery, Deliveries)
