"""What the comparison service answers of the results of A/B tests."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.operations.comparison import SERVICE


class ResultKey(BaseModel):
    """The place of a result: results are given out in this order."""

    model_config = ConfigDict(frozen=True)

    prompt_index: int = -1
    repeat: int = 0
    provider: str = ""
    model: str = ""


class OfTest(BaseModel):
    """Which results of which A/B test."""

    test_id: int
    after: ResultKey = Field(default=ResultKey(), description="begin behind this place")
    limit: int = Field(default=100_000, ge=1)
    responses: bool = Field(default=True, description="false: without the text of the answers")


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
    """Results of a test so far, by prompt, repeat, provider, model; as many as fit into one message."""

    __test__ = False

    results: list[TestResult]
    next: ResultKey | None = Field(
        default=None, description="ask on behind this place; null: there are no more"
    )


RESULTS = Operation(SERVICE, "results", OfTest, TestResults)
