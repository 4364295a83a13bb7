"""Bringing tests to their end: one replica at a time completes what is recorded, and sends lost jobs again.

A job is lost when it is not done and neither the outbox nor the queue holds it: the queue was wiped or overflowed, or its
message was given up as a dead letter. Postgres knows every job, so the queue can be filled again from it.
"""

import logging
import time
from typing import Final

from fairlead_common.bus.rpc import RpcError
from fairlead_common.bus.topology import ABTEST_JOBS
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.ids import utc_now
from nats.aio.client import Client

from fairlead_abtest.messages import job_message
from fairlead_abtest.metrics import AbtestMetrics
from fairlead_abtest.records import Records
from fairlead_abtest.store import AbtestStore

logger = logging.getLogger(__name__)

EVERY_S: Final = 1.0


class Completion:
    """Completes tests, and resends lost jobs."""

    def __init__(
        self,
        client: Client,
        store: AbtestStore,
        records: Records,
        jobs: OutboxRelay,
        metrics: AbtestMetrics,
        resend_every_s: float,
    ) -> None:
        self._client = client
        self._store = store
        self._records = records
        self._jobs = jobs
        self._metrics = metrics
        self._resend_every_s = resend_every_s
        self._resend_at = time.monotonic() + resend_every_s

    async def check(self) -> None:
        """Look once at every running test."""
        for test_id, jobs in await self._store.finished():
            try:
                recorded = await self._records.count(test_id)
            except RpcError as error:
                logger.warning("test %d cannot be completed yet: %s", test_id, error)
                continue
            if recorded >= jobs and await self._store.complete(test_id):
                self._metrics.completed.inc()
                logger.info("test %d is complete: %d results", test_id, jobs)
        if time.monotonic() >= self._resend_at:
            self._resend_at = time.monotonic() + self._resend_every_s
            await self._resend()

    async def _resend(self) -> None:
        """Sending a job that is not lost after all does no harm: whoever runs it first has it."""
        queue = await self._client.jetstream(timeout=5).consumer_info(ABTEST_JOBS.stream, ABTEST_JOBS.name)
        if queue.num_pending or queue.num_ack_pending:
            return
        sent = await self._store.resend(
            lambda test_id, job, prompt, params: job_message(test_id, job, prompt, params, utc_now())
        )
        if sent:
            self._metrics.resent.inc(sent)
            logger.warning("%d jobs were neither done nor queued; they are sent again", sent)
            self._jobs.wake()
