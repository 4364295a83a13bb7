"""Writing snapshots: a value is put when it differs from the one that is there, so that followers see only changes.

What is there is remembered for a moment only: another replica may have held the job in between, and its value must not
be mistaken for ours.
"""

import time
from typing import Final

from nats.aio.client import Client
from nats.js.errors import KeyDeletedError, KeyNotFoundError, NoKeysError
from nats.js.kv import KeyValue
from pydantic import BaseModel

TRUST_S: Final = 1.0
"""Shorter than a lease: nobody else can have become the owner since."""


class SnapshotPublisher:
    """Puts values into one bucket. Only the owner of the bucket's values has the right to.

    Args:
        trust_s: for how long a value that was written or read here is taken to be still there.
    """

    def __init__(self, client: Client, bucket: str, trust_s: float = TRUST_S) -> None:
        self._jetstream = client.jetstream(timeout=5)
        self._bucket = bucket
        self._trust_s = trust_s
        self._kv: KeyValue | None = None
        self._last: dict[str, tuple[bytes, float]] = {}

    async def put(self, key: str, value: BaseModel | bytes, *, force: bool = False) -> bool:
        """Write ``value`` under ``key`` unless it is there already; True when it was written.

        Raises:
            nats.errors.Error, OSError: not acknowledged; putting again is safe.
        """
        data = value if isinstance(value, bytes) else value.model_dump_json().encode()
        if not force and await self._holds(key, data):
            return False
        await (await self._bucket_handle()).put(key, data)
        self._last[key] = (data, time.monotonic())
        return True

    async def delete(self, key: str) -> None:
        """Remove ``key``; followers drop it."""
        await (await self._bucket_handle()).delete(key)
        self._last.pop(key, None)

    async def read(self, key: str) -> tuple[int, bytes] | None:
        """Revision and value of ``key``, or None when it is not there."""
        try:
            entry = await (await self._bucket_handle()).get(key)
        except (KeyNotFoundError, KeyDeletedError):
            return None
        return (entry.revision or 0, entry.value or b"")

    async def keys(self) -> list[str]:
        """All keys that have a value."""
        try:
            return sorted(await (await self._bucket_handle()).keys())
        except NoKeysError:
            return []

    async def _holds(self, key: str, data: bytes) -> bool:
        known, at = self._last.get(key, (None, 0.0))
        if known is not None and known != data:
            return False  # whatever is there, a new value is due
        if known is not None and time.monotonic() - at < self._trust_s:
            return True
        found = await self.read(key)
        if found is None or found[1] != data:
            return False
        self._last[key] = (data, time.monotonic())
        return True

    async def _bucket_handle(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._jetstream.key_value(self._bucket)
        return self._kv
