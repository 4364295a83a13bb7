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
from fairlead_common.events.abtest import RunTestJob, TestResultRecorded
from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted
from fairlead_common.ids import utc_now
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_common.service import retrying
from faststream.exceptions import NackMessage
from faststream.nats import NatsMessage
from nats.errors import Error as NatsError
from pydantic import AwareDatetime

from fairlead_abtest.clients import Caller, Outcome
from fairlead_abtest.domain.design import chat_request, json_format
from fairlead_abtest.domain.jobs import Drop, GiveUp, Run, StopTest, Wait, call_id, frame_id
from fairlead_abtest.domain.scoring import Given, Score, score
from fairlead_abtest.settings import AbtestSettings
from fairlead_abtest.store import AbtestStore, Claim

logger = logging.getLogger(__name__)

MAX_RESPONSE_BYTES = 60_000
"""Of an answer as it is recorded; it is scored whole."""


class Worker:
    """Runs jobs in this replica, at most ``calls_per_provider`` at one provider at a time."""

    def __init__(
        self, store: AbtestStore, caller: Caller, relay: OutboxRelay, owner: str, settings: AbtestSettings
    ) -> None:
        self._store = store
        self._caller = caller
        self._relay = relay
        self._owner = owner
        self._settings = settings
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
                    logger.debug("job %s waits: %s", job.event_id, reason)
                    raise NackMessage(delay=delay_s)
                case Drop(reason) | StopTest(reason):
                    logger.info("job %s of test %d is not run: %s", job.event_id, job.test_id, reason)
                case never:
                    assert_never(never)

    async def _run(self, job: RunTestJob, claim: Claim) -> None:
        request = chat_request([dict(each) for each in job.messages], job.params)
        request.stream = request.include_usage = claim.stream
        target, started_at = Target(job.provider, job.model), utc_now()
        outcome = await self._caller.call(target, request, claim.timeout_s)
        judged = await asyncio.to_thread(_judge, job, outcome)
        call = _call(job, claim, outcome, started_at)
        frame = CallsCompleted(
            event_id=frame_id(job.event_id),
            occurred_at=utc_now(),
            source=self._settings.instance,
            calls=(call,),
        )
        result = _result(job, outcome, judged)
        await retrying(f"result of {job.event_id}", lambda: self._store.finish(result, frame))
        self._relay.wake()

    async def _give_up(self, job: RunTestJob) -> None:
        logger.error("job %s of test %d is given up: its workers died over it", job.event_id, job.test_id)
        result = TestResultRecorded(
            event_id=job.event_id,
            occurred_at=utc_now(),
            test_id=job.test_id,
            prompt_index=job.prompt_index,
            repeat=job.repeat,
            provider=job.provider,
            model=job.model,
            error_class=ErrorClass.CALLER_GONE,
            latency_ms=0.0,
        )
        await self._store.finish(result, None)
        self._relay.wake()

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
            except (NatsError, OSError, TimeoutError) as error:
                logger.warning("job %s: no sign of life given: %s", job.event_id, type(error).__name__)
            except Exception as error:
                if not is_away(error):
                    raise
                logger.warning("job %s: claim not renewed: %s", job.event_id, type(error).__name__)


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


def _result(job: RunTestJob, outcome: Outcome, judged: Score) -> TestResultRecorded:
    error = outcome.error
    return TestResultRecorded(
        event_id=job.event_id,
        occurred_at=utc_now(),
        traceparent=job.traceparent,
        test_id=job.test_id,
        prompt_index=job.prompt_index,
        repeat=job.repeat,
        provider=job.provider,
        model=job.model,
        response=None if error else _storable(outcome.text or ""),
        error_class=error.error_class if error else None,
        latency_ms=round(outcome.latency_ms, 3),
        ttft_ms=None if outcome.ttft_ms is None else round(outcome.ttft_ms, 3),
        input_tokens=outcome.usage.input_tokens,
        output_tokens=outcome.usage.output_tokens,
        cost_usd=outcome.cost_usd,
        quality_score=judged.quality,
        scores=judged.components,
        finish_reason=outcome.finish_reason.value if outcome.finish_reason else None,
    )


def _storable(text: str) -> str:
    """At most 60,000 bytes, and without NUL, which Postgres cannot keep."""
    return (
        text.encode(errors="replace")[:MAX_RESPONSE_BYTES].decode(errors="ignore").replace("\x00", "\ufffd")
    )


def _call(job: RunTestJob, claim: Claim, outcome: Outcome, started_at: AwareDatetime) -> Call:
    error, usage = outcome.error, outcome.usage
    attempt = Attempt(
        provider=job.provider,
        model=job.model,
        offset_ms=0,
        duration_ms=round(outcome.latency_ms, 3),
        ttft_ms=None if outcome.ttft_ms is None else round(outcome.ttft_ms, 3),
        error_class=error.error_class if error else None,
        status=outcome.status,
        retry_after_s=error.retry_after_s if error else None,
        provider_request_id=error.provider_request_id if error else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=outcome.cost_usd,
        finish_reason=outcome.finish_reason.value if outcome.finish_reason else None,
    )
    return Call(
        call_id=call_id(job.event_id),
        kind=CallKind.ABTEST,
        workspace_id=claim.workspace_id,
        requested_model=f"{job.provider}/{job.model}",
        stream=claim.stream,
        started_at=started_at,
        state=CallState.FAILED if error else CallState.OK,
        status=outcome.status or 0,
        provider=None if error else job.provider,
        model=None if error else job.model,
        duration_ms=attempt.duration_ms,
        ttft_ms=attempt.ttft_ms,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=outcome.cost_usd,
        attempts=(attempt,),
        error_code=error.error_class if error else None,
        test_id=job.test_id,
    )
