"""A vendor's wire that changes is seen in the metrics."""

from pathlib import Path

from fairlead_simulator.testing import Running

from tests.support.edge import edge_here, spec_of


async def test_what_an_answer_had_not_before_is_counted(tmp_path: Path, vendors: dict[str, Running]) -> None:
    simulator = vendors["mistral"]
    await simulator.fault("drift")
    async with edge_here(tmp_path, (spec_of(simulator),)) as edge:
        body = {"model": "mistral/mistral-medium-3-5", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await edge.client().post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        page = (await edge.client(None).get("/metrics")).text
    assert 'fairlead_wire_drift_total{kind="mistral:answer.x_simulated_field",provider="mistral"' in page
