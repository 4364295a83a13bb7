"""Following snapshots: the latest values in memory and on disk, always readable, however the bus is.

Reading is a dictionary lookup. The bucket is watched, and listed anew after each reconnect and every 30 s, because a
watch can stay silent for long after the server came back. Values survive a restart without the bus on disk.
"""

import asyncio
import base64
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Generic, TypeVar

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

logger = logging.getLogger(__name__)

RELIST_S: Final = 30.0
POLL_S: Final = 0.5
RETRY_S: Final = 0.5

Value = TypeVar("Value")


class SnapshotFollower(Mapping[str, Value], Generic[Value]):
    """A read-only mapping of key to the latest decoded value of one bucket.

    Args:
        bucket: name of the bucket.
        decode: bytes to value; a value it cannot decode is logged and the former one kept.
        disk: file that keeps a copy for the next start; None = no copy.
        on_change: called with the key after each change (also of a key that vanished).
    """

    def __init__(
        self,
        bucket: str,
        decode: Callable[[bytes], Value],
        *,
        disk: Path | None = None,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        self.bucket = bucket
        self.revision = 0
        """Highest revision seen; 0 = nothing yet."""
        self.synced = asyncio.Event()
        """Set once the bucket was listed completely over the bus."""
        self._listed_at = time.monotonic()
        self._decode = decode
        self._disk = disk
        self._on_change = on_change
        self._values: dict[str, Value] = {}
        self._raw: dict[str, tuple[int, bytes]] = {}
        self._listed: set[str] | None = None
        self._dirty = False
        self._unsaved = False

    def __getitem__(self, key: str) -> Value:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def age_s(self) -> float:
        """How long ago the bucket was listed over the bus last (since the start, when it never was): about 30 s at most."""
        return time.monotonic() - self._listed_at

    def load_disk(self) -> bool:
        """Fill from the copy on disk, if there is one; True when there was. A damaged copy is ignored and logged."""
        if self._disk is None or not self._disk.exists():
            return False
        try:
            stored: dict[str, list[str | int]] = orjson.loads(self._disk.read_bytes())
            entries = {
                k: (int(revision), base64.b64decode(str(data))) for k, (revision, data) in stored.items()
            }
        except (ValueError, TypeError, AttributeError, OSError) as error:
            logger.warning(
                "the copy of %s at %s is damaged (%s); waiting for the bus", self.bucket, self._disk, error
            )
            return False
        for key, (revision, data) in entries.items():
            self._take(key, revision, data)
        self._dirty = False
        return True

    async def follow(self, client: Client) -> None:
        """Follow for ever. Connection losses are ridden out; only cancellation ends it."""
        while True:
            try:
                await self._watch(client)
            except (NatsError, OSError, TimeoutError, asyncio.QueueEmpty) as error:
                logger.warning("bucket %s: %s: %s; listing again", self.bucket, type(error).__name__, error)
                await asyncio.sleep(RETRY_S)

    async def _watch(self, client: Client) -> None:
        kv = await client.jetstream(timeout=5).key_value(self.bucket)
        reconnects, began = client.stats["reconnects"], time.monotonic()
        self._listed = set()
        watcher = await kv.watchall()
        try:
            while client.stats["reconnects"] == reconnects and time.monotonic() - began < RELIST_S:
                await self._next(watcher)
        finally:
            with contextlib.suppress(
                NatsError, OSError
            ):  # on a closed connection: must not hide a cancellation
                await watcher.stop()  # type: ignore[no-untyped-call]

    async def _next(self, watcher: KeyValue.KeyWatcher) -> None:
        try:
            entry = await watcher.updates(timeout=POLL_S)  # type: ignore[no-untyped-call]
        except TimeoutError:
            await self._save()
            return
        if entry is None:
            self._listing_done()
            await self._save()
        elif isinstance(entry, KeyValue.Entry):
            self._apply(entry)

    def _apply(self, entry: KeyValue.Entry) -> None:
        if self._listed is not None:
            self._listed.add(entry.key)
        if entry.operation in ("DEL", "PURGE"):
            self._drop(entry.key)
        else:
            self._take(entry.key, entry.revision or 0, entry.value or b"")

    def _listing_done(self) -> None:
        if (
            self._raw and not self._listed
        ):  # a deleted key leaves a marker: not even that means that the bus lost its data
            logger.warning("bucket %s is empty; keeping what was known until it is filled again", self.bucket)
        else:
            for key in set(self._raw) - (self._listed or set()):
                self._drop(key)
        self._listed = None
        self._listed_at = time.monotonic()
        self.synced.set()

    def _take(self, key: str, revision: int, data: bytes) -> None:
        known = self._raw.get(key)
        if known == (revision, data):
            return
        try:
            value = self._decode(data)
        except (ValueError, TypeError, KeyError) as error:
            logger.error(
                "bucket %s, key %s, revision %d cannot be read: %s", self.bucket, key, revision, error
            )
            return
        self._values[key], self._raw[key] = value, (revision, data)
        self.revision = max(self.revision, revision)
        self._changed(key)

    def _drop(self, key: str) -> None:
        if key in self._raw:
            del self._raw[key], self._values[key]
            self._changed(key)

    def _changed(self, key: str) -> None:
        self._dirty = True
        if self._on_change is not None:
            self._on_change(key)

    async def _save(self) -> None:
        """Keep the copy current, in a thread: a rename can wait for the disk, and requests share this loop.

        A disk that does not take it (full, gone) must not keep the news from anybody.
        """
        if self._disk is None or not self._dirty:
            return
        self._dirty = False
        try:
            await asyncio.to_thread(_write, self._disk, dict(self._raw))
        except OSError as error:
            if not self._unsaved:
                logger.error("bucket %s: %s cannot be written: %s", self.bucket, self._disk, error)
            self._dirty = self._unsaved = True
        else:
            self._unsaved = False


def _write(disk: Path, raw: Mapping[str, tuple[int, bytes]]) -> None:
    disk.parent.mkdir(parents=True, exist_ok=True)
    stored = {key: [revision, base64.b64encode(data).decode()] for key, (revision, data) in raw.items()}
    temporary = disk.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_bytes(orjson.dumps(stored))
    temporary.replace(disk)
