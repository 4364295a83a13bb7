"""Identifiers and time stamps, made only in the shell: the pure core takes them as arguments."""

import hashlib
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
    return _uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def derived_id(unix_ms: int, name: str) -> str:
    """The same id for the same time and ``name``: for what must count once, whoever does it and however often."""
    return _uuid7(unix_ms, hashlib.sha256(name.encode()).digest()[:10])


def _uuid7(unix_ms: int, tail: bytes) -> str:
    value = (unix_ms << 80) | int.from_bytes(tail, "big")
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
