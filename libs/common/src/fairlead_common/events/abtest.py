"""Commands and facts of A/B tests: one job per prompt and arm, and its result."""

from typing import ClassVar

from fairlead_common.events.event import Event
from fairlead_common.outcomes import ErrorClass


class RunTestJob(Event):
    """Command: put one prompt to one arm. Its event_id is derived from (test, prompt, arm, repeat), so it is sent once."""

    subject_prefix: ClassVar[str] = "abtest.jobs"

    test_id: int
    prompt_index: int
    repeat: int = 0
    provider: str
    model: str
    messages: tuple[dict[str, object], ...]
    params: dict[str, object] = {}
    reference: str | None = None
    """Expected answer, when the test has one."""

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.test_id}"


class TestResultRecorded(Event):
    """Fact: one arm answered one prompt, or failed to. event_id equals the job's, so a job done twice counts once."""

    __test__: ClassVar[bool] = False
    subject_prefix: ClassVar[str] = "abtest.results"

    test_id: int
    prompt_index: int
    repeat: int = 0
    provider: str
    model: str
    response: str | None = None
    error_class: ErrorClass | None = None
    latency_ms: float
    ttft_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    quality_score: float | None = None
    """0 to 1; None = could not be scored."""
    scores: dict[str, float] = {}
    """The components of the score, by scorer and version."""
    finish_reason: str | None = None
    workspace_id: int | None = None
    """Whose test it is; None = the sender did not know."""
    task: str | None = None
    """Task class of the prompt, by the local classifier; None = not told."""

    @property
    def subject(self) -> str:
        return f"{self.subject_prefix}.{self.test_id}"
