"""What abtest puts on the bus: jobs, their results, and the calls they made."""

from datetime import datetime

from fairlead_common.decisions.tasks import task_of
from fairlead_common.events.abtest import RunTestJob, TestResultRecorded
from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted
from fairlead_common.operations.abtest import PromptIn
from fairlead_common.outcomes import CallState

from fairlead_abtest.clients import Outcome
from fairlead_abtest.domain.design import Design
from fairlead_abtest.domain.jobs import Job, call_id, frame_id, job_id
from fairlead_abtest.domain.observations import OURS
from fairlead_abtest.domain.scoring import Score

MAX_RESPONSE_BYTES = 60_000
"""Of an answer as it is recorded; it is scored whole."""


def all_job_messages(
    test_id: int, made: Design, params: dict[str, object], now: datetime
) -> list[RunTestJob]:
    """The messages of a new test, in the order of its jobs."""
    return [job_message(test_id, job, made.prompts[job.prompt_index], params, now) for job in made.jobs]


def job_message(
    test_id: int, job: Job, prompt: PromptIn, params: dict[str, object], now: datetime
) -> RunTestJob:
    """The command to run a job; the same ``event_id`` whenever it is made."""
    return RunTestJob(
        event_id=job_id(test_id, job.prompt_index, job.arm.name, job.repeat),
        occurred_at=now,
        test_id=test_id,
        prompt_index=job.prompt_index,
        repeat=job.repeat,
        provider=job.arm.provider,
        model=job.arm.model,
        messages=tuple(prompt.messages),
        params=params,
        reference=prompt.reference,
    )


def result_message(
    job: RunTestJob, outcome: Outcome, judged: Score, now: datetime, *, workspace_id: int
) -> TestResultRecorded:
    """What became of a job."""
    error = outcome.error
    return TestResultRecorded(
        event_id=job.event_id,
        occurred_at=now,
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
        workspace_id=workspace_id,
        task=task_of(_prompt(job)),
    )


def _prompt(job: RunTestJob) -> str:
    """The text of the user's latest turn."""
    turns = (each.get("content") for each in reversed(job.messages) if each.get("role") == "user")
    return next((content for content in turns if isinstance(content, str)), "")


def given_up(job: RunTestJob, now: datetime) -> TestResultRecorded:
    """A job whose workers died over it again and again."""
    return TestResultRecorded(
        event_id=job.event_id,
        occurred_at=now,
        test_id=job.test_id,
        prompt_index=job.prompt_index,
        repeat=job.repeat,
        provider=job.provider,
        model=job.model,
        error_class=OURS,
        latency_ms=0.0,
    )


def frame_message(source: str, event_id: str, call: Call, now: datetime) -> CallsCompleted:
    """The frame that reports a job's call; the same ``event_id`` whenever it is made."""
    return CallsCompleted(event_id=frame_id(event_id), occurred_at=now, source=source, calls=(call,))


def call_of(
    job: RunTestJob, outcome: Outcome, *, workspace_id: int, stream: bool, started_at: datetime
) -> Call:
    """The call as everybody counts calls; its id is that of the job, so it is counted once."""
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
        workspace_id=workspace_id,
        requested_model=f"{job.provider}/{job.model}",
        stream=stream,
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


def _storable(text: str) -> str:
    """At most 60,000 bytes, and without NUL, which Postgres cannot keep."""
    return (
        text.encode(errors="replace")[:MAX_RESPONSE_BYTES].decode(errors="ignore").replace("\x00", "\ufffd")
    )
