"""The order and identity of jobs, and who may run one when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fairlead_abtest.domain.jobs import (
    MAX_CLAIMS,
    MAX_WAIT_S,
    MIN_WAIT_S,
    Decision,
    Drop,
    GiveUp,
    JobNow,
    Run,
    StopTest,
    TestNow,
    Wait,
    all_jobs,
    call_id,
    decide,
    frame_id,
    job_id,
)
from fairlead_common.operations.abtest import Arm
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(seconds=7), NOW - timedelta(seconds=7)


def arms(count: int) -> list[Arm]:
    return [Arm(asked=f"p{i}", provider=f"p{i}", model="m") for i in range(count)]


def running(**fields: Any) -> TestNow:
    idle: dict[str, Any] = {
        "status": "running",
        "running": 0,
        "waiting": 1,
        "spent_usd": 0.0,
        "reserved_usd": 0.0,
    }
    return TestNow(**{**idle, **fields})


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(2, 6), st.integers(1, 5))
def test_every_prompt_goes_to_every_arm_as_often_as_asked(prompts: int, arm_count: int, repeats: int) -> None:
    made = all_jobs(prompts, arms(arm_count), repeats)
    assert (
        len({(job.prompt_index, job.repeat, job.arm.name) for job in made}) == prompts * arm_count * repeats
    )
    assert [job.position for job in made] == list(range(len(made)))
    cells = [(job.prompt_index, job.repeat) for job in made]
    assert cells == sorted(cells)
    firsts = [made[i].arm.name for i in range(0, len(made), arm_count)]
    often = [firsts.count(arm.name) for arm in arms(arm_count)]
    assert repeats > 1 or max(often) - min(often) <= 1


def test_identities_are_stable_and_distinct() -> None:
    one = job_id(7, 0, "openai/gpt", 0)
    assert one == job_id(7, 0, "openai/gpt", 0) == "1258946d-990a-5ffb-91b9-443a855a27a2"
    others = {job_id(8, 0, "openai/gpt", 0), job_id(7, 1, "openai/gpt", 0), job_id(7, 0, "openai/gpt", 1)}
    assert len({one, call_id(one), frame_id(one), *others}) == 6


@pytest.mark.parametrize(
    ("test", "job", "expected"),
    [
        (running(), JobNow(0, False), Run()),
        (None, JobNow(0, False), Drop("the test was deleted")),
        (running(), None, Drop("the test was deleted")),
        (running(), JobNow(1, True), Drop("done already")),
        (running(status="cancelled"), JobNow(0, False), Drop("the test is cancelled")),
        (running(), JobNow(1, False, LATER), Wait(7.0, "another worker has it")),
        (running(), JobNow(1, False, EARLIER), Run()),
        (running(), JobNow(MAX_CLAIMS, False, EARLIER), GiveUp()),
        (running(running=2, max_concurrency=3), JobNow(0, False), Run()),
        (
            running(running=3, waiting=100, max_concurrency=3),
            JobNow(0, False),
            Wait(2.0, "max_concurrency calls are under way"),
        ),
        (running(spent_usd=0.5, max_cost_usd=1.0), JobNow(0, False, None, 0.5), Run()),
        (
            running(spent_usd=0.5, reserved_usd=0.2, running=1, max_cost_usd=1.0),
            JobNow(0, False, None, 0.4),
            Wait(MIN_WAIT_S, "the calls under way may cost what is left"),
        ),
        (
            running(spent_usd=0.7, max_cost_usd=1.0),
            JobNow(0, False, None, 0.4),
            StopTest("max_cost_usd of 1 reached: 0.7 spent, the next call is estimated at 0.4"),
        ),
    ],
)
def test_decisions(test: TestNow | None, job: JobNow | None, expected: Decision) -> None:
    assert decide(test, job, NOW) == expected


@settings(deadline=None)
@given(
    st.sampled_from(["running", "completed", "cancelled"]),
    st.integers(0, 20),
    st.integers(0, 10_000),
    st.floats(0, 2),
    st.floats(0, 2),
    st.one_of(st.none(), st.integers(1, 20)),
    st.one_of(st.none(), st.floats(0.01, 2)),
    st.integers(0, 7),
    st.booleans(),
    st.one_of(st.none(), st.sampled_from([EARLIER, LATER])),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_a_job_is_run_only_within_every_limit(
    status: str,
    under_way: int,
    waiting: int,
    spent: float,
    reserved: float,
    max_concurrency: int | None,
    max_cost: float | None,
    claims: int,
    done: bool,
    claimed_until: datetime | None,
    estimate: float | None,
) -> None:
    test = TestNow(status, under_way, waiting, spent, reserved, max_concurrency, max_cost)
    found = decide(test, JobNow(claims, done, claimed_until, estimate), NOW)
    if isinstance(found, Run):
        assert status == "running"
        assert not done
        assert claimed_until != LATER
        assert max_concurrency is None or under_way < max_concurrency
        assert max_cost is None or spent + reserved + (estimate or 0) <= max_cost
    if isinstance(found, StopTest):
        assert under_way == 0
        assert max_cost is not None
        assert spent + reserved + (estimate or 0) > max_cost or spent >= max_cost
    if isinstance(found, Wait):
        assert 0 < found.delay_s <= max(MAX_WAIT_S, 7)
