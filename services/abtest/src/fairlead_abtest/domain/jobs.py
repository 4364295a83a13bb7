"""The jobs of a test: their order, their identities, and whether a worker may run one now."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairlead_common.operations.abtest import Arm

NAMESPACE: Final = uuid.UUID("6b3f0d0e-5f0c-5e51-9c1b-7d5d4f0a8e11")
MAX_CLAIMS: Final = 5
"""A job whose worker died this often is given up: it may be what kills them."""
MIN_WAIT_S: Final = 0.25
MAX_WAIT_S: Final = 5.0
ATTEMPTS_PER_S: Final = 50
"""How often all the waiting jobs of a test together ask whether they may begin."""


@dataclass(frozen=True)
class Job:
    """One prompt to one arm, once."""

    position: int
    prompt_index: int
    repeat: int
    arm: Arm


def job_id(test_id: int, prompt_index: int, arm: str, repeat: int) -> str:
    """The ``event_id`` of a job and of its result: the same whoever computes it, whenever."""
    return str(uuid.uuid5(NAMESPACE, f"{test_id}/{prompt_index}/{arm}/{repeat}"))


def call_id(event_id: str) -> str:
    """The ``call_id`` of a job's call, so that whatever counts calls counts it once."""
    return str(uuid.uuid5(NAMESPACE, f"call/{event_id}"))


def frame_id(event_id: str) -> str:
    """The ``event_id`` of the frame that reports a job's call."""
    return str(uuid.uuid5(NAMESPACE, f"frame/{event_id}"))


def all_jobs(prompts: int, arms: list[Arm], repeats: int) -> list[Job]:
    """Every prompt to every arm, prompt by prompt, so that the arms are asked under the same conditions.

    The arm that goes first rotates: none is always the one that finds the others idle.
    """
    found: list[Job] = []
    for prompt_index in range(prompts):
        for repeat in range(repeats):
            shift = (prompt_index + repeat) % len(arms)
            for arm in (*arms[shift:], *arms[:shift]):
                found.append(Job(len(found), prompt_index, repeat, arm))
    return found


@dataclass(frozen=True)
class TestNow:
    """What a claim must know of the test. ``running`` and ``reserved_usd`` speak of the calls under way."""

    __test__ = False

    status: str
    running: int
    waiting: int
    spent_usd: float
    reserved_usd: float
    max_concurrency: int | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True)
class JobNow:
    """What a claim must know of the job."""

    claims: int
    done: bool
    claimed_until: datetime | None = None
    estimated_cost_usd: float | None = None


@dataclass(frozen=True)
class Run:
    """Call the provider."""


@dataclass(frozen=True)
class Drop:
    """Nothing is left to do."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """Not now."""

    delay_s: float
    reason: str


@dataclass(frozen=True)
class GiveUp:
    """Record a failure of ours instead of calling again."""


@dataclass(frozen=True)
class StopTest:
    """The money is spent: end the test."""

    reason: str


Decision = Run | Drop | Wait | GiveUp | StopTest


def decide(test: TestNow | None, job: JobNow | None, now: datetime) -> Decision:
    """May a worker run this job now? None = it does not exist (any more)."""
    if test is None or job is None:
        return Drop("the test was deleted")
    if job.done:
        return Drop("done already")
    if job.claimed_until is not None and job.claimed_until > now:
        return Wait((job.claimed_until - now).total_seconds(), "another worker has it")
    if test.status != "running":
        return Drop(f"the test is {test.status}")
    if job.claims >= MAX_CLAIMS:
        return GiveUp()
    if test.max_concurrency is not None and test.running >= test.max_concurrency:
        return Wait(_delay_s(test.waiting), "max_concurrency calls are under way")
    return _afford(test, job)


def _afford(test: TestNow, job: JobNow) -> Decision:
    if test.max_cost_usd is None:
        return Run()
    needed = job.estimated_cost_usd or 0.0
    if test.spent_usd < test.max_cost_usd and (
        test.spent_usd + test.reserved_usd + needed <= test.max_cost_usd
    ):
        return Run()
    if test.running:
        return Wait(_delay_s(test.waiting), "the calls under way may cost what is left")
    return StopTest(
        f"max_cost_usd of {test.max_cost_usd:g} reached: {test.spent_usd:.6g} spent,"
        f" the next call is estimated at {needed:.6g}"
    )


def _delay_s(waiting: int) -> float:
    """The longer the queue, the more rarely each one asks."""
    return min(MAX_WAIT_S, max(MIN_WAIT_S, waiting / ATTEMPTS_PER_S))
