"""Single-owner jobs: a fenced lease in the ``leases`` bucket, so that one replica at a time does what must be done once.

The holder refreshes its key with compare-and-set every third of the lease time. A contender takes over when the key's
revision has not moved for a whole lease time *on the contender's own clock*, so clocks need not agree and nothing
depends on the server's expiry of keys. The revision of the taking write is the fencing token: it only grows. A holder
that could not refresh in time stops by itself, before another may begin.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyDeletedError, KeyNotFoundError
from nats.js.kv import KeyValue

from fairlead_common.tasks import end_tasks

logger = logging.getLogger(__name__)

LEASE_S: Final = 2.0
BUCKET: Final = "leases"


@dataclass(frozen=True)
class Held:
    """Proof of ownership; ``token`` grows with each new owner."""

    job: str
    owner: str
    token: int


class Lease:
    """Competes for one job.

    Args:
        job: key of the lease, for example ``health.aggregator``.
        owner: unique name of this process (a restarted one is another owner).
        lease_s: time without refresh after which others may take over.
    """

    def __init__(self, client: Client, job: str, owner: str, lease_s: float = LEASE_S) -> None:
        self._jetstream = client.jetstream(timeout=lease_s / 3)
        self._job = job
        self._owner = owner.encode()
        self._lease_s = lease_s
        self._kv: KeyValue | None = None
        self._revision = 0
        self._refreshed_at = -float("inf")
        self.held: Held | None = None
        """Set while this replica owns the job."""

    @property
    def sure(self) -> bool:
        """True while nobody else can have taken over yet, also after this process was stopped for a while.

        Look before telling others anything that a new owner could contradict.
        """
        return self.held is not None and time.monotonic() - self._refreshed_at < self._lease_s

    async def run(self, work: Callable[[Held], Awaitable[None]]) -> None:
        """For ever: wait for the lease, run ``work`` while holding it, cancel it when the lease is lost.

        An error of ``work``, or cancellation, ends this and gives the lease back.
        """
        while True:
            held = await self._acquire()
            logger.info("%s is ours (token %d)", self._job, held.token)
            await self._work(work, held)
            logger.warning("%s was lost", self._job)

    async def _work(self, work: Callable[[Held], Awaitable[None]], held: Held) -> None:
        self.held = held
        job = asyncio.ensure_future(work(held))
        keeper = asyncio.create_task(self._keep())
        try:
            done, _ = await asyncio.wait({job, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if job in done:
                job.result()
                raise RuntimeError(
                    f"the work of {self._job} ended by itself; it must run until it is cancelled"
                )
            keeper.result()
        finally:
            lost = keeper.done()
            await end_tasks((job, keeper))
            self.held = None
            if not lost:
                await self._release()

    async def _acquire(self) -> Held:
        seen, since = -1, time.monotonic()
        while True:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                revision, owner = await self._read()
                if revision != seen:
                    seen, since = revision, time.monotonic()
                free = not owner or owner == self._owner
                if free or time.monotonic() - since >= self._lease_s:
                    self._refreshed_at = time.monotonic()
                    self._revision = await self._write(revision)
                    return Held(self._job, self._owner.decode(), self._revision)
            await asyncio.sleep(self._lease_s / 4)

    async def _keep(self) -> None:
        """Refresh until that fails for a whole lease time or somebody else has written; then return."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            began = time.monotonic()
            try:
                revision, owner = await self._read()
                if owner != self._owner or revision != self._revision:
                    return
                self._revision = await self._write(self._revision)
                self._refreshed_at = began
            except (NatsError, OSError, TimeoutError):
                if time.monotonic() - self._refreshed_at >= self._lease_s * 2 / 3:
                    return

    async def _release(self) -> None:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await (await self._bucket()).update(self._job, b"", last=self._revision)

    async def _read(self) -> tuple[int, bytes]:
        try:
            entry = await (await self._bucket()).get(self._job)
        except KeyDeletedError as error:
            return (error.entry.revision if error.entry else 0), b""
        except KeyNotFoundError:
            return 0, b""
        return entry.revision or 0, entry.value or b""

    async def _write(self, last: int) -> int:
        return await (await self._bucket()).update(self._job, self._owner, last=last)

    async def _bucket(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._jetstream.key_value(BUCKET)
        return self._kv
