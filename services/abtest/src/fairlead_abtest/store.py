"""What abtest keeps in Postgres: tests, their jobs, and through the outbox the messages these cause."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairlead_common.db import outbox
from fairlead_common.db.database import Database, fetch
from fairlead_common.events.abtest import RunTestJob, TestResultRecorded
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.operations.abtest import Arm, ListTests, PromptIn, TestIn
from sqlalchemy import RowMapping, text
from sqlmodel.ext.asyncio.session import AsyncSession

from fairlead_abtest.domain.design import Design
from fairlead_abtest.domain.jobs import Decision, Drop, Job, JobNow, Run, StopTest, TestNow, decide

JOBS_OUTBOX = "abtest"
RESULTS_OUTBOX = "abtest-results"
"""Another owner, so that results do not queue behind the jobs of a large new test."""
SUMMARY = (
    "t.id, t.workspace_id, t.name, left(t.prompt, 500) AS prompt, jsonb_array_length(t.prompts) AS prompt_count,"
    " t.providers, t.arms, t.repeats, t.metric, t.minimum_effect, t.alpha, t.max_cost_usd, t.max_concurrency, t.timeout_s,"
    " t.stream, t.status, t.stop_reason, t.jobs, t.estimated_cost_usd, t.warnings, t.created_at, t.completed_at"
)
PROGRESS = (
    "count(j.done_at) AS jobs_done, count(j.error_class) AS jobs_failed, sum(j.cost_usd) AS actual_cost_usd,"
    " count(*) FILTER (WHERE j.done_at IS NOT NULL AND j.error_class IS NULL AND j.cost_usd IS NULL) AS unpriced_calls"
)
SPENT = (
    "coalesce(cost_usd, CASE WHEN done_at IS NOT NULL AND error_class IS NULL THEN estimated_cost_usd END, 0)"
)
UNDER_WAY = "done_at IS NULL AND claimed_until > now()"

RESEND_AT_ONCE = 500

MakeJobs = Callable[[int], list[RunTestJob]]
MakeJob = Callable[[int, Job, PromptIn, dict[str, Any]], RunTestJob]


@dataclass(frozen=True)
class Claim:
    """The decision about a job, and what running it takes."""

    decision: Decision
    workspace_id: int = 1
    timeout_s: float = 60.0
    stream: bool = True


class AbtestStore:
    """Tests and jobs; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, workspace_id: int, test: TestIn, design: Design, make_jobs: MakeJobs) -> int:
        """The test, its jobs and their messages, all or nothing; the id of the test.

        Raises:
            IntegrityError: the name is taken, or the workspace is unknown.
        """
        async with self._database.transaction() as session:
            rows = await fetch(
                session,
                "INSERT INTO ab_test (workspace_id, name, prompt, prompts, providers, arms, params, repeats, status, jobs,"
                " metric, minimum_effect, alpha, max_cost_usd, max_concurrency, timeout_s, stream, estimated_cost_usd,"
                " warnings) VALUES (:workspace_id, :name, :prompt, CAST(:prompts AS jsonb), CAST(:providers AS jsonb),"
                " CAST(:arms AS jsonb), CAST(:params AS jsonb), :repeats, 'running', :jobs, :metric, :minimum_effect,"
                " :alpha, :max_cost_usd, :max_concurrency, :timeout_s, :stream, :estimated_cost_usd,"
                " CAST(:warnings AS jsonb)) RETURNING id",
                workspace_id=workspace_id,
                **_values(test, design),
            )
            test_id: int = rows[0]["id"]
            messages = make_jobs(test_id)
            await (await session.connection()).execute(
                text(
                    "INSERT INTO ab_test_job (event_id, ab_test_id, position, prompt_index, repeat, provider, model,"
                    " estimated_cost_usd) VALUES (:event_id, :test_id, :position, :prompt_index, :repeat, :provider, :model,"
                    " :estimated_cost_usd)"
                ),
                [
                    {
                        "event_id": message.event_id,
                        "test_id": test_id,
                        "position": job.position,
                        "prompt_index": job.prompt_index,
                        "repeat": job.repeat,
                        "provider": job.arm.provider,
                        "model": job.arm.model,
                        "estimated_cost_usd": cost,
                    }
                    for message, job, cost in zip(messages, design.jobs, design.job_costs, strict=True)
                ],
            )
            for message in messages:
                await outbox.put(session, JOBS_OUTBOX, message)
        return test_id

    async def tests(self, which: ListTests) -> list[RowMapping]:
        """Tests of a workspace with their progress, newest first; one more than asked for, when there are more."""
        async with self._database.transaction() as session:
            return await fetch(
                session,
                f"SELECT {SUMMARY}, {PROGRESS} FROM ab_test t LEFT JOIN ab_test_job j ON j.ab_test_id = t.id"
                " WHERE t.workspace_id = :workspace_id AND (CAST(:status AS text) IS NULL OR t.status = :status)"
                " AND t.id < :before GROUP BY t.id ORDER BY t.id DESC LIMIT :limit + 1",
                **which.model_dump(),
            )

    async def test(self, workspace_id: int, test_id: int) -> RowMapping | None:
        """One test with its prompts and progress."""
        async with self._database.transaction() as session:
            rows = await fetch(
                session,
                f"SELECT {SUMMARY}, t.prompts, t.params, {PROGRESS} FROM ab_test t"
                " LEFT JOIN ab_test_job j ON j.ab_test_id = t.id"
                " WHERE t.workspace_id = :workspace_id AND t.id = :test_id GROUP BY t.id",
                workspace_id=workspace_id,
                test_id=test_id,
            )
            return rows[0] if rows else None

    async def rename(self, workspace_id: int, test_id: int, name: str) -> bool:
        """False when there is no such test. Raises IntegrityError when the name is taken."""
        query = "UPDATE ab_test SET name = :name WHERE workspace_id = :workspace_id AND id = :test_id RETURNING id"
        return await self._changed(query, workspace_id=workspace_id, test_id=test_id, name=name)

    async def cancel(self, workspace_id: int, test_id: int, reason: str) -> bool:
        """False when there is no such test that runs."""
        return await self._changed(
            "UPDATE ab_test SET status = 'cancelled', stop_reason = :reason, completed_at = now()"
            " WHERE workspace_id = :workspace_id AND id = :test_id AND status = 'running' RETURNING id",
            workspace_id=workspace_id,
            test_id=test_id,
            reason=reason,
        )

    async def delete(self, workspace_id: int, test_id: int) -> bool:
        """False when there is no such test that has ended."""
        return await self._changed(
            "DELETE FROM ab_test WHERE workspace_id = :workspace_id AND id = :test_id AND status <> 'running' RETURNING id",
            workspace_id=workspace_id,
            test_id=test_id,
        )

    async def claim(self, test_id: int, event_id: str, owner: str, claim_s: float) -> Claim:
        """Decide whether this worker runs the job, and note that it does, or that the test has to stop."""
        async with self._database.transaction() as session:
            tests = await fetch(
                session,
                "SELECT workspace_id, status, timeout_s, stream, max_concurrency, max_cost_usd, now() AS now"
                " FROM ab_test WHERE id = :test_id FOR NO KEY UPDATE",
                test_id=test_id,
            )
            jobs = await fetch(
                session,
                "SELECT claims, done_at IS NOT NULL AS done, claimed_until, estimated_cost_usd FROM ab_test_job"
                " WHERE event_id = :event_id AND ab_test_id = :test_id",
                event_id=event_id,
                test_id=test_id,
            )
            if not tests or not jobs:
                return Claim(Drop("the test was deleted"))
            test, job = tests[0], jobs[0]
            decision = decide(await _test_now(session, test_id, test), JobNow(**job), test["now"])
            if isinstance(decision, Run):
                await fetch(
                    session,
                    "UPDATE ab_test_job SET claims = claims + 1, claimed_by = :owner,"
                    " claimed_until = now() + make_interval(secs => :claim_s) WHERE event_id = :event_id",
                    event_id=event_id,
                    owner=owner,
                    claim_s=claim_s,
                )
            elif isinstance(decision, StopTest):
                await fetch(
                    session,
                    "UPDATE ab_test SET status = 'cancelled', stop_reason = :reason, completed_at = now()"
                    " WHERE id = :test_id",
                    test_id=test_id,
                    reason=decision.reason,
                )
            return Claim(decision, test["workspace_id"], test["timeout_s"], test["stream"])

    async def extend(self, event_id: str, owner: str, claim_s: float) -> None:
        """The call goes on."""
        await self._changed(
            "UPDATE ab_test_job SET claimed_until = now() + make_interval(secs => :claim_s)"
            " WHERE event_id = :event_id AND claimed_by = :owner AND done_at IS NULL RETURNING event_id",
            event_id=event_id,
            owner=owner,
            claim_s=claim_s,
        )

    async def finish(self, result: TestResultRecorded, frame: CallsCompleted | None) -> bool:
        """The job is done: its result and its call go out, once. False when it was done already, or its test is gone.

        The call of a test that was deleted meanwhile is still reported, because it was made and costs money.
        """
        async with self._database.transaction() as session:
            done = await fetch(
                session,
                "UPDATE ab_test_job SET done_at = now(), error_class = :error_class, cost_usd = :cost_usd,"
                " claimed_until = NULL WHERE event_id = :event_id AND done_at IS NULL RETURNING event_id",
                event_id=result.event_id,
                error_class=result.error_class,
                cost_usd=result.cost_usd,
            )
            if done:
                await outbox.put(session, RESULTS_OUTBOX, result)
            known = done or await fetch(
                session, "SELECT 1 FROM ab_test_job WHERE event_id = :event_id", event_id=result.event_id
            )
            if frame is not None and (done or not known):
                await outbox.put(session, RESULTS_OUTBOX, frame)
            return bool(done)

    async def finished(self) -> list[tuple[int, int]]:
        """(test, number of jobs) of every running test all of whose jobs are done."""
        async with self._database.transaction() as session:
            rows = await fetch(
                session,
                "SELECT id, jobs FROM ab_test t WHERE status = 'running' AND NOT EXISTS"
                " (SELECT 1 FROM ab_test_job j WHERE j.ab_test_id = t.id AND j.done_at IS NULL)",
            )
            return [(row["id"], row["jobs"]) for row in rows]

    async def resend(self, make_job: MakeJob) -> int:
        """Put the jobs of running tests that are waiting into the outbox again, unless it holds jobs already; how many."""
        async with self._database.transaction() as session:
            query = "SELECT 1 FROM outbox WHERE owner = :owner LIMIT 1"
            if await fetch(session, query, owner=JOBS_OUTBOX):
                return 0
            rows = await fetch(
                session,
                "SELECT j.ab_test_id, j.position, j.prompt_index, j.repeat, j.provider, j.model, t.params,"
                " t.prompts -> j.prompt_index AS prompt FROM ab_test_job j JOIN ab_test t ON t.id = j.ab_test_id"
                " WHERE t.status = 'running' AND j.done_at IS NULL AND (j.claimed_until IS NULL OR j.claimed_until < now())"
                " ORDER BY j.ab_test_id, j.position LIMIT :limit",
                limit=RESEND_AT_ONCE,
            )
            for row in rows:
                arm = Arm(asked="", provider=row["provider"], model=row["model"])
                job = Job(row["position"], row["prompt_index"], row["repeat"], arm)
                prompt = PromptIn.model_validate(row["prompt"])
                await outbox.put(
                    session, JOBS_OUTBOX, make_job(row["ab_test_id"], job, prompt, row["params"])
                )
            return len(rows)

    async def complete(self, test_id: int) -> bool:
        """All results of the test are recorded; False when it was no longer running."""
        return await self._changed(
            "UPDATE ab_test SET status = 'completed', completed_at = now()"
            " WHERE id = :test_id AND status = 'running' RETURNING id",
            test_id=test_id,
        )

    async def _changed(self, query: str, **values: Any) -> bool:
        async with self._database.transaction() as session:
            return bool(await fetch(session, query, **values))


async def _test_now(session: AsyncSession, test_id: int, test: RowMapping) -> TestNow:
    """Totals are only counted where a limit asks for them."""
    if test["max_concurrency"] is None and test["max_cost_usd"] is None:
        return TestNow(test["status"], 0, 0, 0.0, 0.0)
    rows = await fetch(
        session,
        f"SELECT count(*) FILTER (WHERE {UNDER_WAY}) AS running, count(*) FILTER (WHERE done_at IS NULL) AS waiting,"
        f" sum({SPENT}) AS spent_usd, coalesce(sum(estimated_cost_usd) FILTER (WHERE {UNDER_WAY}), 0) AS reserved_usd"
        " FROM ab_test_job WHERE ab_test_id = :test_id",
        test_id=test_id,
    )
    return TestNow(
        status=test["status"],
        max_concurrency=test["max_concurrency"],
        max_cost_usd=test["max_cost_usd"],
        **rows[0],
    )


def _values(test: TestIn, design: Design) -> dict[str, Any]:
    return {
        "name": test.name,
        "prompt": design.first_text,
        "prompts": json.dumps([each.model_dump() for each in design.prompts]),
        "providers": json.dumps(test.providers),
        "arms": json.dumps([arm.model_dump() for arm in design.arms]),
        "params": json.dumps(test.params),
        "repeats": test.repeats,
        "jobs": len(design.jobs),
        "metric": design.metric,
        "minimum_effect": design.minimum_effect,
        "alpha": test.alpha,
        "max_cost_usd": test.max_cost_usd,
        "max_concurrency": test.max_concurrency,
        "timeout_s": test.timeout_s,
        "stream": test.stream,
        "estimated_cost_usd": design.estimated_cost_usd,
        "warnings": json.dumps(design.warnings),
    }
