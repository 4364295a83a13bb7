"""Workers: any replica takes a job, calls the arm, and leaves result and call to the outbox in one transaction."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from fairlead_common.bus.redelivery import is_away
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.decisions.targets import Target
from fairlead_common.events.abtest import RunTestJob
from fairlead_common.ids import utc_now
from fairlead_common.service import retrying
from faststream.exceptions import NackMessage
from faststream.nats import NatsMessage

from fairlead_abtest.clients import Caller, Outcome
from fairlead_abtest.domain.design import chat_request, json_format
from fairlead_abtest.domain.jobs import Drop, GiveUp, Run, StopTest, Wait
from fairlead_abtest.domain.scoring import Given, Score, score
from fairlead_abtest.messages import call_of, frame_message, given_up, result_message
from fairlead_abtest.metrics import AbtestMetrics
from fairlead_abtest.settings import AbtestSettings
from fairlead_abtest.store import AbtestStore, Claim

logger = logging.getLogger(__name__)


class Worker:
    """Runs jobs in this replica, at most ``calls_per_provider`` at one provider at a time."""

    def __init__(
        self,
        store: AbtestStore,
        caller: Caller,
        results: OutboxRelay,
        owner: str,
        settings: AbtestSettings,
        metrics: AbtestMetrics,
    ) -> None:
        self._store = store
        self._caller = caller
        self._results = results
        self._owner = owner
        self._settings = settings
        self._metrics = metrics
        self._slots: dict[str, asyncio.Semaphore] = {}

    async def on_job(self, body: bytes, message: NatsMessage) -> None:
        """One job. A test that was cancelled or deleted: acknowledged without a call."""
        job = RunTestJob.model_validate_json(body)
        slot = self._slots.setdefault(job.provider, asyncio.Semaphore(self._settings.calls_per_provider))
        async with self._alive(job, message), slot:
            claim = await self._store.claim(job.test_id, job.event_id, self._owner, self._settings.claim_s)
            match claim.decision:
                case Run():
                    await self._run(job, claim)
                case GiveUp():
                    await self._give_up(job)
                case Wait(delay_s, reason):
                    self._metrics.jobs.labels("waited").inc()
                    logger.debug("job %s waits: %s", job.event_id, reason)
                    raise NackMessage(delay=delay_s)
                case Drop(reason) | StopTest(reason):
                    self._metrics.jobs.labels("dropped").inc()
                    logger.info("job %s of test %d is not run: %s", job.event_id, job.test_id, reason)
                case never:
                    assert_never(never)

    async def _run(self, job: RunTestJob, claim: Claim) -> None:
        request = chat_request([dict(each) for each in job.messages], job.params)
        request.stream = request.include_usage = claim.stream
        started_at = utc_now()
        with self._metrics.under_way.track_inprogress():
            target = Target(job.provider, job.model)
            outcome = await self._caller.call(claim.workspace_id, target, request, claim.timeout_s)
        judged = await asyncio.to_thread(_judge, job, outcome)
        call = call_of(
            job, outcome, workspace_id=claim.workspace_id, stream=claim.stream, started_at=started_at
        )
        now = utc_now()
        result = result_message(job, outcome, judged, now, workspace_id=claim.workspace_id)
        frame = frame_message(self._settings.instance, job.event_id, call, now)
        await retrying(f"result of {job.event_id}", lambda: self._store.finish(result, frame))
        self._metrics.jobs.labels("failed" if outcome.error else "answered").inc()
        self._results.wake()

    async def _give_up(self, job: RunTestJob) -> None:
        logger.error("job %s of test %d is given up: its workers died over it", job.event_id, job.test_id)
        await self._store.finish(given_up(job, utc_now()), None)
        self._metrics.jobs.labels("given_up").inc()
        self._results.wake()

    @asynccontextmanager
    async def _alive(self, job: RunTestJob, message: NatsMessage) -> AsyncIterator[None]:
        """Tell the bus and the other workers that this job is in hand, until the block ends."""
        beating = asyncio.create_task(self._beat(job, message))
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, job: RunTestJob, message: NatsMessage) -> None:
        while True:
            await asyncio.sleep(self._settings.claim_s / 4)
            try:
                await message.in_progress()
                await self._store.extend(job.event_id, self._owner, self._settings.claim_s)
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("job %s: no sign of life given: %s", job.event_id, type(error).__name__)


def _judge(job: RunTestJob, outcome: Outcome) -> Score:
    if outcome.error is not None:
        return Score(None)
    schema = json_format(job.params)
    return score(
        Given(
            text=outcome.text or "",
            finish_reason=outcome.finish_reason.value if outcome.finish_reason else None,
            refusal=outcome.refusal,
            tool_called=outcome.tool_called,
            reference=job.reference,
            wants_json=schema is not None,
            schema=schema or None,
        )
    )
