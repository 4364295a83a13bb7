"""A/B tests from creation to verdict, on a real bus, a real database and real simulator processes."""

from typing import Any

import pytest
from fairlead_common.operations import abtest as ops

VENDORS = ("openai", "anthropic", "google", "mistral", "cohere")


@pytest.mark.parametrize("arms", [2, 5])
async def test_a_test_runs_to_completion(bench: Any, arms: int) -> None:
    await bench.simulate(*VENDORS[:arms])
    async with bench.service():
        made = await bench.create(
            name="first", prompts=[f"Question {i}?" for i in range(6)], providers=list(VENDORS[:arms])
        )
        assert (made.status, made.jobs, made.metric) == ("running", 6 * arms, "latency")
        done = await bench.completed(made.id)
        assert (done.jobs_done, done.jobs_failed, done.progress) == (6 * arms, 0, 1.0)
        assert done.actual_cost_usd is not None
        assert len(bench.recorder.results) == len(bench.recorder.published) == 6 * arms
        assert await bench.requests() == 6 * arms
        shown = await bench.rpc.call(ops.RESULTS, ops.ResultsQuery(workspace_id=1, test_id=made.id))
        assert shown.rows == 6
        first = shown.prompts[0]
        assert first.messages == [{"role": "user", "content": "Question 0?"}]
        assert [answer.arm for answer in first.answers] == [arm.name for arm in done.arms]
        assert all(answer.response and answer.ttft_ms is not None for answer in first.answers)
        analysis = await bench.analysis(made.id)
        assert analysis.final
        assert analysis.verdict.kind == "not_enough_data"
        assert {arm.calls for arm in analysis.arms} == {6}
