"""What the comparison service answers."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from fairlead_common.bus.rpc import Operation

SERVICE = "comparison"


class OfTest(BaseModel):
    """Which A/B test."""

    test_id: int


class TestResult(BaseModel):
    """One row of ``ab_test_result``: one arm's answer to one prompt, or its failure (``error_class``). Null = unknown."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: str
    ab_test_id: int
    prompt_index: int
    repeat: int
    provider: str
    model: str
    response: str | None
    latency_ms: float
    ttft_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    """USD."""
    quality_score: float | None
    """0 to 1."""
    scores: dict[str, float]
    error_class: str | None
    finish_reason: str | None
    occurred_at: AwareDatetime


class TestResults(BaseModel):
    """All results of a test so far, by prompt, repeat, provider, model."""

    __test__ = False

    results: list[TestResult]


RESULTS = Operation(SERVICE, "results", OfTest, TestResults)
