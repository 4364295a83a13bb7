"""Facts that failover alone publishes: a workspace's traffic was moved, and came back."""

from typing import ClassVar

from pydantic import AwareDatetime

from fairlead_common.events.event import Event
from fairlead_common.events.health import Evidence


class FailoverSwitched(Event):
    """A workspace's traffic for ``from_target`` now goes to ``to_target``."""

    subject_prefix: ClassVar[str] = "failover.switched"

    workspace_id: int
    from_target: str
    """provider, or provider/model."""
    to_target: str
    cause: str
    """Name of the trigger: status_down, breaker_open, error_rate, latency, rate_limited, operator, ..."""
    evidence: tuple[Evidence, ...] = ()
    version: int
    """Version of the failover snapshot that carries the switch."""
    failing_since: AwareDatetime | None = None
    """End of the first failed call of the run that moved the gate; None = no call did."""
    gate: str | None = None
    """Key of the gate that moved: provider, provider/model, or ``@<workspace>/<rule>@provider/model`` of a policy's own."""

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.workspace_id}"


class FailoverRecovered(Event):
    """The original target has all of its traffic again."""

    subject_prefix: ClassVar[str] = "failover.recovered"

    workspace_id: int
    from_target: str
    """The stand-in that gave the traffic back."""
    to_target: str
    """The original."""
    switched_event_id: str | None = None
    down_s: float | None = None
    version: int

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.workspace_id}"
