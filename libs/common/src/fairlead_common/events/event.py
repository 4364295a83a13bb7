"""What all events have in common: identity, time, version, trace context, and the subject they belong on."""

from datetime import datetime
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Event(BaseModel):
    """A fact that happened. ``event_id`` is its identity: handlers are idempotent on it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject_prefix: ClassVar[str]

    event_id: str
    occurred_at: AwareDatetime
    schema_version: int = 1
    traceparent: str | None = None
    """W3C trace context of the work that caused the event."""

    @property
    def subject(self) -> str:
        """The NATS subject this event is published on."""
        raise NotImplementedError(f"{type(self).__name__} must say its subject")

    @property
    def msg_id(self) -> str:
        """``Nats-Msg-Id``: JetStream drops a second message with the same one within its window."""
        return self.event_id

    def to_json(self) -> bytes:
        """The event as it travels."""
        return self.model_dump_json().encode()


def token(text: str) -> str:
    """``text`` as one NATS subject token: dots, blanks and wildcards become underscores."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text) or "_"


__all__ = ["Event", "datetime", "token"]
