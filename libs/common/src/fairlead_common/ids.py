"""Identifiers and time stamps, made only in the shell: the pure core takes them as arguments."""

import os
import time
from datetime import UTC, datetime
from typing import TypedDict


class Stamp(TypedDict):
    """The two fields that every event must be given by whoever publishes it."""

    event_id: str
    occurred_at: datetime


def new_id() -> str:
    """A UUID version 7 (RFC 9562): unique, and sorted by time, which keeps database indexes compact."""
    unix_ms = time.time_ns() // 1_000_000
    value = (unix_ms << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def stamp(now: datetime | None = None) -> Stamp:
    """A fresh event id and the time it happened: ``ProbeCompleted(**stamp(), ...)``."""
    return Stamp(event_id=new_id(), occurred_at=now or utc_now())
