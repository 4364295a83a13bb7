"""Facts that edges alone publish, beside the calls: what they found new on a vendor's wire."""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from fairlead_common.events.event import Event, token


class WireDriftSeen(Event):
    """A provider sent a field or an event type that its adapter does not know; once per process and kind."""

    subject_prefix: ClassVar[str] = "provider.drift"

    source: str
    """Instance of the edge."""
    provider: str
    kind: str = Field(pattern=r"^[ -~]+$", max_length=120)
    """``wire:where.name``: the name of what is new and where it stood, never a value; printable ASCII."""
    first_seen_at: AwareDatetime

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{token(self.provider)}"
