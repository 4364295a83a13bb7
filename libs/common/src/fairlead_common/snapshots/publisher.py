"""Writing snapshots: a value is put when it differs from the one that is there, so that followers see only changes."""

from nats.aio.client import Client
from nats.js.errors import KeyDeletedError, KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel


class SnapshotPublisher:
    """Puts values into one bucket. Only the owner of the bucket's values has the right to."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._jetstream = client.jetstream(timeout=5)
        self._bucket = bucket
        self._kv: KeyValue | None = None
        self._last: dict[str, bytes] = {}

    async def put(self, key: str, value: BaseModel | bytes, *, force: bool = False) -> bool:
        """Write ``value`` under ``key`` unless this process wrote the same last; True when it was written.

        Raises:
            nats.errors.Error, OSError: not acknowledged; putting again is safe.
        """
        data = value if isinstance(value, bytes) else value.model_dump_json().encode()
        if not force and self._last.get(key) == data:
            return False
        await (await self._bucket_handle()).put(key, data)
        self._last[key] = data
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

    async def _bucket_handle(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._jetstream.key_value(self._bucket)
        return self._kv
